"""Codes that a signer types: how many digits they have, and how screen and SMS show they belong.

The digits come from a MAC of the SAM's (``docs/phone-protocol.md``, 5); nobody else makes them.
"""

from typing import Final

from backend.errors import MalformedMessage
from backend.protocol.encoding import CROCKFORD, sha256

DIGITS: Final = 8
LONGEST_TYPED: Final = 40
OPERATION: Final = b"cell-operation-v1\0"
OPERATION_CHARACTERS: Final = 8


def digits(mac: bytes) -> str:
    """Eight decimal digits of a MAC."""
    return f"{int.from_bytes(mac, 'big') % 10**DIGITS:0{DIGITS}}"


def typed_code(unverified: str) -> str:
    """Read a code as people type it: spaces and hyphens aside.

    Raises:
        MalformedMessage: it is not eight digits, so nobody was sent it.
    """
    typed = "".join(unverified[:LONGEST_TYPED].split()).replace("-", "")
    if len(typed) != DIGITS or not (typed.isascii() and typed.isdigit()):
        raise MalformedMessage(f"a code has {DIGITS} digits")
    return typed


def typed_codes(unverified: str) -> str:
    """Read a code as people type it, or two in a row of an app that counts (RFC 4226, 7.4).

    Raises:
        MalformedMessage: it is neither eight digits nor sixteen.
    """
    typed = "".join(unverified[:LONGEST_TYPED].split()).replace("-", "")
    if len(typed) != 2 * DIGITS:
        return typed_code(unverified)
    return typed_code(typed[:DIGITS]) + typed_code(typed[DIGITS:])


def operation_number(tx_hash: bytes) -> str:
    """Name a request by eight characters: the SMS says them, the page shows them (R-129)."""
    number = int.from_bytes(sha256(OPERATION + tx_hash)[:5], "big")
    shifts = range(5 * (OPERATION_CHARACTERS - 1), -1, -5)
    return "".join(CROCKFORD[number >> shift & 31] for shift in shifts)
