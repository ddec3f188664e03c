"""Statements over many rows of the outbox at once; nothing here commits."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from backend.delivery.outbox import is_open
from backend.model.tables import OutboxMessage, Transaction

LONGEST_REASON: Final = 200


def padded(ids: list[UUID]) -> list[UUID]:
    """Repeat the last id up to a power of two: few forms of a statement, which stay prepared."""
    size = 1 << (len(ids) - 1).bit_length()
    return ids + ids[-1:] * (size - len(ids))


def mark_transactions(
    session: Session,
    transactions: Collection[UUID],
    instant: InstrumentedAttribute[datetime | None],
    *,
    now: datetime,
) -> None:
    """Write when transactions were sent or delivered, where it was not written before.

    Rows are locked in one order, so that two workers never wait for each other.
    """
    locked = (
        select(Transaction.id)
        .where(Transaction.id.in_(padded(sorted(transactions))), instant.is_(None))
        .order_by(Transaction.id)
        .with_for_update(key_share=True)
        .cte("locked")
    )
    session.execute(
        update(Transaction)
        .where(Transaction.id.in_(select(locked.c.id)))
        .values({instant: now})
        .execution_options(synchronize_session=False)
    )


def bury_rows(session: Session, reasons: Mapping[UUID, str], *, now: datetime) -> None:
    """Make messages dead letters: they are kept with their reason and not tried again."""
    session.connection().execute(
        update(OutboxMessage)
        .where(OutboxMessage.id == bindparam("buried"), is_open())
        .values(buried_values(now))
        .values(last_error=bindparam("reason")),
        [{"buried": message, "reason": reason} for message, reason in reasons.items()],
    )


def clean(reason: str) -> str:
    """Make of any words something that a row can hold."""
    return reason.replace("\0", "")[:LONGEST_REASON]


def buried_values(now: datetime) -> dict[str, Any]:
    """What a dead letter is; its text is erased."""
    return {"dead_at": now, "sealed_sms": None, "lease_until": None, "leased_by": None}
