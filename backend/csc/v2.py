"""CSC API 2.2: the phone approves out of band, the relying party polls for it (clause 13.5)."""

import base64
from http import HTTPStatus
from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from backend.credentials.view import Credential
from backend.csc.algorithms import hash_of_oid, signing_of
from backend.csc.answers import APP, authentication, credential_info, service_info_v2
from backend.csc.calls import (
    ask_signer,
    caller,
    collect,
    credential,
    credentials,
    read_handle,
)
from backend.csc.errors import csc_error
from backend.csc.schemas import AuthorizeBody, CheckBody, CscBody, InfoBody, ListBody, SignBody
from backend.csc.schemas import load_body as load
from backend.csc.uses import CscUses
from backend.errors import AuthorizationInvalid
from backend.protocol.encoding import b64u
from backend.signing.authorization import Waiting, authorization

FOREIGN = ("hash", "hashAlgo", "PIN", "OTP")
"""Members of v1 that would be passed over in silence (CSC-129)."""


def add_v2(blueprint: Blueprint, uses: CscUses) -> None:
    """Add the six methods."""

    @blueprint.post("/info")
    def info() -> ResponseReturnValue:
        load(request, CscBody())
        return jsonify(service_info_v2(uses.settings))

    @blueprint.post("/credentials/list")
    def credentials_list() -> ResponseReturnValue:
        caller(uses)
        return jsonify(_list(uses, load(request, ListBody())))

    @blueprint.post("/credentials/info")
    def credentials_info() -> ResponseReturnValue:
        caller(uses)
        body = load(request, InfoBody())
        found = credential(uses, body["credentialID"])
        return jsonify(_info(found, body))

    @blueprint.post("/credentials/authorize")
    def authorize() -> ResponseReturnValue:
        party = caller(uses)
        body = load(request, AuthorizeBody(), foreign=FOREIGN)
        if not _is_out_of_band(body.get("authData")):
            words = "The authentication data is invalid"
            return csc_error("invalid_authentication_data", words, HTTPStatus.BAD_REQUEST)
        hash_algorithm = hash_of_oid(body["hashAlgorithmOID"], parameter="hashAlgorithmOID")
        asked = ask_signer(uses, party, body, hashes=body["hashes"], hash_algorithm=hash_algorithm)
        return jsonify(handle=b64u(asked.handle)), HTTPStatus.ACCEPTED

    @blueprint.post("/credentials/authorizeCheck")
    def authorize_check() -> ResponseReturnValue:
        party = caller(uses)
        body = load(request, CheckBody())
        try:
            found = authorization(
                uses.session(),
                handle=read_handle(body["handle"]),
                relying_party=party.id,
                now=uses.clock(),
            )
        except AuthorizationInvalid:
            words = "Invalid parameter handle"
            return csc_error("invalid_request", words, HTTPStatus.BAD_REQUEST)
        if isinstance(found, Waiting):
            return jsonify(handle=body["handle"]), HTTPStatus.ACCEPTED
        return jsonify(SAD=found.csc_sad, expiresIn=found.expires_in)

    @blueprint.post("/signatures/signHash")
    def sign_hash() -> ResponseReturnValue:
        party = caller(uses)
        body = load(request, SignBody(), foreign=FOREIGN)
        signing = signing_of(
            body["signAlgo"],
            hash_oid=body.get("hashAlgorithmOID"),
            parameters=body.get("signAlgoParams"),
            hash_parameter="hashAlgorithmOID",
        )
        signatures = collect(uses, party, body, hashes=body["hashes"], signing=signing)
        return jsonify(signatures=[base64.b64encode(each).decode("ascii") for each in signatures])


def _is_out_of_band(answers: list[dict[str, Any]] | None) -> bool:
    """Nothing, or the phone's object without a value: a value would pass through the caller."""
    return all(answer["id"] == APP and "value" not in answer for answer in answers or [])


def _list(uses: CscUses, body: dict[str, Any]) -> dict[str, Any]:
    found = [
        each for each in credentials(uses, body["userID"]) if each.usable or not body["onlyValid"]
    ]
    answer: dict[str, Any] = {"credentialIDs": [str(each.id) for each in found]}
    if body["credentialInfo"]:
        answer["credentialInfos"] = [
            {"credentialID": str(each.id)} | _info(each, body) for each in found
        ]
    if body["onlyValid"]:
        answer["onlyValid"] = True
    return answer


def _info(found: Credential, body: dict[str, Any]) -> dict[str, Any]:
    told = credential_info(found, certificates=body["certificates"], cert_info=body["certInfo"])
    return told | {"auth": authentication()}
