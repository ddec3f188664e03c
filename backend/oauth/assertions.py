"""``private_key_jwt`` (RFC 7523, 3): a relying party signs who it is, with a registered key.

1. ES256 and PS256 alone, by a key of the registered set; nothing in the message brings a key.
2. It is for this server (its issuer's name, or the address of a token end point), made by the
   client itself, lives an hour at most, and counts once (T-04).
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, final

import msgspec
from authlib.oauth2.rfc6749 import InvalidClientError
from authlib.oauth2.rfc7523.client import ASSERTION_TYPE
from flask import request
from joserfc import jws
from joserfc.errors import JoseError
from sqlalchemy.orm import Session

from backend.access.registrations import KEY_METHOD, Registration, find_registration, read_keys
from backend.access.used_ids import use_up
from backend.errors import CellkeyError, MalformedMessage, Unauthenticated
from backend.oauth.clients import Client, watching
from backend.oauth.uses import OauthUses
from backend.protocol.ask import UnixSeconds
from backend.protocol.encoding import ascii_bytes, unb64u
from backend.protocol.known_types import known
from backend.settings import Settings

ALGORITHMS: Final = ("ES256", "PS256")
LONGEST_ASSERTION: Final = 8 * 1024
LONGEST_LIFE_SECONDS: Final = 3600
"""As Authlib's client gives them, and no other; each counts once all the same."""
SKEW_SECONDS: Final = 60
JWS_PARTS: Final = 3
_NOT_VALID: Final = (CellkeyError, JoseError, ValueError, msgspec.MsgspecError)
_REGISTRY: Final = jws.JWSRegistry(algorithms=list(ALGORITHMS))


@final
class _Claims(msgspec.Struct, frozen=True, kw_only=True):
    iss: str
    sub: Annotated[str, msgspec.Meta(max_length=100)]
    aud: str | tuple[str, ...]
    exp: UnixSeconds
    jti: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    nbf: UnixSeconds | None = None


def client_by_assertion(uses: OauthUses) -> Client | None:
    """Find who signed the form's assertion, and use it up. ``None``: there is none.

    Raises:
        InvalidClientError: it is not valid; what is wrong with it is not said (T-17).
        TooManyRequests: too many failed from there.
    """
    form = request.form
    if form.get("client_assertion_type") != ASSERTION_TYPE or "client_assertion" not in form:
        return None
    unverified = form["client_assertion"]
    try:
        with watching(uses, _unverified_maker(unverified)):
            return Client(_prove(uses, unverified))
    except Unauthenticated as error:
        words = "The client assertion is not valid"
        raise InvalidClientError(status_code=401, description=words) from error


def _unverified_maker(unverified: str) -> str:
    """Who the assertion says has made it; nobody, where it cannot be read."""
    try:
        return _unverified_claims(unverified).sub
    except _NOT_VALID:
        return ""


def _prove(uses: OauthUses, unverified: str) -> Registration:
    session = uses.session()
    try:
        return _verified(session, unverified, uses.settings, uses.clock())
    except _NOT_VALID as error:
        session.rollback()
        raise Unauthenticated("the client assertion is not valid") from error


def _unverified_claims(unverified: str) -> _Claims:
    ascii_bytes(unverified, longest=LONGEST_ASSERTION)
    parts = unverified.split(".")
    if len(parts) != JWS_PARTS:
        raise MalformedMessage("not a compact JWS")
    return msgspec.json.decode(unb64u(parts[1]), type=known(_Claims))


def _verified(session: Session, unverified: str, settings: Settings, now: datetime) -> Registration:
    named = _unverified_claims(unverified)
    found = find_registration(session, named.sub)
    if found is None or found.jwks is None or KEY_METHOD not in found.auth_methods:
        raise MalformedMessage("no client that signs")
    verified = jws.deserialize_compact(unverified, read_keys(found.jwks), registry=_REGISTRY)
    claims = msgspec.json.decode(verified.payload, type=known(_Claims))
    _check(claims, settings, now)
    until = datetime.fromtimestamp(claims.exp, UTC) + timedelta(seconds=SKEW_SECONDS + 1)
    use_up(session, claims.jti, purpose=KEY_METHOD, maker=claims.sub, until=until)
    session.commit()
    return found


def _check(claims: _Claims, settings: Settings, now: datetime) -> None:
    at = int(now.timestamp())
    here = settings.authorization_server_url.rstrip("/")
    accepted = {here, f"{here}/oauth2/token", f"{here}{request.path}"}
    audience = {claims.aud} if isinstance(claims.aud, str) else set(claims.aud)
    if claims.iss != claims.sub or not audience & accepted:
        raise MalformedMessage("for another server, or in another's name")
    if not at - SKEW_SECONDS < claims.exp <= at + LONGEST_LIFE_SECONDS + SKEW_SECONDS:
        raise MalformedMessage("too old, or for too long")
    if claims.nbf is not None and claims.nbf > at + SKEW_SECONDS:
        raise MalformedMessage("not yet")
    if request.form.get("client_id", claims.sub) != claims.sub:
        raise MalformedMessage("client_id is another's")
