"""``authorization_details`` (RFC 9396), as CSC has them: one entry that says what is to be signed.

Both names of the type are read: that of CSC API 2.0 and 2.1, and that of 2.2. What the relying
party is told again is exactly what it sent; compared are the bytes of its hashes, in whichever
alphabet (some clients change it on the way to the token end point).
"""

from typing import Annotated, Any, Final, final

import msgspec

from backend.errors import MalformedMessage, RequestRefused
from backend.protocol.encoding import parse_json
from backend.protocol.known_types import known
from backend.signing.hashes import MOST_HASHES, read_hash

TYPES: Final = ("credential", "https://cloudsignatureconsortium.org/2025/credential")
HASH_TYPE: Final = "dtbsr"
"""Hashes are of the bytes that the key signs; no document comes with them."""
LONGEST_LABEL: Final = 200

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_LABEL)]


@final
class Digest(msgspec.Struct, frozen=True, kw_only=True):
    """A hash, and what the relying party calls its document."""

    hash: str
    label: _Text | None = None
    hash_type: _Text | None = msgspec.field(name="hashType", default=None)


@final
class Details(msgspec.Struct, frozen=True, kw_only=True):
    """The entry's members that we read; others are passed over."""

    type: str
    credential: _Text | None = msgspec.field(name="credentialID", default=None)
    qualifier: _Text | None = msgspec.field(name="signatureQualifier", default=None)
    digests: Annotated[tuple[Digest, ...], msgspec.Meta(min_length=1, max_length=MOST_HASHES)] = (
        msgspec.field(name="documentDigests")
    )
    hash_oid: _Text = msgspec.field(name="hashAlgorithmOID")
    count: int | None = msgspec.field(name="numSignatures", default=None)
    transaction: dict[str, Any] | None = None
    """Our extension: a typed request, see docs/relying-party.md."""

    def hashes(self) -> tuple[bytes, ...]:
        """The hashes' bytes.

        Raises:
            RequestRefused: one is no base64.
        """
        try:
            return tuple(read_hash(digest.hash) for digest in self.digests)
        except ValueError as error:
            raise RequestRefused("authorization_details: a hash is no base64") from error

    def labels(self) -> tuple[str, ...] | None:
        """What the documents are called; ``None`` where none has a label.

        Raises:
            RequestRefused: some have one, others not.
        """
        given = tuple(digest.label for digest in self.digests if digest.label is not None)
        if given and len(given) != len(self.digests):
            raise RequestRefused("authorization_details: a label for each hash, or for none")
        return given or None


def read_entry(unverified: str) -> dict[str, Any]:
    """Read the array's one entry, as it came.

    Raises:
        RequestRefused: it is no array of one object.
    """
    try:
        entries = parse_json(unverified.encode(errors="replace"))
    except MalformedMessage as error:
        raise RequestRefused("authorization_details is not JSON") from error
    if not isinstance(entries, list) or len(entries) != 1 or not isinstance(entries[0], dict):
        raise RequestRefused("authorization_details is an array of one object")
    return entries[0]


def read_details(entry: dict[str, Any]) -> Details:
    """Read an entry's members.

    Raises:
        RequestRefused: its type is none of ours, or a member is missing or wrong.
    """
    if entry.get("type") not in TYPES:
        raise RequestRefused("authorization_details: this type is not known here")
    present = {name: value for name, value in entry.items() if value is not None}
    try:
        details = msgspec.convert(present, known(Details))
    except msgspec.ValidationError as error:
        raise RequestRefused(f"authorization_details: {error}") from error
    if any((each.hash_type or HASH_TYPE).lower() != HASH_TYPE for each in details.digests):
        raise RequestRefused(f"authorization_details: hashType is {HASH_TYPE}")
    if details.count not in {None, len(details.digests)}:
        raise RequestRefused("numSignatures is not the number of documentDigests")
    return details


def same(entry: dict[str, Any], unverified_other: str) -> bool:
    """Tell whether a token request repeats what was authorised, hashes compared as bytes."""
    try:
        return _plain(entry) == _plain(read_entry(unverified_other))
    except RequestRefused:
        return False


def _plain(entry: dict[str, Any]) -> dict[str, Any]:
    details = read_details(entry)
    digests = [
        {**given, "hash": value}
        for given, value in zip(entry["documentDigests"], details.hashes(), strict=True)
    ]
    return entry | {"documentDigests": digests}
