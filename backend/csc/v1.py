"""CSC API 1.0.4: the same service for clients that know no handle.

``credentials/authorize`` is *implicit*: the call blocks until the phone has answered. It names no
hash algorithm, so the length of the hashes does: 32, 48 or 64 bytes mean SHA-256, -384 or -512, and
``signHash`` must agree.
"""

import base64
from datetime import timedelta
from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from backend.algorithms import HashAlgorithm
from backend.credentials.view import Credential
from backend.csc.algorithms import HASH_BY_LENGTH, signing_of
from backend.csc.answers import V1_METHODS, credential_info, service_info
from backend.csc.caller import is_gone
from backend.csc.calls import ask_signer, caller, collect, credential, credentials
from backend.csc.schemas import CscBody, InfoBody, OldAuthorizeBody, OldListBody, OldSignBody
from backend.csc.schemas import load_body as load
from backend.csc.uses import CscUses
from backend.errors import RequestRefused
from backend.signing.authorization import wait_for_authorization

FOREIGN = ("hashes", "hashAlgorithmOID", "authData")
"""Members of v2 that would be passed over in silence (CSC-129)."""
CODES = ("PIN", "OTP")
"""Codes at the relying party cannot be sole control (TS 119 432, 6.2)."""


def add_v1(blueprint: Blueprint, uses: CscUses) -> None:
    """Add the five methods."""

    @blueprint.post("/info")
    def info() -> ResponseReturnValue:
        load(request, CscBody())
        return jsonify(service_info(uses.settings, version="1.0.4.0", methods=V1_METHODS))

    @blueprint.post("/credentials/list")
    def credentials_list() -> ResponseReturnValue:
        caller(uses)
        body = load(request, OldListBody())
        if "pageToken" in body:
            raise RequestRefused("Invalid parameter pageToken")
        return jsonify(credentialIDs=[str(each.id) for each in credentials(uses, body["userID"])])

    @blueprint.post("/credentials/info")
    def credentials_info() -> ResponseReturnValue:
        caller(uses)
        body = load(request, InfoBody())
        return jsonify(_info(credential(uses, body["credentialID"]), body))

    @blueprint.post("/credentials/authorize")
    def authorize() -> ResponseReturnValue:
        party = caller(uses)
        body = load(request, OldAuthorizeBody(), foreign=FOREIGN + CODES)
        hashes: tuple[bytes, ...] = body["hash"]
        asked = ask_signer(uses, party, body, hashes=hashes, hash_algorithm=_meant(hashes))
        environ = request.environ
        found = wait_for_authorization(
            uses.sessions,
            transaction=asked.id,
            handle=asked.handle,
            relying_party=party.id,
            until=uses.clock() + timedelta(seconds=uses.settings.implicit_wait_seconds),
            clock=uses.clock,
            gone=lambda: is_gone(environ),
        )
        return jsonify(SAD=found.csc_sad, expiresIn=found.expires_in)

    @blueprint.post("/signatures/signHash")
    def sign_hash() -> ResponseReturnValue:
        party = caller(uses)
        body = load(request, OldSignBody(), foreign=FOREIGN)
        signing = signing_of(
            body["signAlgo"],
            hash_oid=body.get("hashAlgo"),
            parameters=body.get("signAlgoParams"),
            hash_parameter="hashAlgo",
        )
        if _meant(body["hash"]) is not signing[1]:
            raise RequestRefused("Invalid digest value length")
        signatures = collect(uses, party, body, hashes=body["hash"], signing=signing)
        return jsonify(signatures=[base64.b64encode(each).decode("ascii") for each in signatures])


def _meant(hashes: tuple[bytes, ...]) -> HashAlgorithm:
    """The hash algorithm that the hashes' length names.

    Raises:
        RequestRefused: none, or more than one.
    """
    lengths = {len(value) for value in hashes}
    if len(lengths) != 1 or not lengths <= HASH_BY_LENGTH.keys():
        raise RequestRefused("Invalid digest value length")
    return HASH_BY_LENGTH[lengths.pop()]


def _info(found: Credential, body: dict[str, Any]) -> dict[str, Any]:
    told = credential_info(found, certificates=body["certificates"], cert_info=body["certInfo"])
    return told | {"authMode": "implicit"}
