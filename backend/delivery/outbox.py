"""Messages that must leave, as rows: written with their reason, sent at least once, or buried.

1. A message is added in the commit that gives it its reason; nothing here commits.
2. A worker claims a message for a lease (``claiming.py``). A worker that dies loses its lease and
   another one takes over: what was committed is sent, perhaps twice, under the same message id.
3. Claiming counts as an attempt, so that a message that kills its worker ends too.
4. What wakes a signer is sent only while its transaction is pending and the signer not frozen; the
   claim asks, and sending follows it at once. What tells a relying party is sent afterwards; a
   trigger of the database adds it (``migrations/versions/0014_webhooks.py``), but for a freeze,
   which moves nothing.
5. What is sent or buried keeps no sealed text (``recording.py``).

One code path for both databases: PostgreSQL skips rows that another worker holds; SQLite, whose
transactions take the write lock when they begin, has no such rows and drops the clause.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, final
from uuid import UUID, uuid4

import msgspec
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Insert,
    Uuid,
    and_,
    insert,
    literal,
    or_,
    select,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from backend.delivery.subscriptions import is_in_use
from backend.model.base import Instant
from backend.model.steps import table_of, value
from backend.model.tables import (
    Cell,
    Device,
    OutboxMessage,
    PushSubscription,
    Transaction,
    TransactionState,
    Webhook,
)

MOST_ATTEMPTS: Final = 12


class Channel(StrEnum):
    """How a message leaves."""

    PUSH = "push"
    SMS = "sms"
    WEBHOOK = "webhook"


class Event(StrEnum):
    """What a relying party is told of its transaction."""

    APPROVED = "approved"
    REFUSED = "refused"
    """It is over without signatures: the signer refused, or it was called off, or it failed."""
    EXPIRED = "expired"
    FROZEN = "frozen"
    """Its signer's access is locked; nothing of it goes on meanwhile."""


TOLD_FOR: Final = timedelta(days=1)
"""How long after a transaction its relying party is told."""


@final
class SealedText(msgspec.Struct, frozen=True, kw_only=True):
    """A text message that only the worker can read, and when it may be sent."""

    sealed_sms: str
    due_at: datetime
    expires_at: datetime


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


def text_message(asked: FromClause) -> Insert:
    """Add, in one step with a transaction, the text that the SAM sealed to the worker.

    Args:
        asked: the transaction's ``id``. The rest are parameters, see :func:`text_parameters`.
    """
    table = table_of(OutboxMessage)
    row = select(
        _RandomUuid(),
        asked.c.id,
        literal(Channel.SMS.value),
        value(table.c.sealed_sms),
        literal(0),
        value(table.c.due_at),
        value(table.c.expires_at, "sms_expires_at"),
    ).select_from(asked)
    columns = ["id", "transaction_id", "channel", "sealed_sms", "attempts", "due_at", "expires_at"]
    return insert(table).from_select(columns, row)


def text_parameters(text: SealedText) -> dict[str, object]:
    """Give the parameters of :func:`text_message`."""
    return {
        "sealed_sms": text.sealed_sms,
        "due_at": text.due_at,
        "sms_expires_at": text.expires_at,
    }


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
    text = SealedText(sealed_sms=sealed_sms, due_at=now, expires_at=expires_at)
    enqueue_text(session, transaction=transaction, text=text)


def enqueue_text(session: Session, *, transaction: UUID, text: SealedText) -> None:
    """Add a text that the SAM sealed to the worker, due when it says."""
    message = {
        "id": uuid4(),
        "transaction_id": transaction,
        "channel": Channel.SMS.value,
        "sealed_sms": text.sealed_sms,
        "attempts": 0,
        "due_at": text.due_at,
        "expires_at": text.expires_at,
    }
    session.execute(insert(OutboxMessage).values(message))


def enqueue_frozen(session: Session, *, signer: UUID, now: datetime) -> None:
    """Tell all who asked a signer for something that is not over."""
    moment = literal(now, Instant())
    asked = (
        select(
            _RandomUuid(),
            Transaction.id,
            literal(Channel.WEBHOOK.value),
            Webhook.relying_party_id,
            literal(Event.FROZEN.value),
            moment,
            literal(0),
            moment,
            literal(now + TOLD_FOR, Instant()),
        )
        .select_from(Cell)
        .join(Transaction, Transaction.cell_id == Cell.id)
        .join(Webhook, Webhook.relying_party_id == Transaction.relying_party_id)
        .where(
            Cell.signer_id == literal(signer, Uuid()),
            Transaction.state.in_([TransactionState.PENDING, TransactionState.APPROVED]),
            Transaction.use_by > now,
        )
    )
    columns = ["id", "transaction_id", "channel", "relying_party_id", "event", "happened_at"]
    columns += ["attempts", "due_at", "expires_at"]
    session.execute(insert(OutboxMessage).from_select(columns, asked))


def is_open() -> ColumnElement[bool]:
    """Say in SQL that a message is neither sent nor buried."""
    return and_(OutboxMessage.sent_at.is_(None), OutboxMessage.dead_at.is_(None))


def is_free(now: datetime) -> ColumnElement[bool]:
    """Say in SQL that nobody has a lease of a message."""
    return or_(OutboxMessage.lease_until.is_(None), OutboxMessage.lease_until <= now)
