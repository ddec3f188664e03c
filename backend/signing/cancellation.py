"""A transaction is called off: by an operator, or because nobody waits for it any more."""

import logging
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import NotFound, TransactionOver
from backend.model.tables import Transaction, TransactionState
from backend.signing.moves import in_time, move, state_at

log = logging.getLogger(__name__)


def cancel(session: Session, *, transaction: UUID, because: str, now: datetime) -> None:
    """Cancel a transaction, also one that is approved but not all signed. Commits.

    Raises:
        NotFound: there is no such transaction.
        TransactionOver: it is over already.
    """
    cancelled = TransactionState.CANCELLED
    if move(session, transaction, cancelled, in_time(now), ended_because=because):
        session.commit()
        log.info("transaction cancelled", extra={"transaction_id": transaction, "reason": because})
        return
    found = session.execute(
        select(Transaction.state, Transaction.expires_at, Transaction.use_by).where(
            Transaction.id == transaction
        )
    ).one_or_none()
    session.commit()
    if found is None:
        raise NotFound("no such transaction")
    state, expires_at, use_by = found
    raise TransactionOver(state_at(state, expires_at=expires_at, use_by=use_by, now=now))
