"""Types of fields: each reads a value from outside into rows of text, and states its JSON Schema.

Only what a JSON parser gives is read, by its exact type: a float is no amount, a boolean no count,
and ``null`` is not "absent". A value is refused or shown whole.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Annotated, Final, final

import msgspec

from backend.errors import SummaryRefused
from backend.summary.characters import check_name, check_text
from backend.summary.text import Reader

Rows = tuple[str, ...]
JsonSchema = dict[str, object]
Name = Annotated[str, msgspec.Meta(pattern="^[a-z_]{1,32}$")]
Length = Annotated[int, msgspec.Meta(ge=1, le=1000)]

LONGEST_PERSON_NAME: Final = 60
LONGEST_SUBJECT: Final = 2048
"""Characters of base64url."""
_WORD: Final = re.compile(r"[^\W_]+")
_HASH: Final = re.compile("^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$")


def join(path: str, name: str) -> str:
    """Write the path of a member, as errors and templates name it."""
    return f"{path}.{name}" if path else name


def check_members(
    unverified: object, *, path: str, required: frozenset[str], optional: frozenset[str]
) -> Mapping[str, object]:
    """Return an object that has the members it must have and no others.

    Raises:
        SummaryRefused: it is no object, lacks a member, or has an unknown one. An unknown name is
            not repeated: it comes from outside.
    """
    if type(unverified) is not dict:
        raise SummaryRefused(path or "fields", "is not an object")
    if not unverified.keys() <= required | optional:
        raise SummaryRefused(path or "fields", "has a member that is not known here")
    for name in sorted(required - unverified.keys()):
        raise SummaryRefused(join(path, name), "is missing")
    return unverified


def object_schema(properties: Mapping[str, JsonSchema], *, required: frozenset[str]) -> JsonSchema:
    """State the schema of an object that takes nothing unknown."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": sorted(required),
        "additionalProperties": False,
    }


class Field(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"
):
    """A member of a request."""

    name: Name
    required: bool


@final
class TextField(Field, frozen=True, kw_only=True, tag="text"):
    """Words from outside, in one row, or in as many as ``rows`` allows where it has newlines."""

    longest: Length
    rows: Annotated[int, msgspec.Meta(ge=1, le=20)] = 1

    def read(self, unverified: object, *, path: str, reader: Reader) -> Rows:
        """Read the rows; an empty one is refused like every empty text."""
        del reader
        if type(unverified) is not str or self.rows == 1:
            return (check_text(unverified, field=path, longest=self.longest),)
        if len(unverified) > self.longest:
            raise SummaryRefused(path, f"must have 1 to {self.longest} characters")
        rows = unverified.split("\n")
        if len(rows) > self.rows:
            raise SummaryRefused(path, f"has more than {self.rows} lines")
        return tuple(check_text(row, field=path, longest=self.longest) for row in rows)

    def schema(self) -> JsonSchema:
        """State length and lines; which characters are shown is said in words."""
        lines = f" at most {self.rows} lines, each" if self.rows > 1 else ""
        return {
            "type": "string",
            "minLength": 1,
            "maxLength": self.longest,
            "description": f"Unicode NFC;{lines} printable Latin, Cyrillic or Greek text.",
        }


@final
class NameField(Field, frozen=True, kw_only=True, tag="name"):
    """A name of somebody: no word of it mixes scripts."""

    longest: Length

    def read(self, unverified: object, *, path: str, reader: Reader) -> Rows:
        """Read the name."""
        del reader
        return (check_name(unverified, field=path, longest=self.longest),)

    def schema(self) -> JsonSchema:
        """State the length; the rest is said in words."""
        return {
            "type": "string",
            "minLength": 1,
            "maxLength": self.longest,
            "description": "Unicode NFC; has a letter; no word mixes Latin, Cyrillic and Greek.",
        }


@final
class PersonField(Field, frozen=True, kw_only=True, tag="person"):
    """A person's name in its parts: ``family``, ``given``, and ``patronymic`` if there is one."""

    def read(self, unverified: object, *, path: str, reader: Reader) -> Rows:
        """Put the parts in the language's order."""
        members = check_members(
            unverified,
            path=path,
            required=frozenset({"family", "given"}),
            optional=frozenset({"patronymic"}),
        )
        order = (
            ("family", "given", "patronymic")
            if reader.lang == "ru"
            else ("given", "patronymic", "family")
        )
        parts = [
            check_name(members[part], field=join(path, part), longest=LONGEST_PERSON_NAME)
            for part in order
            if part in members
        ]
        return (" ".join(parts),)

    def schema(self) -> JsonSchema:
        """State the parts."""
        part = NameField(name="part", required=True, longest=LONGEST_PERSON_NAME).schema()
        return object_schema(
            {"family": part, "given": part, "patronymic": part},
            required=frozenset({"family", "given"}),
        )


@final
class ChoiceField(Field, frozen=True, kw_only=True, tag="choice"):
    """One of a few values, shown as it is written."""

    values: tuple[str, ...]

    def read(self, unverified: object, *, path: str, reader: Reader) -> Rows:
        """Read one of the values."""
        del reader
        if type(unverified) is not str or unverified not in self.values:
            raise SummaryRefused(path, f"is none of {', '.join(self.values)}")
        return (unverified,)

    def schema(self) -> JsonSchema:
        """Name the values."""
        return {"enum": list(self.values)}


@final
class SubjectField(Field, frozen=True, kw_only=True, tag="subject"):
    """A DER Name (RFC 5280) in base64url. It is not shown itself: the field ``read_as`` says it."""

    read_as: Name

    def read(self, unverified: object, *, path: str, reader: Reader) -> Rows:
        """Check the form only; nothing of it is shown."""
        del reader
        self.octets(unverified, path=path)
        return ()

    def octets(self, unverified: object, *, path: str) -> bytes:
        """Decode base64url without padding, in its one form."""
        if type(unverified) is not str or not 1 <= len(unverified) <= LONGEST_SUBJECT:
            raise SummaryRefused(path, f"is not a string of 1 to {LONGEST_SUBJECT} characters")
        try:
            octets = base64.b64decode(
                unverified + "=" * (-len(unverified) % 4), b"-_", validate=True
            )
        except (binascii.Error, ValueError) as error:
            raise SummaryRefused(path, "is not base64url") from error
        if base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii") != unverified:
            raise SummaryRefused(path, "is not base64url in its one form")
        return octets

    def check_reading(self, unverified: object, *, path: str, shown: str) -> None:
        """Refuse a reading that has a word which the DER Name does not have.

        What the signer reads must stand in the certificate. RFC 5280 wants UTF8String (or, for
        ASCII, PrintableString), so that each word is there byte for byte.
        """
        octets = self.octets(unverified, path=path)
        if not all(word.encode("utf-8") in octets for word in _WORD.findall(shown)):
            raise SummaryRefused(self.read_as, f"says what {path} does not say")

    def schema(self) -> JsonSchema:
        """State the encoding."""
        return {"type": "string", "pattern": f"^[A-Za-z0-9_-]{{1,{LONGEST_SUBJECT}}}$"}


@final
class HashField(Field, frozen=True, kw_only=True, tag="hash"):
    """A SHA-256 in base64url of what the SAM is shown later. It says nothing to people."""

    def read(self, unverified: object, *, path: str, reader: Reader) -> Rows:
        """Check the form only; nothing of it is shown."""
        del reader
        if type(unverified) is not str or not _HASH.fullmatch(unverified):
            raise SummaryRefused(path, "is not a SHA-256 in base64url")
        return ()

    def schema(self) -> JsonSchema:
        """State the encoding."""
        return {"type": "string", "pattern": _HASH.pattern}
