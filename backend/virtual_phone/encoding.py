"""Bytes as text (sections 1 and 5): base64url, Crockford's 26 characters, ids, strict JSON.

Each reader refuses what the matching writer would not have written: padding, stray bits, another
case, a member that comes twice, a number that is not whole, a lone surrogate.
"""

import base64
import binascii
import hashlib
import json
import uuid
from typing import TypeVar

import msgspec

from backend.virtual_phone.errors import MessageRefused

T = TypeVar("T")

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LOOK_ALIKES = str.maketrans({"I": "1", "L": "1", "O": "0", "-": None})
SECRET_LENGTH = 16
SECRET_CHARACTERS = 26
NUMBER_CHARACTERS = 16
DEEPEST = 16


def sha256(data: bytes) -> bytes:
    """SHA-256 of the bytes."""
    return hashlib.sha256(data).digest()


def b64u(data: bytes) -> str:
    """Base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64u(text: str, *, length: int | None = None) -> bytes:
    """Bytes of a canonical base64url text.

    Raises:
        MessageRefused: padded, with foreign characters or stray bits, or of another ``length``.
    """
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise MessageRefused("a value is not base64url") from error
    if b64u(data) != text:
        raise MessageRefused("a base64url value is not canonical")
    if length is not None and len(data) != length:
        raise MessageRefused(f"a value has {len(data)} bytes, not {length}")
    return data


def raw_uuid(text: str) -> bytes:
    """The 16 bytes of an id in lower-case text.

    Raises:
        MessageRefused: it is not a UUID, or not in that form.
    """
    try:
        value = uuid.UUID(text)
    except ValueError as error:
        raise MessageRefused("an id is not a UUID") from error
    if str(value) != text:
        raise MessageRefused("an id is not written as a UUID in lower case")
    return value.bytes


def secret_text(secret: bytes) -> str:
    """16 bytes as 26 Crockford characters, big-endian."""
    number = int.from_bytes(secret)
    return "".join(
        CROCKFORD[number >> 5 * place & 31] for place in reversed(range(SECRET_CHARACTERS))
    )


def secret_of(text: str) -> bytes:
    """The 16 bytes of 26 Crockford characters; hyphens and case do not count.

    Raises:
        MessageRefused: another length or character, or more than 128 bits.
    """
    if not text.isascii():
        raise MessageRefused("a code has ASCII characters alone")
    characters = text.strip().upper().translate(LOOK_ALIKES)
    if len(characters) != SECRET_CHARACTERS:
        raise MessageRefused(f"a code has {SECRET_CHARACTERS} characters, not {len(characters)}")
    number = 0
    for character in characters:
        value = CROCKFORD.find(character)
        if value < 0:
            raise MessageRefused(f"a code does not contain the character {character!r}")
        number = number << 5 | value
    if number >> 8 * SECRET_LENGTH:
        raise MessageRefused("the first character of a code is one of 0 to 7")
    return number.to_bytes(SECRET_LENGTH)


def in_groups(text: str, *, size: int) -> str:
    """The text in groups joined by hyphens, as people read it out."""
    return "-".join(text[start : start + size] for start in range(0, len(text), size))


def compact_json(value: object) -> bytes:
    """UTF-8 JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def strict_json(text: bytes) -> object:
    """Parse JSON that can be read in one way only (section 1).

    Raises:
        MessageRefused: not UTF-8, not JSON, a duplicate member, a number that is not whole or too
            long, a lone surrogate, too many levels.
    """
    try:
        value = json.loads(
            text.decode(),
            object_pairs_hook=_members_once,
            parse_int=_whole_number,
            parse_float=_no_number,
            parse_constant=_no_number,
        )
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise MessageRefused("a message is not JSON, or not of one form") from error
    _refuse_deep(value, levels=DEEPEST)
    return value


def read_json(text: bytes, kind: type[T]) -> T:
    """Parse strict JSON into a struct.

    Raises:
        MessageRefused: as :func:`strict_json`, or a member is unknown, missing or of another type.
    """
    try:
        return msgspec.convert(strict_json(text), kind)
    except msgspec.ValidationError as error:
        raise MessageRefused(f"a message has not its form: {error}") from error


def _members_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MessageRefused("a message names a member twice")
    return members


def _whole_number(digits: str) -> int:
    if len(digits) > NUMBER_CHARACTERS or digits == "-0":
        raise MessageRefused("a number of a message is too long, or -0")
    return int(digits)


def _no_number(text: str) -> object:
    raise MessageRefused(f"{text[:NUMBER_CHARACTERS]} is not a whole number")


def _refuse_deep(value: object, *, levels: int) -> None:
    if isinstance(value, dict):
        inner = list(value.values())
    elif isinstance(value, list):
        inner = value
    else:
        return
    if not levels:
        raise MessageRefused(f"a message has more than {DEEPEST} levels")
    for part in inner:
        _refuse_deep(part, levels=levels - 1)
