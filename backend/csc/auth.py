"""``auth/login`` and ``auth/revoke``, in both editions (CSC API 11.2, 11.3).

1. Who logs in is a relying party, by its client id and secret, and gets what ``client_credentials``
   gives it. A signer's password has no business at a relying party: it is taken on our pages alone.
2. There is no refresh token in it: whoever has the secret needs none.
"""

from http import HTTPStatus
from typing import final

import msgspec
from flask import Blueprint, g, jsonify, request
from flask.typing import ResponseReturnValue

from backend.access.families import revoke_token
from backend.access.registrations import BY_ITSELF, SECRET_METHODS, Registration
from backend.access.relying_parties import relying_party_by_secret
from backend.access.tokens import CREDENTIAL, LIFE, SCOPE, keep_token, new_token
from backend.csc import schemas
from backend.csc.callers import caller, stranger
from backend.csc.schemas import load_body
from backend.csc.uses import CscUses
from backend.errors import LoginFailed, LoginMissing, RequestRefused


@final
class LoginCall(msgspec.Struct, frozen=True, kw_only=True):
    """``auth/login``."""

    refresh_token: str | None


@final
class RevokeCall(msgspec.Struct, frozen=True, kw_only=True):
    """``auth/revoke``."""

    token: str


def add_auth(blueprint: Blueprint, uses: CscUses) -> None:
    """Add both."""

    @blueprint.post("/auth/login")
    def login() -> ResponseReturnValue:
        stranger(uses)
        call = load_body(request, schemas.LoginBody, LoginCall)
        if call.refresh_token is not None:
            raise RequestRefused("Invalid string parameter refresh_token")
        token = log_in(uses)
        return jsonify(access_token=token, expires_in=int(LIFE.total_seconds()))

    @blueprint.post("/auth/revoke")
    def revoke() -> ResponseReturnValue:
        party = caller(uses, SCOPE, CREDENTIAL)
        call = load_body(request, schemas.RevokeBody, RevokeCall)
        if not revoke_token(uses.session(), call.token, relying_party=party.id, now=uses.clock()):
            raise RequestRefused("Invalid string parameter token")
        return "", HTTPStatus.NO_CONTENT


def log_in(uses: CscUses) -> str:
    """Give a token of scope ``service`` to the relying party of the header.

    Raises:
        LoginMissing: there is no HTTP Basic.
        RequestRefused: it holds no id and secret.
        LoginFailed: they are wrong, or not how this relying party proves itself.
        TooManyRequests: too many failed from there, or it asks for too many tokens.
    """
    client_id, secret = _basic()
    with uses.doorman.watching(request.remote_addr, client_id, now=uses.clock()):
        found = relying_party_by_secret(
            uses.session(), unverified_client_id=client_id, unverified_secret=secret
        )
        if found is None or not _may_log_in(found):
            raise LoginFailed("client id or secret is wrong")
    g.client_id = found.client_id
    session = uses.session()
    session.commit()  # which ends the read of who asks
    uses.tokens.take(session, found.id, now=uses.clock())
    token = new_token()
    keep_token(session, token, relying_party=found.id, now=uses.clock())
    return token


def _basic() -> tuple[str, str]:
    """Read the header; what is not ASCII is none (RFC 7617)."""
    header = request.headers.get("Authorization", "")
    if header.partition(" ")[0].lower() != "basic":
        raise LoginMissing("HTTP Basic is needed")
    given = request.authorization if header.isascii() else None
    if given is None or not given.username or not given.password:
        raise RequestRefused("Malformed username-password")
    return given.username, given.password


def _may_log_in(party: Registration) -> bool:
    return (
        SECRET_METHODS[0] in party.auth_methods
        and BY_ITSELF in party.grants
        and SCOPE in party.scopes
    )
