"""Access to the service for a signer who signed in, and its refreshing (RFC 6749, 6).

1. A refresh token is good once, and gives the next one. What comes a second time was copied: the
   family ends (``access/families.py``).
2. It dies thirty days after it was given, and its family ninety days after the sign-in.
3. Nothing for a signer who is frozen.
"""

from datetime import datetime, timedelta
from typing import Final, final
from uuid import UUID

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from backend.access.families import end_family
from backend.access.tokens import LIFE, TokenFacts, add_token, new_token, token_hash
from backend.errors import AuthorizationInvalid
from backend.model.tables import Authorization, RefreshToken
from backend.oauth.request import SERVICE, AuthorizationRequest
from backend.signers.freeze import not_frozen
from backend.signing.authorization import PHONE

REFRESH_LIFE: Final = timedelta(days=30)
FAMILY_LIFE: Final = timedelta(days=90)


@final
class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """What the relying party gets."""

    access_token: str
    scope: str
    expires_in: int
    refresh_token: str | None = None
    credential: UUID | None = None
    request: AuthorizationRequest | None = None
    method: str = PHONE
    """How what is to be collected was approved; as in ``signing/authorization.py``."""


@final
class SignedInFamily(msgspec.Struct, frozen=True, kw_only=True):
    """An authorisation of scope ``service`` whose tokens are to be made."""

    authorization: UUID
    relying_party: UUID
    signer: UUID
    created_at: datetime


@final
class StoredRefresh(msgspec.Struct, frozen=True, kw_only=True):
    """A refresh token that may be used."""

    token_hash: bytes
    family: SignedInFamily


def find_refresh(
    session: Session, unverified_token: str, *, relying_party: UUID, now: datetime
) -> StoredRefresh | None:
    """Find a refresh token of this relying party; one that comes again ends its family. Commits."""
    row = session.execute(
        select(
            RefreshToken.token_hash,
            RefreshToken.authorization_id,
            RefreshToken.expires_at,
            RefreshToken.used_at,
            RefreshToken.revoked_at,
            Authorization.signer_id,
            Authorization.created_at,
        )
        .join(Authorization, Authorization.id == RefreshToken.authorization_id)
        .where(
            RefreshToken.token_hash == token_hash(unverified_token),
            Authorization.relying_party_id == relying_party,
        )
    ).one_or_none()
    if row is not None and row.used_at is not None and row.revoked_at is None:
        because = "a refresh token came again"
        end_family(session, row.authorization_id, because=because, now=now)
    session.commit()
    if row is None or row.used_at or row.revoked_at or row.expires_at <= now:
        return None
    family = SignedInFamily(
        authorization=row.authorization_id,
        relying_party=relying_party,
        signer=row.signer_id,
        created_at=row.created_at,
    )
    return StoredRefresh(token_hash=row.token_hash, family=family)


def redeem_refresh(
    session: Session, stored: StoredRefresh, *, bound_to: str | None, now: datetime
) -> Tokens:
    """Use a refresh token up, for new tokens. Commits.

    Raises:
        AuthorizationInvalid: somebody was faster, or the signer is frozen.
    """
    # Locked first: see rule 4 of ``access/families.py``.
    may_go_on = session.scalar(
        select(Authorization.id)
        .where(
            Authorization.id == stored.family.authorization,
            not_frozen(Authorization.signer_id),  # type: ignore[arg-type]  # set with the code
        )
        .with_for_update(key_share=True)
    )
    used = session.scalar(
        update(RefreshToken)
        .where(
            RefreshToken.token_hash == stored.token_hash,
            RefreshToken.used_at.is_(None),
            RefreshToken.revoked_at.is_(None),
        )
        .values(used_at=now)
        .returning(RefreshToken.authorization_id)
        .execution_options(synchronize_session=False)
    )
    if may_go_on is None or used is None:
        session.rollback()
        raise AuthorizationInvalid("the refresh token was used, or the signer is frozen")
    return service_tokens(session, stored.family, bound_to=bound_to, refreshable=True, now=now)


def service_tokens(
    session: Session,
    family: SignedInFamily,
    *,
    bound_to: str | None,
    refreshable: bool,
    now: datetime,
) -> Tokens:
    """Make the tokens of a family, in the commit of what they are made for. Commits."""
    token = new_token()
    refresh = _add_refresh(session, family, now=now) if refreshable else None
    facts = TokenFacts(
        relying_party=family.relying_party,
        scope=SERVICE,
        expires_at=now + LIFE,
        signer=family.signer,
        authorization=family.authorization,
        bound_to=bound_to,
    )
    add_token(session, token, facts, now=now)
    session.commit()
    return Tokens(
        access_token=token,
        scope=SERVICE,
        expires_in=int(LIFE.total_seconds()),
        refresh_token=refresh,
    )


def _add_refresh(session: Session, family: SignedInFamily, *, now: datetime) -> str:
    token = new_token()
    session.execute(
        insert(RefreshToken).values(
            token_hash=token_hash(token),
            authorization_id=family.authorization,
            expires_at=min(now + REFRESH_LIFE, family.created_at + FAMILY_LIFE),
            used_at=None,
            revoked_at=None,
        )
    )
    return token
