"""CSC API 1.0.4: the same service for clients that know no handle.

1. ``credentials/authorize`` is *implicit*: the call blocks until the phone has answered. If nobody
   waits for the answer any more, the request is cancelled (CSC-128).
2. It names no hash algorithm, so the length of the hashes does: 32, 48 or 64 bytes mean SHA-256,
   -384 or -512, and ``signHash`` must agree.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final, final

import msgspec
from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from backend.access.tokens import CREDENTIAL, SCOPE, CallingParty
from backend.algorithms import HASH_BY_LENGTH, HashAlgorithm
from backend.credentials.view import Credential
from backend.csc import schemas
from backend.csc.algorithms import signing_of
from backend.csc.answers import V1_METHODS, credential_info, sad_of, service_info, signatures
from backend.csc.auth import add_auth
from backend.csc.authorizing import ask_signer, extend_sad
from backend.csc.broken_off import is_gone
from backend.csc.callers import caller, stranger
from backend.csc.calls import (
    AuthorizeCall,
    ExtendCall,
    InfoCall,
    SignCall,
    credential,
    credentials,
    is_explicit,
)
from backend.csc.collecting import collect
from backend.csc.schemas import load_body
from backend.csc.uses import CscUses
from backend.errors import RequestRefused
from backend.signing.authorization import Authorization, wait_for_authorization

HASH_OID: Final = "hashAlgo"
FOREIGN: Final = {
    "hashes": "is of CSC API v2; v1 has hash",
    "hashAlgorithmOID": f"is of CSC API v2; v1 has {HASH_OID}",
    "authData": "is of CSC API v2; here the signer approves on the phone",
}
"""CSC-129."""
CODES: Final = dict.fromkeys(("PIN", "OTP"), "is not used; the signer approves on the phone")
"""A code at the relying party cannot be sole control (TS 119 432, 6.2)."""


@final
class ListCall(msgspec.Struct, frozen=True, kw_only=True):
    """``credentials/list``."""

    user_id: str | None
    most: int | None
    page_token: str | None


def add_v1(blueprint: Blueprint, uses: CscUses) -> None:
    """Add its methods."""
    add_auth(blueprint, uses)

    @blueprint.post("/info")
    def info() -> ResponseReturnValue:
        stranger(uses)
        load_body(request, schemas.CscBody, schemas.Nothing)
        return jsonify(service_info(uses.settings, specs="1.0.4.0", methods=V1_METHODS))

    @blueprint.post("/credentials/list")
    def credentials_list() -> ResponseReturnValue:
        party = caller(uses)
        call = load_body(request, schemas.OldListBody, ListCall)
        found = credentials(uses, party, call.user_id)
        return jsonify(page([str(each.id) for each in found], call))

    @blueprint.post("/credentials/info")
    def credentials_info() -> ResponseReturnValue:
        party = caller(uses, SCOPE, CREDENTIAL)
        call = load_body(request, schemas.InfoBody, InfoCall)
        return jsonify(_info(credential(uses, party, call.credential_id), call, party))

    @blueprint.post("/credentials/authorize")
    def authorize() -> ResponseReturnValue:
        party = caller(uses)
        call = load_body(request, schemas.OldAuthorizeBody, AuthorizeCall, foreign=FOREIGN | CODES)
        with uses.seats.taken_by(party.id):
            found = _wait(uses, party, call)
        return jsonify(sad_of(found))

    @blueprint.post("/credentials/extendTransaction")
    def extend_transaction() -> ResponseReturnValue:
        party = caller(uses)
        call = load_body(request, schemas.OldExtendBody, ExtendCall, foreign=FOREIGN)
        return jsonify(sad_of(extend_sad(uses, party, call)))

    @blueprint.post("/signatures/signHash")
    def sign_hash() -> ResponseReturnValue:
        party = caller(uses, SCOPE, CREDENTIAL)
        call = load_body(request, schemas.OldSignBody, SignCall, foreign=FOREIGN)
        signing = signing_of(
            call.sign_oid,
            hash_oid=call.hash_oid,
            parameters=call.parameters,
            hash_parameter=HASH_OID,
        )
        if _meant_by(call.hashes) is not signing.hash_algorithm:
            raise RequestRefused("Invalid digest value length")
        return jsonify(signatures(collect(uses, party, call, signing)))


def page(ids: Sequence[str], call: ListCall) -> dict[str, Any]:
    """Choose a page of credentials; a page token is the last id that was told (CSC-125).

    Raises:
        RequestRefused: the token is none of these ids.
    """
    first = 0
    if call.page_token is not None:
        if call.page_token not in ids:
            raise RequestRefused("Invalid parameter pageToken")
        first = ids.index(call.page_token) + 1
    chosen = ids[first : None if call.most is None else first + call.most]
    told: dict[str, Any] = {"credentialIDs": chosen}
    if first + len(chosen) < len(ids):
        told["nextPageToken"] = chosen[-1]
    return told


def _wait(uses: CscUses, party: CallingParty, call: AuthorizeCall) -> Authorization:
    asked = ask_signer(uses, party, call, _meant_by(call.hashes))
    environ = request.environ
    return wait_for_authorization(
        uses.sessions,
        transaction=asked.id,
        handle=asked.handle,
        relying_party=party.id,
        until=uses.clock() + timedelta(seconds=uses.settings.implicit_wait_seconds),
        clock=uses.clock,
        gone=lambda: is_gone(environ),
        watching=uses.watching,
    )


def _meant_by(hashes: Sequence[bytes]) -> HashAlgorithm:
    """The hash algorithm that the hashes' length names.

    Raises:
        RequestRefused: none, or more than one.
    """
    lengths = {len(value) for value in hashes}
    if len(lengths) != 1 or not lengths <= HASH_BY_LENGTH.keys():
        raise RequestRefused("Invalid digest value length")
    return HASH_BY_LENGTH[lengths.pop()]


def _info(found: Credential, call: InfoCall, party: CallingParty) -> dict[str, Any]:
    told = credential_info(found, certificates=call.certificates, cert_info=call.cert_info)
    return told | {"authMode": "implicit" if is_explicit(found, party) else "oauth2code"}
