"""Who is calling: a relying party, by the bearer token it was given (RFC 6750).

1. A token is 256 random bits; only its SHA-256 is kept, so a stolen database calls nobody's API.
2. It dies after an hour, at once when it is revoked, and with its relying party.
3. What has expired is deleted when that relying party gets its next one.
"""

import secrets
from datetime import datetime, timedelta
from typing import Final, final
from uuid import UUID

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from backend.errors import TokenInvalid, TokenMissing
from backend.model.steps import look, table_of, value
from backend.model.tables import AccessToken, RelyingParty
from backend.protocol.encoding import sha256

SCHEME: Final = "bearer"
SCOPE: Final = "service"
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


def new_token() -> str:
    """Make a token."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def keep_token(session: Session, token: str, *, relying_party: UUID, now: datetime) -> None:
    """Keep what a token is known by. Commits."""
    session.execute(
        delete(AccessToken)
        .where(AccessToken.relying_party_id == relying_party, AccessToken.expires_at <= now)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        insert(AccessToken).values(
            token_hash=_hash(token),
            relying_party_id=relying_party,
            scope=SCOPE,
            expires_at=now + LIFE,
            revoked_at=None,
        )
    )
    session.commit()


def revoke_token(
    session: Session, unverified_token: str, *, relying_party: UUID, now: datetime
) -> None:
    """Revoke a relying party's own token; any other text changes nothing (RFC 7009, 2.2). Commits.

    Args:
        session: in whose transaction it happens.
        unverified_token: what is said to be one.
        relying_party: whose it must be.
        now: the time.
    """
    session.execute(
        update(AccessToken)
        .where(
            AccessToken.token_hash == _hash(unverified_token),
            AccessToken.relying_party_id == relying_party,
            AccessToken.revoked_at.is_(None),
        )
        .values(revoked_at=now)
        .execution_options(synchronize_session=False)
    )
    session.commit()


def bearer_token(authorization: str | None) -> str:
    """Take the token out of the header (RFC 6750, 2.1).

    Raises:
        TokenMissing: there is no bearer token.
    """
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != SCHEME or not token or len(token) > LONGEST_TOKEN or not token.isascii():
        raise TokenMissing("a bearer token is needed: Authorization: Bearer …")
    return token


_BEARER: Final = (
    select(RelyingParty.id, RelyingParty.client_id, RelyingParty.name, RelyingParty.asks_number)
    .join(AccessToken, AccessToken.relying_party_id == RelyingParty.id)
    .where(
        AccessToken.token_hash == value(table_of(AccessToken).c.token_hash),
        AccessToken.scope == SCOPE,
        AccessToken.expires_at > value(table_of(AccessToken).c.expires_at, "now"),
        AccessToken.revoked_at.is_(None),
        RelyingParty.disabled_at.is_(None),
    )
)


def authenticate_relying_party(
    session: Session, *, authorization: str | None, now: datetime
) -> CallingParty:
    """Find who bears a token. Nothing of the database is held afterwards, while a body comes.

    Raises:
        TokenMissing: there is no bearer token.
        TokenInvalid: it is unknown, expired or revoked, or its relying party is disabled.
    """
    token = bearer_token(authorization)
    found = look(session, _BEARER, {"token_hash": _hash(token), "now": now})
    if found is None:
        raise TokenInvalid("the token is unknown, expired or revoked")
    return CallingParty(**found._asdict())


def _hash(unverified_token: str) -> bytes:
    return bytes(sha256(unverified_token.encode("utf-8", "replace")))
