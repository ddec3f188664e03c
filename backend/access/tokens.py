"""Who is calling: a relying party, by the access token it was given (RFC 6750, 9449, 8705).

1. A token is 256 random bits; only its SHA-256 is kept, so a stolen database calls nobody's API.
2. It dies after an hour, at once when it is revoked, and with its relying party. One of scope
   ``credential`` is the ``csc_sad`` of what a signer approved, and lives for minutes.
3. One that is bound to a key or a certificate counts only with a proof that its bearer holds it.
4. What has expired is deleted when that relying party gets its next one.
"""

import secrets
from datetime import datetime, timedelta
from typing import Any, Final, final
from uuid import UUID

import msgspec
from sqlalchemy import Row, delete, insert, select
from sqlalchemy.orm import Session

from backend.access.client_certificates import x5t
from backend.access.dpop import DpopRequest, jkt, verify_dpop
from backend.errors import DpopRefused, InsufficientScope, TokenInvalid, TokenMissing
from backend.model.steps import look, table_of, value
from backend.model.tables import AccessToken, RelyingParty
from backend.protocol.encoding import sha256

SCHEME: Final = "bearer"
DPOP: Final = "dpop"
SCOPE: Final = "service"
CREDENTIAL: Final = "credential"
"""The scope of a token that is the ``csc_sad`` of one approval."""
TOKEN_BYTES: Final = 32
LIFE: Final = timedelta(hours=1)
LONGEST_TOKEN: Final = 512


@final
class CallingParty(msgspec.Struct, frozen=True, kw_only=True):
    """A relying party that proved who it is."""

    id: UUID
    client_id: str
    name: str
    asks_number: bool
    scope: str = SCOPE
    signer: UUID | None = None
    """For whom it calls, where that signer signed in for it."""
    credential: UUID | None = None
    """Scope ``credential``: the one that the token is for."""


@final
class TokenFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a new token is for."""

    relying_party: UUID
    scope: str
    expires_at: datetime
    signer: UUID | None = None
    credential: UUID | None = None
    authorization: UUID | None = None
    """Its family."""
    bound_to: str | None = None


@final
class Possession(msgspec.Struct, frozen=True, kw_only=True):
    """What a request shows besides its token."""

    method: str
    address: str
    """scheme://host[:port]/path, as our settings name this server."""
    dpop: str | None = None
    """The header ``DPoP``."""
    certificate: bytes | None = None
    """Thumbprint of the TLS certificate, as a proxy of ours says."""


def new_token() -> str:
    """Make a token."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_hash(unverified_token: str) -> bytes:
    """What a token is known by."""
    return bytes(sha256(unverified_token.encode("utf-8", "replace")))


def add_token(session: Session, token: str, facts: TokenFacts, *, now: datetime) -> None:
    """Keep what a token is known by, and forget what has expired. Does not commit."""
    session.execute(
        delete(AccessToken)
        .where(AccessToken.relying_party_id == facts.relying_party, AccessToken.expires_at <= now)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        insert(AccessToken).values(
            token_hash=token_hash(token),
            relying_party_id=facts.relying_party,
            scope=facts.scope,
            expires_at=facts.expires_at,
            revoked_at=None,
            signer_id=facts.signer,
            credential_id=facts.credential,
            authorization_id=facts.authorization,
            bound_to=facts.bound_to,
        )
    )


def keep_token(
    session: Session,
    token: str,
    *,
    relying_party: UUID,
    now: datetime,
    bound_to: str | None = None,
) -> None:
    """Keep a token that a relying party got by itself. Commits."""
    facts = TokenFacts(
        relying_party=relying_party, scope=SCOPE, expires_at=now + LIFE, bound_to=bound_to
    )
    add_token(session, token, facts, now=now)
    session.commit()


def bearer_token(authorization: str | None) -> str:
    """Take the token out of the header (RFC 6750, 2.1; RFC 9449, 7.1).

    Raises:
        TokenMissing: there is no token.
    """
    scheme, _, token = (authorization or "").partition(" ")
    is_known = scheme.lower() in {SCHEME, DPOP}
    if not is_known or not token or len(token) > LONGEST_TOKEN or not token.isascii():
        raise TokenMissing("a token is needed: Authorization: Bearer …")
    return token


_BEARER: Final = (
    select(
        RelyingParty.id,
        RelyingParty.client_id,
        RelyingParty.name,
        RelyingParty.asks_number,
        AccessToken.scope,
        AccessToken.signer_id,
        AccessToken.credential_id,
        AccessToken.bound_to,
    )
    .join(AccessToken, AccessToken.relying_party_id == RelyingParty.id)
    .where(
        AccessToken.token_hash == value(table_of(AccessToken).c.token_hash),
        AccessToken.expires_at > value(table_of(AccessToken).c.expires_at, "now"),
        AccessToken.revoked_at.is_(None),
        RelyingParty.disabled_at.is_(None),
    )
)


def authenticate_relying_party(
    session: Session,
    *,
    authorization: str | None,
    now: datetime,
    possession: Possession | None = None,
    scopes: frozenset[str] = frozenset({SCOPE}),
) -> CallingParty:
    """Find who bears a token. Nothing of the database is held afterwards, while a body comes.

    Args:
        session: in whose transaction it happens.
        authorization: the header, as it came.
        now: the time.
        possession: what else the request shows; without it no bound token counts.
        scopes: those that the call is for.

    Raises:
        TokenMissing: there is no token.
        InsufficientScope: it has another scope.
        TokenInvalid: it is unknown, expired or revoked, its relying party is disabled, or what it
            is bound to was not shown.
    """
    token = bearer_token(authorization)
    found = look(session, _BEARER, {"token_hash": token_hash(token), "now": now})
    if found is None:
        raise TokenInvalid("the token is unknown, expired or revoked")
    _check_possession(session, found, authorization or "", possession, now=now)
    if found.scope not in scopes:
        raise InsufficientScope(f"the token's scope is {found.scope}")
    return CallingParty(
        id=found.id,
        client_id=found.client_id,
        name=found.name,
        asks_number=found.asks_number,
        scope=found.scope,
        signer=found.signer_id,
        credential=found.credential_id,
    )


def _check_possession(
    session: Session,
    found: Row[*tuple[Any, ...]],
    authorization: str,
    possession: Possession | None,
    *,
    now: datetime,
) -> None:
    """Demand what a token is bound to, and the scheme that says so (RFC 9449, 7.2)."""
    scheme, _, token = authorization.partition(" ")
    says_dpop = scheme.lower() == DPOP
    shown = None
    if possession is not None and says_dpop:
        if possession.dpop is None:
            raise DpopRefused("a DPoP proof is needed")
        asked = DpopRequest(method=possession.method, address=possession.address, token=token)
        shown = jkt(verify_dpop(session, possession.dpop, asked, now=now))
        session.commit()
    elif possession is not None and possession.certificate is not None:
        shown = x5t(possession.certificate)
    is_bound = found.bound_to is not None
    if (is_bound and found.bound_to != shown) or (says_dpop and not is_bound):
        raise TokenInvalid("the token is not its bearer's")
