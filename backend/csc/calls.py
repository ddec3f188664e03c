"""What both editions of the API do, once a body has been read."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask import request

from backend.access.tokens import CallingParty, authenticate_relying_party
from backend.algorithms import HashAlgorithm, SignatureScheme
from backend.credentials.view import Credential, credential_for, credentials_of
from backend.csc.algorithms import HASH_NAMES, SIGN_OIDS, key_oids
from backend.csc.uses import CscUses
from backend.errors import AuthorizationInvalid, MalformedMessage, NotFound, RequestRefused
from backend.protocol.encoding import read_id, unb64u
from backend.signing.release import Collection, Collector
from backend.signing.request import RequestedTransaction, Requester, SignatureOrder

HANDLE_BYTES = 32


def caller(uses: CscUses) -> CallingParty:
    """Who calls.

    Raises:
        TokenMissing: it brought no bearer token.
        TokenInvalid: the token is not valid.
    """
    return authenticate_relying_party(
        uses.session(), authorization=request.headers.get("Authorization"), now=uses.clock()
    )


def credential_id(unverified: str) -> UUID:
    """Read a ``credentialID``; what is none is as unknown as a foreign one (CSC-69).

    Raises:
        NotFound: it is none.
    """
    try:
        return read_id(unverified)
    except MalformedMessage as error:
        raise NotFound("no such credential") from error


def credential(uses: CscUses, unverified_id: str) -> Credential:
    """Show a credential.

    Raises:
        NotFound: there is none of that id.
    """
    return credential_for(
        uses.session(),
        credential=credential_id(unverified_id),
        public_keys=uses.public_keys,
        settings=uses.settings,
        now=uses.clock(),
    )


def credentials(uses: CscUses, login: str) -> Sequence[Credential]:
    """Show a signer's credentials; an unknown login has none."""
    return credentials_of(
        uses.session(),
        login=login,
        public_keys=uses.public_keys,
        settings=uses.settings,
        now=uses.clock(),
    )


def ask_signer(
    uses: CscUses,
    party: CallingParty,
    body: dict[str, Any],
    *,
    hashes: tuple[bytes, ...],
    hash_algorithm: HashAlgorithm,
) -> RequestedTransaction:
    """Ask the signer (``credentials/authorize``).

    Raises:
        RequestRefused: counts, labels or hashes do not fit.
        SummaryRefused: the typed transaction cannot be shown.
    """
    found = credential(uses, body["credentialID"])
    if not found.key_enabled:
        raise RequestRefused(f"The credential identified by credentialID {found.id} is disabled")
    _check_count(body["numSignatures"], hashes, most=found.multisign)
    labels = body.get("labels")
    if labels is not None and len(labels) != len(hashes):
        raise RequestRefused("labels: one for each hash")
    order = SignatureOrder(
        relying_party=Requester(id=party.id, client_id=party.client_id, name=party.name),
        credential=found.id,
        hashes=hashes,
        hash_alg=HASH_NAMES[hash_algorithm],
        labels=None if labels is None else tuple(labels),
        fields=body.get("transaction"),
        description=body.get("description"),
        lang=None,
    )
    return uses.request(uses.session(), order)


def _check_count(wanted: int, hashes: tuple[bytes, ...], *, most: int) -> None:
    """CSC API 11.6: the numbers."""
    if wanted < 1:
        raise RequestRefused("Invalid value for parameter numSignatures")
    if wanted > most:
        raise RequestRefused("Numbers of signatures is too high")
    if wanted != len(hashes):
        raise RequestRefused("numSignatures is not the number of hashes")


def collect(
    uses: CscUses,
    party: CallingParty,
    body: dict[str, Any],
    *,
    hashes: tuple[bytes, ...],
    signing: tuple[SignatureScheme, HashAlgorithm],
) -> tuple[bytes, ...]:
    """Collect signatures (``signatures/signHash``).

    Raises:
        RequestRefused: the algorithm is not the key's.
        AuthorizationInvalid: the SAD is not for this.
    """
    found = credential(uses, body["credentialID"])
    if body["signAlgo"] not in key_oids(found.algorithm):
        known = body["signAlgo"] in SIGN_OIDS
        raise RequestRefused(f"Invalid parameter signAlgo{' for this key' if known else ''}")
    scheme, hash_algorithm = signing
    collection = Collection(
        relying_party=Collector(id=party.id, client_id=party.client_id),
        csc_sad=body["SAD"],
        credential=found.id,
        hashes=hashes,
        hash_alg=HASH_NAMES[hash_algorithm],
        scheme=scheme,
    )
    return uses.release(uses.session(), collection)


def read_handle(unverified: str) -> bytes:
    """Read a handle.

    Raises:
        AuthorizationInvalid: it is none.
    """
    try:
        handle = unb64u(unverified)
    except MalformedMessage as error:
        raise AuthorizationInvalid("the handle is not known") from error
    if len(handle) != HANDLE_BYTES:
        raise AuthorizationInvalid("the handle is not known")
    return handle
