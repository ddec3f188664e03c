"""Bytes as text and text as values, each in one form only.

What is not canonical is refused, so that two readers never see two things in the same bytes:
base64url without padding and without stray bits, JSON without duplicate members, fractions, lone
surrogates or deep nesting, no member that is only implied. Whoever calls has bounded the length.
"""

import binascii
import hashlib
import json
from collections.abc import Sequence
from typing import Final, Never, Self, TypeVar, final
from uuid import UUID

import msgspec

from backend.errors import MalformedMessage
from backend.protocol.known_types import known

CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
SECRET_BYTES: Final = 16
SECRET_CHARACTERS: Final = 26
LONGEST_SECRET_TEXT: Final = 64
LONGEST_INTEGER: Final = 16
LONGEST_OCTETS: Final = 16 * 1024
LONGEST_REASON: Final = 200
DEEPEST: Final = 16
"""Arrays and objects within each other."""

Message = TypeVar("Message", bound=msgspec.Struct)


@final
class Octets(bytes):
    """At most 16 KiB, base64url in JSON."""

    __slots__ = ()

    def __new__(cls, value: bytes) -> Self:
        """Take bytes; a number is refused, of which ``bytes`` would make so many zeros.

        Raises:
            MalformedMessage: there are too many.
        """
        if len(value) > LONGEST_OCTETS:
            raise MalformedMessage(f"more than {LONGEST_OCTETS} bytes")
        return super().__new__(cls, value)


@final
class Octets32(bytes):
    """A hash, thumbprint or coordinate: exactly 32 bytes, base64url in JSON."""

    __slots__ = ()

    def __new__(cls, value: bytes) -> Self:
        """Take bytes.

        Raises:
            MalformedMessage: they are not 32.
        """
        if len(value) != 32:  # noqa: PLR2004  # the type's name says it
            raise MalformedMessage("not 32 bytes")
        return super().__new__(cls, value)


def sha256(message: bytes) -> Octets32:
    """SHA-256 (FIPS 180-4)."""
    return Octets32(hashlib.sha256(message).digest())


def b64u(value: bytes) -> str:
    """Write base64url without padding (RFC 7515, 2)."""
    text = binascii.b2a_base64(value, newline=False).rstrip(b"=").decode("ascii")
    return text.replace("+", "-").replace("/", "_")


def unb64u(unverified: str) -> bytes:
    """Read base64url without padding.

    Raises:
        MalformedMessage: it is not the canonical form of any bytes.
    """
    standard = unverified.replace("-", "+").replace("_", "/")
    try:
        value = binascii.a2b_base64(standard + "=" * (-len(standard) % 4), strict_mode=True)
    except ValueError as error:
        raise MalformedMessage("not base64url") from error
    if b64u(value) != unverified:
        raise MalformedMessage("not canonical base64url")
    return value


def b64u_all(values: Sequence[bytes]) -> list[str]:
    """Write each as :func:`b64u` does; many of one length in one go."""
    lengths = set(map(len, values))
    if len(lengths) != 1 or lengths == {0}:
        return [b64u(value) for value in values]
    (length,) = lengths
    missing = -length % 3
    filler = bytes(missing)
    text = binascii.b2a_base64(filler.join(values) + filler, newline=False).decode("ascii")
    url = text.replace("+", "-").replace("/", "_")
    whole = 4 * (length + missing) // 3
    return [url[at : at + whole - missing] for at in range(0, len(url), whole)]


def unb64u_all(unverified: Sequence[str]) -> list[bytes]:
    """Read each as :func:`unb64u` does; many of one length in one go.

    Raises:
        MalformedMessage: one of them is not the canonical form of any bytes.
    """
    together = unb64u_together(unverified)
    return [unb64u(each) for each in unverified] if together is None else together


def unb64u_together(unverified: Sequence[str]) -> list[bytes] | None:
    """Read what is of one length; ``None`` where it is not, or one of them is not canonical."""
    lengths = set(map(len, unverified))
    return _of_one_length(unverified, length=lengths.pop()) if len(lengths) == 1 else None


def _of_one_length(unverified: Sequence[str], *, length: int) -> list[bytes] | None:
    missing = -length % 4
    if not length or missing > 2:  # noqa: PLR2004  # no bytes have such a text
        return None
    filler = "A" * missing
    text = filler.join(unverified) + filler
    if "+" in text or "/" in text:
        return None
    try:
        standard = text.replace("-", "+").replace("_", "/")
        value = binascii.a2b_base64(standard, strict_mode=True)
    except ValueError:
        return None
    whole = 3 * (length + missing) // 4
    kept = whole - missing
    # The filler's own bits are nought; so must be those before it, which belong to no byte.
    stray = any(any(value[at::whole]) for at in range(kept, whole))
    if stray or len(value) != whole * len(unverified):
        return None
    return [value[at : at + kept] for at in range(0, len(value), whole)]


def ascii_bytes(unverified: str, *, longest: int) -> bytes:
    """The bytes of a compact message, bounded.

    Raises:
        MalformedMessage: it is not ASCII, or longer than ``longest``.
    """
    if len(unverified) > longest or not unverified.isascii():
        raise MalformedMessage(f"not ASCII, or longer than {longest} characters")
    return unverified.encode("ascii")


def parse_json(unverified: bytes) -> object:
    """Parse UTF-8 JSON strictly.

    No duplicate members, NaN, fractions, huge integers or minus nought; no lone surrogates; at most
    ``DEEPEST`` levels.

    Raises:
        MalformedMessage: it is not such a text.
    """
    try:
        value = json.loads(
            unverified.decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse_number,
            parse_float=_refuse_number,
            parse_int=_short_integer,
        )
        _check_value(value, levels=DEEPEST)
    except (ValueError, RecursionError) as error:
        raise MalformedMessage("not JSON as the protocol has it") from error
    return value


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _refuse_number(text: str) -> Never:
    raise ValueError(f"number {text[:20]} is not whole")


def _short_integer(text: str) -> int:
    if len(text) > LONGEST_INTEGER or text == "-0":
        raise ValueError("a number that is too long, or minus nought")
    return int(text)


def _check_value(value: object, *, levels: int) -> None:
    """Refuse text that is no Unicode, and what is nested too deep."""
    if isinstance(value, str):
        value.encode("utf-8")
    elif isinstance(value, dict | list):
        if not levels:
            raise ValueError("nested too deep")
        for part in value:
            _check_value(part, levels=levels - 1)
            if isinstance(value, dict):
                _check_value(value[part], levels=levels - 1)


def read_message(unverified: bytes, kind: type[Message]) -> Message:
    """Read JSON into a typed message; every member is named, every value in its one form.

    The message is written again and compared with what came, so nothing was overlooked or coerced.

    Raises:
        MalformedMessage: members or values are not those of ``kind``.
    """
    members = parse_json(unverified)
    try:
        message = msgspec.convert(members, type=known(kind), dec_hook=read_octets)
    except (msgspec.ValidationError, MalformedMessage) as error:
        # The reason may repeat a name from outside (T-44).
        raise MalformedMessage(f"not a {kind.__name__}: {str(error)[:LONGEST_REASON]!a}") from error
    if msgspec.json.decode(write_message(message)) != members:
        raise MalformedMessage(f"not a {kind.__name__} in its one form")
    return message


def write_message(message: msgspec.Struct) -> bytes:
    """Write a message as UTF-8 JSON, members in the order of its definition."""
    return msgspec.json.encode(message, enc_hook=write_octets)


def read_octets(kind: type[object], value: object) -> object:
    """Read bytes from base64url: msgspec's ``dec_hook``.

    Raises:
        MalformedMessage: they are not canonical, or ``kind`` is none of ours.
    """
    if isinstance(value, str) and (kind is Octets or kind is Octets32):
        return kind(unb64u(value))
    raise MalformedMessage(f"expected {kind.__name__}")


def write_octets(value: object) -> str:
    """Write bytes as base64url: msgspec's ``enc_hook``.

    Raises:
        NotImplementedError: it is something else.
    """
    if isinstance(value, Octets | Octets32):
        return b64u(value)
    raise NotImplementedError(f"{type(value).__name__} has no form in a message")


def secret_text(secret: bytes) -> str:
    """Write 16 bytes as 26 Crockford characters in groups of five, for print and hand.

    Raises:
        MalformedMessage: they are not 16.
    """
    if len(secret) != SECRET_BYTES:
        raise MalformedMessage(f"a secret has {SECRET_BYTES} bytes")
    number = int.from_bytes(secret, "big")
    characters = "".join(CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))
    return "-".join(characters[start : start + 5] for start in range(0, SECRET_CHARACTERS, 5))


def secret_bytes(unverified: str) -> bytes:
    """Read 26 Crockford characters: hyphens and case ignored, I and L are 1, O is 0.

    Raises:
        MalformedMessage: it is not the text of 16 bytes.
    """
    typed = ascii_bytes(unverified, longest=LONGEST_SECRET_TEXT).decode("ascii")
    text = typed.replace("-", "").upper().translate(str.maketrans("ILO", "110"))
    if len(text) != SECRET_CHARACTERS or set(text) - set(CROCKFORD) or text[0] > "7":
        raise MalformedMessage("not the 26 characters of a secret")
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
        raise MalformedMessage("not an id") from error
    if str(value) != unverified:
        raise MalformedMessage("not an id in lower-case text")
    return value
