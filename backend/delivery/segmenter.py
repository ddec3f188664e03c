"""Cuts a text into the parts of an SMS, to the letter (3GPP TS 23.038 and 23.040).

1. A text that the GSM alphabet has wholly is sent in it, a septet an octet; any other in UCS-2,
   which phones read as UTF-16. No character is replaced by one that looks like it.
2. One part alone has 160 septets or 140 octets. Each of several has 153, or 134, and before them a
   header with the message's reference (8 bits), their number, and its own.
3. An escape and its septet stay together, and so do the two halves of a surrogate pair.
4. More parts than are allowed are no text at all: nothing is cut off.
"""

from collections.abc import Iterator
from enum import IntEnum
from typing import Final, final

import msgspec

from backend.errors import SmsRefused
from backend.summary.sms_parts import is_gsm

MOST_PARTS: Final = 3
ESCAPE: Final = 0x1B

_BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""In the order of their septets; the escape stands for itself."""
_EXTENSION: Final = {
    "\f": 0x0A,
    "^": 0x14,
    "{": 0x28,
    "}": 0x29,
    "\\": 0x2F,
    "[": 0x3C,
    "~": 0x3D,
    "]": 0x3E,
    "|": 0x40,
    "€": 0x65,
}
_SEPTETS: Final = {character: bytes([septet]) for septet, character in enumerate(_BASIC)} | {
    character: bytes([ESCAPE, septet]) for character, septet in _EXTENSION.items()
}


class Alphabet(IntEnum):
    """How a part's octets are read; the value is the ``data_coding`` of SMPP."""

    GSM = 0
    UCS2 = 8


_ALONE: Final = {Alphabet.GSM: 160, Alphabet.UCS2: 140}
_EACH: Final = {Alphabet.GSM: 153, Alphabet.UCS2: 134}


@final
class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """One part."""

    alphabet: Alphabet
    text: str
    header: bytes
    """User data header, with its length; empty where the part is alone."""
    body: bytes


def segments(text: str, *, reference: int, most: int = MOST_PARTS) -> tuple[Segment, ...]:
    """Cut a text.

    Args:
        text: what arrives, to the letter.
        reference: tells this message's parts from another's; its low 8 bits are used.
        most: so many parts it may have.

    Raises:
        SmsRefused: it is empty, has more parts, or cannot be written in UTF-16.
    """
    alphabet = Alphabet.GSM if is_gsm(text) else Alphabet.UCS2
    pieces = [(character, _octets(character, alphabet)) for character in text]
    if sum(len(octets) for _, octets in pieces) <= _ALONE[alphabet]:
        parts = [pieces]
    else:
        parts = list(_filled(pieces, each=_EACH[alphabet]))
    if not text or len(parts) > most:
        raise SmsRefused(f"a text has one to {most} parts, this one {len(parts) if text else 0}")
    return tuple(
        Segment(
            alphabet=alphabet,
            text="".join(character for character, _ in part),
            header=_header(reference, count=len(parts), number=number),
            body=b"".join(octets for _, octets in part),
        )
        for number, part in enumerate(parts, 1)
    )


def _octets(character: str, alphabet: Alphabet) -> bytes:
    if alphabet is Alphabet.GSM:
        return _SEPTETS[character]
    try:
        return character.encode("utf-16-be")
    except UnicodeEncodeError as error:
        raise SmsRefused("half of a surrogate pair is no text") from error


def _filled(pieces: list[tuple[str, bytes]], *, each: int) -> Iterator[list[tuple[str, bytes]]]:
    """Fill part after part; what does not fit as a whole begins the next one."""
    part: list[tuple[str, bytes]] = []
    used = 0
    for piece in pieces:
        if used + len(piece[1]) > each:
            yield part
            part, used = [], 0
        part.append(piece)
        used += len(piece[1])
    yield part


def _header(reference: int, *, count: int, number: int) -> bytes:
    """Information element 0x00: concatenation by an 8-bit reference (TS 23.040, 9.2.3.24.1)."""
    if count == 1:
        return b""
    return bytes([5, 0, 3, reference & 0xFF, count, number])
