"""CSC API 2.2: the phone approves out of band, the relying party polls for it (clause 13.5)."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final, final

import msgspec
from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from backend.access.tokens import CREDENTIAL, SCOPE, CallingParty
from backend.credentials.view import Credential
from backend.csc import schemas
from backend.csc.algorithms import hash_of_oid, signing_of
from backend.csc.answers import (
    APP,
    Certificates,
    authentication,
    credential_info,
    sad_of,
    service_info_v2,
    signatures,
)
from backend.csc.auth import add_auth
from backend.csc.authorizing import ask_signer, check_challenge, check_handle, extend_sad
from backend.csc.callers import caller, stranger
from backend.csc.calls import (
    AuthorizeCall,
    ChallengeCall,
    CheckCall,
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
from backend.errors import AuthDataRefused
from backend.protocol.encoding import b64u
from backend.signing.authorization import Waiting

HASH_OID: Final = "hashAlgorithmOID"
_CODE: Final = "is of CSC API v1; here the signer approves on the phone"
FOREIGN: Final = {
    "hash": "is of CSC API v1; v2 has hashes",
    "hashAlgo": f"is of CSC API v1; v2 has {HASH_OID}",
    "PIN": _CODE,
    "OTP": _CODE,
}
"""CSC-129."""


@final
class ListCall(msgspec.Struct, frozen=True, kw_only=True):
    """``credentials/list``."""

    user_id: str | None
    credential_info: bool
    only_valid: bool
    certificates: Certificates
    cert_info: bool


def add_v2(blueprint: Blueprint, uses: CscUses) -> None:
    """Add its methods."""
    add_auth(blueprint, uses)
    _add_credentials(blueprint, uses)
    _add_signing(blueprint, uses)

    @blueprint.post("/info")
    def info() -> ResponseReturnValue:
        stranger(uses)
        load_body(request, schemas.CscBody, schemas.Nothing)
        return jsonify(service_info_v2(uses.settings))


def _add_credentials(blueprint: Blueprint, uses: CscUses) -> None:
    @blueprint.post("/credentials/list")
    def credentials_list() -> ResponseReturnValue:
        party = caller(uses)
        call = load_body(request, schemas.ListBody, ListCall)
        return jsonify(_list(credentials(uses, party, call.user_id), call, party))

    @blueprint.post("/credentials/info")
    def credentials_info() -> ResponseReturnValue:
        party = caller(uses, SCOPE, CREDENTIAL)
        call = load_body(request, schemas.InfoBody, InfoCall)
        return jsonify(_info(credential(uses, party, call.credential_id), call, party))

    @blueprint.post("/credentials/getChallenge")
    def get_challenge() -> ResponseReturnValue:
        """Send nothing: the phone gets its challenge when the signer is asked."""
        party = caller(uses)
        call = load_body(request, schemas.ChallengeBody, ChallengeCall)
        check_challenge(uses, party, call)
        return "", HTTPStatus.NO_CONTENT


def _add_signing(blueprint: Blueprint, uses: CscUses) -> None:
    @blueprint.post("/credentials/authorize")
    def authorize() -> ResponseReturnValue:
        party = caller(uses)
        call = load_body(request, schemas.AuthorizeBody, AuthorizeCall, foreign=FOREIGN)
        _check_auth_data(call)
        hash_algorithm = hash_of_oid(call.hash_oid, parameter=HASH_OID)
        asked = ask_signer(uses, party, call, hash_algorithm)
        return jsonify(handle=b64u(asked.handle)), HTTPStatus.ACCEPTED

    @blueprint.post("/credentials/authorizeCheck")
    def authorize_check() -> ResponseReturnValue:
        party = caller(uses)
        call = load_body(request, schemas.CheckBody, CheckCall)
        found = check_handle(uses, party, call.handle)
        if isinstance(found, Waiting):
            return jsonify(handle=call.handle), HTTPStatus.ACCEPTED
        return jsonify(sad_of(found))

    @blueprint.post("/credentials/extendTransaction")
    def extend_transaction() -> ResponseReturnValue:
        party = caller(uses)
        call = load_body(request, schemas.ExtendBody, ExtendCall, foreign=FOREIGN)
        return jsonify(sad_of(extend_sad(uses, party, call)))

    @blueprint.post("/signatures/signHash")
    def sign_hash() -> ResponseReturnValue:
        party = caller(uses, SCOPE, CREDENTIAL)
        call = load_body(request, schemas.SignBody, SignCall, foreign=FOREIGN)
        signing = signing_of(
            call.sign_oid,
            hash_oid=call.hash_oid,
            parameters=call.parameters,
            hash_parameter=HASH_OID,
        )
        return jsonify(signatures(collect(uses, party, call, signing)))


def _check_auth_data(call: AuthorizeCall) -> None:
    """Let pass nothing, or the phone's object alone: a value would have come through the caller."""
    for given in call.auth_data or []:
        if given["id"] != APP or given["value"] is not None:
            raise AuthDataRefused("authData names the phone, by id alone")


def _list(found: Sequence[Credential], call: ListCall, party: CallingParty) -> dict[str, Any]:
    chosen = [each for each in found if each.usable or not call.only_valid]
    answer: dict[str, Any] = {"credentialIDs": [str(each.id) for each in chosen]}
    if call.credential_info:
        answer["credentialInfos"] = [
            {"credentialID": str(each.id), **_info(each, call, party)} for each in chosen
        ]
    if call.only_valid:
        answer["onlyValid"] = True
    return answer


def _info(found: Credential, call: InfoCall | ListCall, party: CallingParty) -> dict[str, Any]:
    told = credential_info(found, certificates=call.certificates, cert_info=call.cert_info)
    return told | {"auth": authentication(explicit=is_explicit(found, party))}
