"""Bytes as text and text as values, each in one form only.

What is not canonical is refused, so that two readers never see two things in the same bytes:
base64url without padding and without stray bits, JSON without duplicate members, numbers or names
that only look like what is expected.
"""

import base64
import binascii
import hashlib
import json
from typing import Final, Never, TypeVar, final
from uuid import UUID

import msgspec

from backend.errors import MalformedMessage

CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
SECRET_BYTES: Final = 16
SECRET_CHARACTERS: Final = 26
LONGEST_INTEGER: Final = 16

Message = TypeVar("Message", bound=msgspec.Struct)


@final
class Octets(bytes):
    """Bytes of any length, base64url in JSON."""


@final
class Octets32(bytes):
    """A hash, thumbprint or coordinate: exactly 32 bytes, base64url in JSON."""


def sha256(message: bytes) -> Octets32:
    """SHA-256 (FIPS 180-4)."""
    return Octets32(hashlib.sha256(message).digest())


def b64u(value: bytes) -> str:
    """Write base64url without padding (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")


def unb64u(unverified: str) -> bytes:
    """Read base64url without padding.

    Raises:
        MalformedMessage: it is not the canonical form of any bytes.
    """
    try:
        value = base64.b64decode(
            unverified + "=" * (-len(unverified) % 4), altchars=b"-_", validate=True
        )
    except (ValueError, binascii.Error) as error:
        msg = "not base64url"
        raise MalformedMessage(msg) from error
    if b64u(value) != unverified:
        msg = "not canonical base64url"
        raise MalformedMessage(msg)
    return value


def ascii_bytes(unverified: str, *, longest: int) -> bytes:
    """The bytes of a compact message, bounded.

    Raises:
        MalformedMessage: it is not ASCII, or longer than ``longest``.
    """
    if len(unverified) > longest or not unverified.isascii():
        msg = f"not ASCII, or longer than {longest} characters"
        raise MalformedMessage(msg)
    return unverified.encode("ascii")


def parse_json(unverified: bytes) -> object:
    """Parse UTF-8 JSON strictly: no duplicate members, no NaN, no fractions, no huge integers.

    Raises:
        MalformedMessage: it is not such a text.
    """
    try:
        return json.loads(
            unverified.decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse_number,
            parse_float=_refuse_number,
            parse_int=_short_integer,
        )
    except (ValueError, RecursionError) as error:
        msg = "not JSON as the protocol has it"
        raise MalformedMessage(msg) from error


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        msg = "a member stands twice"
        raise ValueError(msg)
    return members


def _refuse_number(text: str) -> Never:
    msg = f"number {text[:20]} is not whole"
    raise ValueError(msg)


def _short_integer(text: str) -> int:
    if len(text) > LONGEST_INTEGER:
        msg = "number too long"
        raise ValueError(msg)
    return int(text)


def read_message(unverified: bytes, kind: type[Message]) -> Message:
    """Read JSON into a typed message; every member is named, every value in its one form.

    The message is written again and compared with what came, so nothing was overlooked or coerced.

    Raises:
        MalformedMessage: members or values are not those of ``kind``.
    """
    members = parse_json(unverified)
    try:
        message = msgspec.convert(members, type=kind, dec_hook=_decode)
    except (msgspec.ValidationError, MalformedMessage) as error:
        msg = f"not a {kind.__name__}: {error}"
        raise MalformedMessage(msg) from error
    if msgspec.json.decode(write_message(message)) != members:
        msg = f"not a {kind.__name__} in its one form"
        raise MalformedMessage(msg)
    return message


def write_message(message: msgspec.Struct) -> bytes:
    """Write a message as UTF-8 JSON, members in the order of its definition."""
    return msgspec.json.encode(message, enc_hook=_encode)


def _decode(kind: type[object], value: object) -> object:
    if kind in {Octets, Octets32} and isinstance(value, str):
        octets = unb64u(value)
        if kind is Octets32 and len(octets) != 32:  # noqa: PLR2004  # the type's name says it
            msg = "not 32 bytes"
            raise MalformedMessage(msg)
        return kind(octets)  # type: ignore[call-arg]  # one of the two types above
    msg = f"expected {kind.__name__}"
    raise MalformedMessage(msg)


def _encode(value: object) -> str:
    if isinstance(value, Octets | Octets32):
        return b64u(value)
    msg = f"{type(value).__name__} has no form in a message"
    raise NotImplementedError(msg)


def secret_text(secret: bytes) -> str:
    """Write 16 bytes as 26 Crockford characters in groups, for print and hand."""
    number = int.from_bytes(secret, "big")
    characters = "".join(CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))
    return "-".join(characters[start : start + 5] for start in range(0, SECRET_CHARACTERS, 5))


def secret_bytes(unverified: str) -> bytes:
    """Read 26 Crockford characters: hyphens and case ignored, I and L are 1, O is 0.

    Raises:
        MalformedMessage: it is not the text of 16 bytes.
    """
    text = unverified.replace("-", "").upper().translate(str.maketrans("ILO", "110"))
    if len(text) != SECRET_CHARACTERS or set(text) - set(CROCKFORD) or text[0] > "7":
        msg = "not the 26 characters of a secret"
        raise MalformedMessage(msg)
    number = 0
    for character in text:
        number = number << 5 | CROCKFORD.index(character)
    return number.to_bytes(SECRET_BYTES, "big")


def read_id(unverified: str) -> UUID:
    """Read a UUID in lower-case text.

    Raises:
        MalformedMessage: it is not one, or in another form.
    """
    try:
        value = UUID(unverified)
    except ValueError as error:
        msg = "not an id"
        raise MalformedMessage(msg) from error
    if str(value) != unverified:
        msg = "not an id in lower-case text"
        raise MalformedMessage(msg)
    return value
