"""How often a phone is woken: pushes that lead to no approval become rare, and then silent (T-01).

1. Counted for a signer and a relying party: who wears a signer out silences only itself (T-22).
2. So many pushes at once; then one after ten minutes, and each pause is twice as long as the one
   before, up to an hour. An approval of what was last pushed begins anew, and so does an hour in
   which a push might have been sent and none was.
3. What is not pushed is there all the same, in the phone's list: silence ends no request.
4. One row for each pair that is in such a run, written over again; the worker deletes what is over.
"""

from datetime import datetime, timedelta
from itertools import takewhile
from typing import Final
from uuid import UUID

from sqlalchemy import case, delete, exists, literal, or_
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert

from backend.model.base import Instant
from backend.model.tables import Transaction, TransactionState, WakePace
from backend.model.upsert import upsert

WINDOW: Final = timedelta(minutes=10)
LONGEST_PAUSE: Final = timedelta(hours=1)
FORGOTTEN_AFTER: Final = timedelta(hours=1)


def pauses(at_once: int) -> list[timedelta]:
    """List the pauses after each push of a run; the last one stands for all that follow."""
    doubled = (WINDOW * 2**exponent for exponent in range(10))
    growing = takewhile(lambda pause: pause < LONGEST_PAUSE, doubled)
    return [timedelta(0)] * (at_once - 1) + [*growing, LONGEST_PAUSE]


def may_wake(
    session: Session,
    *,
    signer: UUID,
    relying_party: UUID,
    transaction: UUID,
    at_once: int,
    now: datetime,
) -> ReturningInsert[tuple[int]]:
    """Make the statement that counts a push and returns a row; none, if it shall be silent.

    For the commit that adds the transaction and its messages.
    """
    *waits, last = [literal(now + pause, Instant()) for pause in pauses(at_once)]
    approved = exists().where(
        Transaction.id == WakePace.transaction_id,
        Transaction.state.in_([TransactionState.APPROVED, TransactionState.REDEEMED]),
    )
    anew = or_(WakePace.next_at <= now - FORGOTTEN_AFTER, approved)
    sent_before = ((WakePace.pushes == count, wait) for count, wait in enumerate(waits[1:], 1))
    first = waits[0] if waits else last
    return upsert(
        session,
        WakePace,
        {
            "signer_id": signer,
            "relying_party_id": relying_party,
            "pushes": 1,
            "transaction_id": transaction,
            "next_at": now + pauses(at_once)[0],
        },
        otherwise={
            "pushes": case((anew, 1), else_=WakePace.pushes + 1),
            "transaction_id": transaction,
            "next_at": case((anew, first), *sent_before, else_=last),
        },
        where=or_(WakePace.next_at <= now, anew),
    ).returning(WakePace.pushes)


def forget_paces(session: Session, now: datetime) -> int:
    """Delete the rows of runs that are over; gives their number. Commits."""
    forgotten = session.scalars(
        delete(WakePace)
        .where(WakePace.next_at <= now - FORGOTTEN_AFTER)
        .returning(WakePace.pushes)
        .execution_options(synchronize_session=False)
    ).all()
    session.commit()
    return len(forgotten)
