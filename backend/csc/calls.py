"""What calls say, once a body has been read; and whose credentials they are about."""

from collections.abc import Sequence
from typing import Any, final
from uuid import UUID

import msgspec

from backend.access.tokens import CallingParty
from backend.credentials.view import Credential, credential_for, credentials_of
from backend.csc.answers import Certificates
from backend.csc.uses import CscUses
from backend.errors import MalformedMessage, NotFound, RequestRefused
from backend.protocol.encoding import read_id


@final
class InfoCall(msgspec.Struct, frozen=True, kw_only=True):
    """``credentials/info``."""

    credential_id: str
    certificates: Certificates
    cert_info: bool


@final
class AuthorizeCall(msgspec.Struct, frozen=True, kw_only=True):
    """``credentials/authorize``."""

    credential_id: str
    count: int
    hashes: tuple[bytes, ...]
    description: str | None
    transaction: dict[str, Any] | None
    """Extension: a typed request, see docs/relying-party.md."""
    labels: list[str] | None
    """Extension: the names of the documents."""
    hash_oid: str | None = None
    """In v2; in v1 the hashes' length says it."""
    auth_data: list[dict[str, Any]] | None = None
    """In v2."""


@final
class CheckCall(msgspec.Struct, frozen=True, kw_only=True):
    """``credentials/authorizeCheck``."""

    handle: str


@final
class ChallengeCall(msgspec.Struct, frozen=True, kw_only=True):
    """``credentials/getChallenge``."""

    credential_id: str
    object_id: str


@final
class ExtendCall(msgspec.Struct, frozen=True, kw_only=True):
    """``credentials/extendTransaction``."""

    credential_id: str
    csc_sad: str
    hashes: tuple[bytes, ...]
    hash_oid: str | None = None
    """In v2."""


@final
class SignCall(msgspec.Struct, frozen=True, kw_only=True):
    """``signatures/signHash``."""

    credential_id: str
    csc_sad: str | None
    hashes: tuple[bytes, ...]
    sign_oid: str
    hash_oid: str | None
    parameters: str | None
    messages: tuple[bytes, ...] | None
    """Extension: what was hashed, where the key signs messages (Ed25519)."""


def credential(uses: CscUses, party: CallingParty, unverified_id: str) -> Credential:
    """Show a credential; what is no id at all is as unknown as any other (CSC-69).

    So is another signer's, where a signer signed in for the token, and another one than a token of
    scope ``credential`` is for (CSC-58).

    Raises:
        NotFound: there is none of that id.
    """
    wanted = credential_id(unverified_id)
    if party.credential not in {None, wanted}:
        raise NotFound("the token is for another credential")
    return credential_for(
        uses.session(),
        credential=wanted,
        signer=party.signer,
        public_keys=uses.public_keys,
        settings=uses.settings,
        now=uses.clock(),
    )


def credentials(
    uses: CscUses, party: CallingParty, unverified_login: str | None
) -> Sequence[Credential]:
    """Show a signer's credentials; an unknown login has none (CSC-59, CSC-60).

    Raises:
        RequestRefused: the token says which signer, and the call too; or neither does.
    """
    if party.signer is not None and unverified_login is not None:
        raise RequestRefused("userID parameter MUST be null")
    whose = party.signer or unverified_login
    if whose is None:
        raise RequestRefused("Missing (or invalid type) string parameter userID")
    return credentials_of(
        uses.session(),
        signer=whose,
        public_keys=uses.public_keys,
        settings=uses.settings,
        now=uses.clock(),
    )


def is_explicit(found: Credential, party: CallingParty) -> bool:
    """Whether the signer approves out of band what is asked by CSC; else by OAuth alone.

    There must be a phone. Where phones ask for a number, only our page for OAuth shows it.
    """
    return found.has_phone and not party.asks_number


def credential_id(unverified: str) -> UUID:
    """Read an id.

    Raises:
        NotFound: it is none, so nothing has it.
    """
    try:
        return read_id(unverified)
    except MalformedMessage as error:
        raise NotFound("no such credential") from error


def check_signer(uses: CscUses, party: CallingParty, unverified_id: str) -> None:
    """Where a signer signed in for the token, go no further for another's credential (CSC-87).

    Raises:
        NotFound: it is another's.
    """
    if party.signer is not None:
        credential(uses, party, unverified_id)
        uses.session().commit()  # the steps that follow begin in no other transaction
