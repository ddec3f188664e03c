"""What both editions of the API do, once a body has been read."""

from collections.abc import Sequence
from typing import Any, final
from uuid import UUID

import msgspec
from flask import g, request

from backend.access.client_certificates import certificate_thumbprint
from backend.access.doorman import network_of
from backend.access.tokens import (
    CREDENTIAL,
    SCOPE,
    CallingParty,
    Possession,
    authenticate_relying_party,
    bearer_token,
)
from backend.algorithms import HashAlgorithm, KeyAlgorithm
from backend.credentials.view import Credential, credential_for, credentials_of
from backend.csc.algorithms import HASH_NAMES, Signing, key_oids
from backend.csc.answers import Certificates
from backend.csc.uses import CscUses
from backend.errors import (
    AlgorithmUnfit,
    AuthorizationExpired,
    AuthorizationInvalid,
    CredentialDisabled,
    HandleInvalid,
    MalformedMessage,
    NotFound,
    RequestRefused,
    SignerFrozen,
    TooManySignatures,
    TransactionOver,
)
from backend.model.tables import TransactionState
from backend.protocol.encoding import read_id, unb64u
from backend.signing.authorization import Authorization, Waiting, authorization
from backend.signing.hashes import MOST_HASHES
from backend.signing.release import Collection, Collector
from backend.signing.request import RequestedTransaction, Requester, SignatureOrder


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


def caller(uses: CscUses, *scopes: str) -> CallingParty:
    """Who calls.

    ``scopes`` are those that the call is for, if it is not ``service`` alone.

    Raises:
        TokenMissing: it brought no token.
        TokenInvalid: the token is not valid, not its bearer's, or of another scope.
        TooManyRequests: it calls more often than it may.
    """
    settings = uses.settings
    found = authenticate_relying_party(
        uses.session(),
        authorization=request.headers.get("Authorization"),
        now=uses.clock(),
        possession=Possession(
            method=request.method,
            address=settings.authorization_server_url.rstrip("/") + request.path,
            dpop=request.headers.get("DPoP"),
            certificate=certificate_thumbprint(request, settings),
        ),
        scopes=frozenset(scopes or (SCOPE,)),
    )
    g.client_id = found.client_id
    uses.calls.take(uses.session(), found.id, now=uses.clock())
    return found


def stranger(uses: CscUses) -> None:
    """Count a call that needs no token, for the address that it comes from.

    Raises:
        TooManyRequests: too many came from there.
    """
    uses.strangers.take(network_of(request.remote_addr), now=uses.clock())


def credential(uses: CscUses, party: CallingParty, unverified_id: str) -> Credential:
    """Show a credential; what is no id at all is as unknown as any other (CSC-69).

    So is another signer's, where a signer signed in for the token, and another one than a token of
    scope ``credential`` is for (CSC-58).

    Raises:
        NotFound: there is none of that id.
    """
    wanted = _credential_id(unverified_id)
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


def ask_signer(
    uses: CscUses, party: CallingParty, call: AuthorizeCall, hash_algorithm: HashAlgorithm
) -> RequestedTransaction:
    """Ask the signer.

    Raises:
        NotFound: there is no such credential.
        RequestRefused: it is disabled; or counts, labels or hashes do not fit.
        SummaryRefused: the typed transaction cannot be shown.
        TooManyRequests: a limit of ``signing/limits.py`` is reached.
        PartyStopped: the signer said "not me".
    """
    _check_signer(uses, party, call.credential_id)
    if call.count > len(call.hashes):
        most = credential(uses, party, call.credential_id).multisign
        if call.count > most:
            raise TooManySignatures(f"more than {most}")
    _check_counts(call)
    order = SignatureOrder(
        relying_party=Requester(
            id=party.id,
            client_id=party.client_id,
            name=party.name,
            asks_number=party.asks_number,
        ),
        credential=_credential_id(call.credential_id),
        hashes=call.hashes,
        hash_alg=HASH_NAMES[hash_algorithm],
        labels=None if call.labels is None else tuple(call.labels),
        fields=call.transaction,
        description=call.description,
        lang=None,
    )
    try:
        return uses.request(uses.session(), order)
    except SignerFrozen as error:
        raise CredentialDisabled("the signer's access is locked") from error


def check_handle(
    uses: CscUses, party: CallingParty, unverified_handle: str
) -> Authorization | Waiting:
    """How the signer answered.

    Raises:
        HandleInvalid: the handle is not this relying party's.
        TransactionOver: there is no approval, and will be none.
        SignerFrozen: the signer's access is locked.
    """
    try:
        return authorization(
            uses.session(),
            handle=unb64u(unverified_handle),
            relying_party=party.id,
            now=uses.clock(),
        )
    except (AuthorizationInvalid, MalformedMessage) as error:
        raise HandleInvalid("the handle is not known") from error


def collect(
    uses: CscUses, party: CallingParty, call: SignCall, signing: Signing
) -> tuple[bytes, ...]:
    """Collect signatures, in the order of the hashes.

    Raises:
        NotFound: there is no such credential.
        RequestRefused: the algorithm is not the key's.
        AuthorizationInvalid: the SAD is not for this, or its time is over.
        TransactionOver: the signer's approval does not count any more.
    """
    _check_signer(uses, party, call.credential_id)
    collection = Collection(
        relying_party=Collector(id=party.id, client_id=party.client_id),
        csc_sad=call.csc_sad or _own_sad(party),
        credential=_credential_id(call.credential_id),
        algorithms=frozenset(each for each in KeyAlgorithm if call.sign_oid in key_oids(each)),
        hashes=call.hashes,
        hash_alg=HASH_NAMES[signing.hash_algorithm],
        scheme=signing.scheme,
        messages=call.messages,
    )
    try:
        return uses.release(uses.session(), collection)
    except AlgorithmUnfit as error:
        raise RequestRefused(f"Invalid parameter signAlgo: {error}") from error
    except (AuthorizationInvalid, RequestRefused):
        # Of two things that are wrong the specification names the other one first.
        known = credential(uses, party, call.credential_id)
        if call.sign_oid not in key_oids(known.algorithm):
            words = f"Invalid parameter signAlgo: {known.algorithm} has another"
            raise RequestRefused(words) from None
        raise
    except TransactionOver as over:
        if over.state == TransactionState.EXPIRED:
            raise AuthorizationExpired("the time to collect is over") from over
        raise


def _check_signer(uses: CscUses, party: CallingParty, unverified_id: str) -> None:
    """Where a signer signed in for the token, go no further for another's credential (CSC-87).

    Raises:
        NotFound: it is another's.
    """
    if party.signer is not None:
        credential(uses, party, unverified_id)
        uses.session().commit()  # the steps that follow begin in no other transaction


def _own_sad(party: CallingParty) -> str:
    """The token itself, where its scope is ``credential`` (CSC API 2.0, 11.10)."""
    if party.scope != CREDENTIAL:
        raise RequestRefused("Missing (or invalid type) string parameter SAD")
    return bearer_token(request.headers.get("Authorization"))


def _credential_id(unverified: str) -> UUID:
    try:
        return read_id(unverified)
    except MalformedMessage as error:
        raise NotFound("no such credential") from error


def _check_counts(call: AuthorizeCall) -> None:
    """CSC API 11.6: hashes and labels as many as signatures."""
    if call.count < 1:
        raise RequestRefused("Invalid value for parameter numSignatures")
    if call.count > MOST_HASHES:
        raise TooManySignatures(f"more than {MOST_HASHES}")
    if call.count != len(call.hashes):
        raise RequestRefused("numSignatures is not the number of hashes")
    if call.labels is not None and call.count != len(call.labels):
        raise RequestRefused("labels: one for each hash")
