"""The moves of a transaction. Each is one conditional UPDATE that says where it may start.

1. Forward only, along ``MOVES``. Who comes too late changes nothing, and learns what the state is.
2. Time ends a transaction by itself: a state is read together with the clock, whether or not the
   worker has written ``expired`` yet. ``exp`` is the last moment to approve; signing ends before
   ``use_by``.
3. What is over keeps no sealed secret (design, invariants 2 and 6).
"""

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, literal_column, or_, update
from sqlalchemy.orm import Session

from backend.model.tables import MOVES, Approval, Transaction, TransactionState

PENDING: Final[ColumnElement[str]] = literal_column("'pending'")
"""Word for word as in the partial index ``uq_transactions_slot``; a parameter would not do."""


def move(
    session: Session,
    transaction: UUID,
    to: TransactionState,
    *conditions: ColumnElement[bool],
    answered_at: datetime | None = None,
    ended_because: str | None = None,
    method: str | None = None,
) -> bool:
    """Move a transaction, if it may go there from where it is and the conditions hold.

    Does not commit. Afterwards its row is locked until the end of the database's transaction.

    Returns:
        Whether it was moved.
    """
    facts = {"answered_at": answered_at, "ended_because": ended_because, "method": method}
    moved = session.scalar(
        update(Transaction)
        .where(Transaction.id == transaction, Transaction.state.in_(_before(to)), *conditions)
        .values(state=to, **{name: fact for name, fact in facts.items() if fact is not None})
        .returning(Transaction.id)
        .execution_options(synchronize_session=False)
    )
    if moved is None:
        return False
    if to not in MOVES:
        erase_seals(session, [transaction])
    return True


def erase_seals(session: Session, transactions: Collection[UUID]) -> None:
    """Erase the sealed secrets of transactions that are over. Does not commit."""
    session.execute(
        update(Approval)
        .where(Approval.transaction_id.in_(transactions), Approval.sealed.is_not(None))
        .values(sealed=None)
        .execution_options(synchronize_session=False)
    )


def in_time(now: datetime) -> ColumnElement[bool]:
    """Say in SQL that a transaction is still open."""
    return or_(
        and_(Transaction.state == TransactionState.PENDING, Transaction.expires_at >= now),
        and_(Transaction.state == TransactionState.APPROVED, Transaction.use_by > now),
    )


def state_at(
    state: str, *, expires_at: datetime, use_by: datetime, now: datetime
) -> TransactionState:
    """Tell a transaction's state at an instant."""
    written = TransactionState(state)
    if written is TransactionState.PENDING and now > expires_at:
        return TransactionState.EXPIRED
    if written is TransactionState.APPROVED and now >= use_by:
        return TransactionState.EXPIRED
    return written


def _before(to: TransactionState) -> list[TransactionState]:
    return [state for state, ends in MOVES.items() if to in ends]
