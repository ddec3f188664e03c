"""The clock ends what nobody answered, and what was approved but not collected in time."""

from datetime import datetime
from typing import Final

from sqlalchemy import and_, or_, select, text, update
from sqlalchemy.orm import Session

from backend.model.tables import Transaction, TransactionState
from backend.signing.moves import erase_seals

MOST_AT_ONCE: Final = 500
_OPEN: Final = text("transactions.state IN ('pending', 'approved')")
"""Word for word the condition of the index ``ix_transactions_open``; a parameter would not do."""


def expire_overdue(session: Session, now: datetime) -> int:
    """Write ``expired`` where the time is over, and erase the sealed secrets. Commits.

    Returns:
        How many; at most ``MOST_AT_ONCE``, so that no lock is held for long.
    """
    overdue = (
        select(Transaction.id)
        .where(
            _OPEN,
            Transaction.expires_at < now,
            or_(Transaction.state == TransactionState.PENDING, Transaction.use_by <= now),
        )
        .order_by(Transaction.expires_at)
        .limit(MOST_AT_ONCE)
        .with_for_update(skip_locked=True, key_share=True)
        .cte("overdue")
    )
    expired = session.scalars(
        update(Transaction)
        .where(and_(_OPEN, Transaction.id.in_(select(overdue.c.id))))
        .values(
            state=TransactionState.EXPIRED, ended_because="nobody answered or collected in time"
        )
        .returning(Transaction.id)
        .execution_options(synchronize_session=False)
    ).all()
    if expired:
        erase_seals(session, expired)
    session.commit()
    return len(expired)
