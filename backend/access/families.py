"""Tokens that follow from one authorisation live and end together (RFC 9700, 4.14).

1. A code or refresh token that comes a second time was copied: its whole family ends.
2. Revoking a refresh token ends the family; revoking an access token ends it alone (RFC 7009, 2.1).
3. A token of scope ``credential`` is the ``csc_sad``: where it ends, its approval opens nothing,
   by a ``csc_sad`` that it was exchanged for neither.
4. Who makes tokens of a family, and who ends it, locks its row first: none is made beside the end
   that the end does not see.
"""

import logging
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import and_, delete, exists, or_, select, update
from sqlalchemy.orm import Session

from backend.access.tokens import token_hash
from backend.model.tables import (
    AccessToken,
    Authorization,
    BrowserSession,
    OutboxMessage,
    RefreshToken,
    Transaction,
)

log = logging.getLogger(__name__)

TOLD_WITHIN: Final = timedelta(hours=1)
"""By then what became of a request lies in the outbox, if its relying party is told."""


def end_family(session: Session, authorization: UUID, *, because: str, now: datetime) -> None:
    """Revoke every token of an authorisation. Does not commit."""
    session.execute(
        select(Authorization.id)
        .where(Authorization.id == authorization)
        .with_for_update(key_share=True)
    )
    for table in (AccessToken, RefreshToken):
        session.execute(
            update(table)
            .where(table.authorization_id == authorization, table.revoked_at.is_(None))
            .values(revoked_at=now)
            .execution_options(synchronize_session=False)
        )
    _end_sad(session, authorization)
    log.warning("the tokens of an authorisation ended", extra={"reason": because})


def revoke_token(
    session: Session, unverified_token: str, *, relying_party: UUID, now: datetime
) -> bool:
    """Revoke a relying party's own token; any other text changes nothing (RFC 7009, 2.2). Commits.

    Args:
        session: in whose transaction it happens.
        unverified_token: what is said to be one.
        relying_party: whose it must be.
        now: the time.

    Returns:
        Whether it was one.
    """
    hashed = token_hash(unverified_token)
    revoked = session.execute(
        update(AccessToken)
        .where(
            AccessToken.token_hash == hashed,
            AccessToken.relying_party_id == relying_party,
            AccessToken.revoked_at.is_(None),
        )
        .values(revoked_at=now)
        .returning(AccessToken.credential_id, AccessToken.authorization_id)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if revoked is not None:
        if revoked.credential_id is not None:
            _end_sad(session, revoked.authorization_id)
        session.commit()
        return True
    family = session.scalar(
        select(RefreshToken.authorization_id)
        .join(Authorization, Authorization.id == RefreshToken.authorization_id)
        .where(RefreshToken.token_hash == hashed, Authorization.relying_party_id == relying_party)
    )
    if family is not None:
        end_family(session, family, because="revoked", now=now)
    session.commit()
    return family is not None


def _end_sad(session: Session, authorization: UUID) -> None:
    """Let an authorisation's approval open nothing more, by whichever ``csc_sad``."""
    transaction = select(Authorization.transaction_id).where(Authorization.id == authorization)
    session.execute(
        update(Transaction)
        .where(Transaction.id == transaction.scalar_subquery())
        .values(csc_sad_hash=None)
        .execution_options(synchronize_session=False)
    )


def forget_authorizations(session: Session, now: datetime) -> int:
    """Delete authorisations of which nothing counts any more, and their tokens. Commits.

    One by which something was asked stays a little longer, and while a webhook names it.
    """
    told = exists().where(
        OutboxMessage.transaction_id == Authorization.transaction_id,
        OutboxMessage.channel == "webhook",
        OutboxMessage.sent_at.is_(None),
        OutboxMessage.dead_at.is_(None),
    )
    unneeded = or_(
        Authorization.transaction_id.is_(None),
        and_(Authorization.expires_at < now - TOLD_WITHIN, ~told),
    )
    over = select(Authorization.id).where(Authorization.expires_at < now, unneeded)
    for table in (BrowserSession, RefreshToken, AccessToken):
        session.execute(
            delete(table)
            .where(table.authorization_id.in_(over))
            .execution_options(synchronize_session=False)
        )
    forgotten = session.execute(
        delete(Authorization)
        .where(Authorization.id.in_(over))
        .returning(Authorization.id)
        .execution_options(synchronize_session=False)
    ).all()
    session.commit()
    return len(forgotten)
