"""Who is calling: a relying party, by the bearer token it was given (RFC 6750).

A token is 256 random bits; only its SHA-256 is kept, so a stolen database calls nobody's API.
"""

import secrets
from datetime import datetime, timedelta
from typing import Final, final
from uuid import UUID

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from backend.errors import TokenInvalid, TokenMissing
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


def keep_token(session: Session, token: str, *, relying_party: UUID, now: datetime) -> None:
    """Keep what a token is known by. Commits."""
    session.execute(
        insert(AccessToken).values(
            token_hash=bytes(sha256(token.encode())),
            relying_party_id=relying_party,
            scope=SCOPE,
            expires_at=now + LIFE,
            revoked_at=None,
        )
    )
    session.commit()


def new_token() -> str:
    """Make a token."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def bearer_token(authorization: str | None) -> str:
    """Take the token out of the header (RFC 6750, 2.1).

    Raises:
        TokenMissing: there is no bearer token.
    """
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != SCHEME or not token or len(token) > LONGEST_TOKEN or not token.isascii():
        raise TokenMissing("a bearer token is needed: Authorization: Bearer …")
    return token


def authenticate_relying_party(
    session: Session, *, authorization: str | None, now: datetime
) -> CallingParty:
    """Find who bears a token.

    Raises:
        TokenMissing: there is no bearer token.
        TokenInvalid: it is unknown, expired or revoked, or its relying party is disabled.
    """
    token = bearer_token(authorization)
    found = session.execute(
        select(RelyingParty.id, RelyingParty.client_id, RelyingParty.name)
        .join(AccessToken, AccessToken.relying_party_id == RelyingParty.id)
        .where(
            AccessToken.token_hash == bytes(sha256(token.encode())),
            AccessToken.expires_at > now,
            AccessToken.revoked_at.is_(None),
            RelyingParty.disabled_at.is_(None),
        )
    ).one_or_none()
    if found is None:
        raise TokenInvalid("the token is not valid, or not any more")
    return CallingParty(id=found.id, client_id=found.client_id, name=found.name)
