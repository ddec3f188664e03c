"""How often a phone is woken: pushes that lead to no approval become rare, and then silent (T-01).

1. Counted for a signer and a relying party: who wears a signer out silences only itself (T-22).
2. So many pushes at once; then one after ten minutes, and each pause is twice as long as the one
   before, up to an hour. An approval of what was last pushed begins anew, and so does an hour in
   which a push might have been sent and none was.
3. What is not pushed is there all the same, in the phone's list: silence ends no request.
4. One row for each pair that is in such a run, written over again; the worker deletes what is over.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from itertools import takewhile
from typing import Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Uuid,
    bindparam,
    case,
    delete,
    exists,
    literal,
    literal_column,
    or_,
)
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert

from backend.model.base import Instant
from backend.model.tables import Transaction, TransactionState, WakePace
from backend.model.upsert import upsert

WINDOW: Final = timedelta(minutes=10)
LONGEST_PAUSE: Final = timedelta(hours=1)
FORGOTTEN_AFTER: Final = timedelta(hours=1)


@cache
def pauses(at_once: int) -> Sequence[timedelta]:
    """List the pauses after each push of a run; the last one stands for all that follow."""
    doubled = (WINDOW * 2**exponent for exponent in range(10))
    growing = takewhile(lambda pause: pause < LONGEST_PAUSE, doubled)
    return [timedelta(0)] * (at_once - 1) + [*growing, LONGEST_PAUSE]


def may_wake(
    *, at_once: int, on_postgresql: bool, beside: FromClause | None = None
) -> ReturningInsert[tuple[int]]:
    """Make the statement that counts a push and returns a row; none, if it shall be silent.

    For the commit that adds the transaction and its messages; with :func:`wake_parameters`.

    Args:
        at_once: pushes before the first pause.
        on_postgresql: else on SQLite.
        beside: the transaction, in the same statement; without it, there is one.
    """
    nexts = [
        bindparam(f"wake_next_{count}", type_=Instant()) for count in range(len(pauses(at_once)))
    ]
    # The row that is there: named as a column, it would be any row of the table.
    last_pushed: ColumnElement[UUID] = literal_column("wake_paces.transaction_id", Uuid())
    approved = exists().where(
        Transaction.id == last_pushed,
        or_(
            Transaction.state == TransactionState.APPROVED,
            Transaction.state == TransactionState.REDEEMED,
        ),
    )
    forgotten = WakePace.next_at <= bindparam("wake_forgotten", type_=Instant())
    anew = or_(forgotten, approved)
    *growing, last = [
        (WakePace.pushes == count, moment) for count, moment in enumerate(nexts[1:], 1)
    ]
    transaction = bindparam("wake_transaction", type_=Uuid())
    return upsert(
        WakePace,
        {
            "signer_id": bindparam("wake_signer", type_=Uuid()),
            "relying_party_id": bindparam("wake_party", type_=Uuid()),
            "pushes": literal(1),
            "transaction_id": transaction,
            "next_at": nexts[0],
        },
        otherwise={
            "pushes": case((anew, 1), else_=WakePace.pushes + 1),
            "transaction_id": transaction,
            "next_at": case((anew, nexts[0]), *growing, else_=last[1]),
        },
        where=or_(WakePace.next_at <= bindparam("wake_now", type_=Instant()), anew),
        on_postgresql=on_postgresql,
        beside=beside,
    ).returning(WakePace.pushes)


def was_woken(transaction: ColumnElement[UUID]) -> ColumnElement[bool]:
    """Say in SQL that the push just counted was for this transaction."""
    return exists().where(
        WakePace.signer_id == bindparam("wake_signer", type_=Uuid()),
        WakePace.relying_party_id == bindparam("wake_party", type_=Uuid()),
        WakePace.transaction_id == transaction,
    )


def wake_parameters(
    *, signer: UUID, relying_party: UUID, transaction: UUID, at_once: int, now: datetime
) -> dict[str, object]:
    """Give the parameters of :func:`may_wake`."""
    nexts = {f"wake_next_{count}": now + pause for count, pause in enumerate(pauses(at_once))}
    return {
        "wake_signer": signer,
        "wake_party": relying_party,
        "wake_transaction": transaction,
        "wake_now": now,
        "wake_forgotten": now - FORGOTTEN_AFTER,
        **nexts,
    }


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
