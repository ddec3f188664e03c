"""Messages that must leave, as rows: written with their reason, sent at least once, or buried.

1. A message is added in the commit that gives it its reason; nothing here commits.
2. A worker claims a message for a lease. A worker that dies loses its lease and another one takes
   over: what was committed is sent, perhaps twice, under the same message id.
3. Claiming counts as an attempt, so that a message that kills its worker ends too.
4. A message is sent only while its transaction is pending; ``errands.py`` asks just before.
5. What is sent or buried keeps no sealed text.

One code path for both databases: PostgreSQL skips rows that another worker holds; SQLite, whose
transactions take the write lock when they begin, has no such rows and drops the clause.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from random import SystemRandom
from typing import Any, Final, final
from uuid import UUID, uuid4

import msgspec
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Insert,
    Row,
    Uuid,
    and_,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from backend.delivery.back_off import pause_seconds
from backend.delivery.subscriptions import is_in_use
from backend.model.base import Instant
from backend.model.tables import (
    Device,
    OutboxMessage,
    PushSubscription,
    Transaction,
    TransactionState,
)

MOST_ATTEMPTS: Final = 12
_RANDOM: Final = SystemRandom()


class Channel(StrEnum):
    """How a message leaves."""

    PUSH = "push"
    SMS = "sms"


@final
class ClaimedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message that one worker may send until its lease is over."""

    id: UUID
    """Stable over all attempts; receivers tell repetitions by it."""
    transaction_id: UUID
    channel: Channel
    kid: bytes | None
    sealed_sms: str | None
    attempts: int
    """This one counted."""
    expires_at: datetime
    leased_by: UUID


@final
class _RandomUuid(FunctionElement[UUID]):
    """A fresh UUID for each row of an ``INSERT … SELECT``."""

    type = Uuid()
    inherit_cache = True


@compiles(_RandomUuid, "postgresql")
def _on_postgresql(_element: _RandomUuid, _compiler: SQLCompiler, **_options: object) -> str:
    return "gen_random_uuid()"


@compiles(_RandomUuid, "sqlite")
def _on_sqlite(_element: _RandomUuid, _compiler: SQLCompiler, **_options: object) -> str:
    return "lower(hex(randomblob(16)))"


# --- adding -------------------------------------------------------------------


def pushes(asked: FromClause) -> Insert:
    """Add, in one step with a transaction, a wake-up for each phone of its cell that can be woken.

    Args:
        asked: the transaction's ``id``, ``cell_id``, ``created_at`` and ``expires_at``.
    """
    phones = (
        select(
            _RandomUuid(),
            asked.c.id,
            literal(Channel.PUSH.value),
            Device.kid,
            literal(0),
            asked.c.created_at,
            asked.c.expires_at,
        )
        .select_from(asked)
        .join(Device, Device.cell_id == asked.c.cell_id)
        .join(PushSubscription, PushSubscription.kid == Device.kid)
        .where(is_in_use())
    )
    columns = ["id", "transaction_id", "channel", "kid", "attempts", "due_at", "expires_at"]
    return insert(OutboxMessage).from_select(columns, phones)


def enqueue_push(
    session: Session, *, transaction: UUID, cell: UUID, now: datetime, expires_at: datetime
) -> None:
    """Add the same in the session's transaction."""
    asked = select(
        literal(transaction, Uuid()).label("id"),
        literal(cell, Uuid()).label("cell_id"),
        literal(now, Instant()).label("created_at"),
        literal(expires_at, Instant()).label("expires_at"),
    )
    session.execute(pushes(asked.subquery()))


def enqueue_sms(
    session: Session,
    *,
    transaction: UUID,
    sealed_sms: str,
    now: datetime,
    expires_at: datetime,
) -> None:
    """Add a text that the SAM sealed to the worker; due at once."""
    message = {
        "id": uuid4(),
        "transaction_id": transaction,
        "channel": Channel.SMS.value,
        "sealed_sms": sealed_sms,
        "attempts": 0,
        "due_at": now,
        "expires_at": expires_at,
    }
    session.execute(insert(OutboxMessage).values(message))


# --- sending ------------------------------------------------------------------


def claim(
    session: Session, *, worker: UUID, now: datetime, limit: int, lease_seconds: int
) -> list[ClaimedMessage]:
    """Take what is longest due and nobody else's; give it, the most urgent first."""
    due = (
        select(OutboxMessage.id)
        .where(
            _is_open(),
            _is_free(now),
            OutboxMessage.due_at <= now,
            OutboxMessage.expires_at > now,
            OutboxMessage.attempts < MOST_ATTEMPTS,
        )
        .order_by(OutboxMessage.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    taken = session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.id.in_(select(due.c.id)))
        .values(
            leased_by=worker,
            lease_until=now + timedelta(seconds=lease_seconds),
            attempts=OutboxMessage.attempts + 1,
        )
        .returning(
            OutboxMessage.id,
            OutboxMessage.transaction_id,
            OutboxMessage.channel,
            OutboxMessage.kid,
            OutboxMessage.sealed_sms,
            OutboxMessage.attempts,
            OutboxMessage.expires_at,
            OutboxMessage.leased_by,
        )
        .execution_options(synchronize_session=False)
    )
    messages = [_claimed(row) for row in taken]
    return sorted(messages, key=lambda message: message.expires_at)


def mark_sent(session: Session, message: ClaimedMessage, *, now: datetime) -> None:
    """Record that the message was taken, whoever holds the lease by now."""
    _close(session, message, {"sent_at": now, "last_error": None})
    if message.channel is Channel.PUSH:
        session.execute(
            update(Transaction)
            .where(Transaction.id == message.transaction_id, Transaction.delivered_at.is_(None))
            .values(delivered_at=now)
        )


def mark_failed(
    session: Session,
    message: ClaimedMessage,
    *,
    now: datetime,
    reason: str,
    retry_after_seconds: int | None = None,
) -> None:
    """Give the message back for a later attempt, or bury it when there is none left."""
    due_at = now + timedelta(
        seconds=pause_seconds(
            message.attempts, jitter=_RANDOM.random(), retry_after_seconds=retry_after_seconds
        )
    )
    if message.attempts >= MOST_ATTEMPTS or due_at >= message.expires_at:
        bury_message(session, message, now=now, reason=reason)
        return
    session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.id == message.id, OutboxMessage.leased_by == message.leased_by)
        .values(due_at=due_at, last_error=reason, lease_until=None, leased_by=None)
    )


# --- burying ------------------------------------------------------------------


def bury_message(session: Session, message: ClaimedMessage, *, now: datetime, reason: str) -> None:
    """Make a message a dead letter: it is kept with its reason and not tried again."""
    _close(session, message, {"dead_at": now, "last_error": reason})


def bury(session: Session, *, now: datetime) -> int:
    """Bury what nobody is sending and nobody shall send; give the number of dead letters.

    That is: what is too old, what used up its attempts without an answer, and what belongs to a
    transaction that is over.
    """
    over = select(Transaction.id).where(
        Transaction.id == OutboxMessage.transaction_id,
        Transaction.state != TransactionState.PENDING,
    )
    hopeless = (
        select(OutboxMessage.id)
        .where(
            _is_open(),
            _is_free(now),
            or_(
                OutboxMessage.expires_at <= now,
                OutboxMessage.attempts >= MOST_ATTEMPTS,
                over.exists(),
            ),
        )
        .with_for_update(skip_locked=True)
        .cte("hopeless")
    )
    buried = session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.id.in_(select(hopeless.c.id)))
        .values(
            dead_at=now,
            last_error=func.coalesce(OutboxMessage.last_error, "too late, or over"),
            sealed_sms=None,
            lease_until=None,
            leased_by=None,
        )
        .returning(OutboxMessage.id)
        .execution_options(synchronize_session=False)
    )
    return len(buried.all())


def _claimed(row: Row[*tuple[Any, ...]]) -> ClaimedMessage:
    values = row._asdict()
    return ClaimedMessage(**values | {"channel": Channel(values["channel"])})


def _is_open() -> ColumnElement[bool]:
    return and_(OutboxMessage.sent_at.is_(None), OutboxMessage.dead_at.is_(None))


def _is_free(now: datetime) -> ColumnElement[bool]:
    return or_(OutboxMessage.lease_until.is_(None), OutboxMessage.lease_until <= now)


def _close(session: Session, message: ClaimedMessage, values: dict[str, object]) -> None:
    session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.id == message.id, _is_open())
        .values(**values, sealed_sms=None, lease_until=None, leased_by=None)
    )
