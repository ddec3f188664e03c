"""What is printed in the envelope, and what a further phone shows (sections 5 and 8).

QR 1 is where to go: the app's address with both servers in its fragment. QR 2 is the secret: 26
characters that can also be typed, and for an existing cell the thumbprint of KS beside them.
"""

from urllib.parse import parse_qsl, urlsplit

import msgspec

from backend.virtual_phone.encoding import b64u, secret_of, unb64u
from backend.virtual_phone.errors import MessageRefused
from backend.virtual_phone.jose import Jwk
from backend.virtual_phone.locks import THUMBPRINT

PAIR = "cellkey:pair?"
FURTHER = "cellkey:further?k="


class Addresses(msgspec.Struct, frozen=True, kw_only=True):
    """QR 1. Addresses end without a slash; ``app`` is empty where a native app needs none."""

    authorization_server: str
    mobile_api: str
    app: str = ""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """QR 2."""

    secret: bytes
    """16 bytes."""
    ks_thumbprint: bytes | None = None
    """Only in an envelope for an existing cell."""


class PhoneKeys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Public keys of a phone; in an ask their thumbprints."""

    approval: Jwk
    request: Jwk
    unlock: Jwk


def read_addresses(text: str) -> Addresses:
    """Addresses of QR 1, ``<app>/#as=<A>&api=<M>``.

    Raises:
        MessageRefused: it is not of that form.
    """
    parts = urlsplit(text.strip())
    members = _members(parts.fragment)
    if set(members) != {"as", "api"} or not parts.scheme or not parts.netloc:
        raise MessageRefused("QR 1 is not <app>/#as=<address>&api=<address>")
    return Addresses(
        authorization_server=members["as"].rstrip("/"),
        mobile_api=members["api"].rstrip("/"),
        app=f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/"),
    )


def read_envelope(text: str) -> Envelope:
    """The secret of QR 2, scanned or typed.

    Raises:
        MessageRefused: it is not of that form.
    """
    text = text.strip()
    if not text.startswith(PAIR):
        return Envelope(secret=secret_of(text))
    members = _members(text.removeprefix(PAIR))
    if "s" not in members or not set(members) <= {"s", "k"}:
        raise MessageRefused("QR 2 is not cellkey:pair?s=<26 characters>")
    pinned = unb64u(members["k"], length=THUMBPRINT) if "k" in members else None
    return Envelope(secret=secret_of(members["s"]), ks_thumbprint=pinned)


def read_further_phone(text: str) -> tuple[bytes, bytes, bytes]:
    """Thumbprints of a further phone's approval, request and unlock keys.

    Raises:
        MessageRefused: it is not of that form.
    """
    text = text.strip()
    if not text.startswith(FURTHER):
        raise MessageRefused("the QR code of a further phone begins with cellkey:further?k=")
    data = unb64u(text.removeprefix(FURTHER), length=3 * THUMBPRINT)
    return data[:THUMBPRINT], data[THUMBPRINT : 2 * THUMBPRINT], data[2 * THUMBPRINT :]


def further_phone(keys: PhoneKeys) -> str:
    """What a further phone shows on its screen."""
    return FURTHER + b64u(b"".join(thumbprints(keys)))


def thumbprints(keys: PhoneKeys) -> tuple[bytes, bytes, bytes]:
    """Thumbprints in the order of every message: approval, request, unlock."""
    return keys.approval.thumbprint(), keys.request.thumbprint(), keys.unlock.thumbprint()


def _members(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, strict_parsing=True)
    except ValueError as error:
        raise MessageRefused("a QR code has not its form") from error
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MessageRefused("a QR code names a member twice")
    return members
