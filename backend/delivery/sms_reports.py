"""What gateways report about texts: whether they were delivered, and if not, why.

1. A report names a part by the token in its address (HTTP), or by what the gateway called it
   (SMPP). A token is of one part; who has it can say something of that part, and learns nothing.
2. A text is delivered when all its parts are, and failed when one is. Delivered stays delivered,
   whatever comes later: a text that was sent twice is reported twice.
3. Reports may come twice, in any order, and before the text counts as sent.
4. Whoever waits for the transaction is told to look.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, final
from uuid import UUID

import msgspec
from sqlalchemy import (
    ColumnElement,
    Row,
    bindparam,
    case,
    delete,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.orm import Session

from backend.delivery.bulk import clean
from backend.delivery.outbox import Channel
from backend.delivery.sms_keys import hash_of_token
from backend.errors import Unauthenticated
from backend.model.base import Instant
from backend.model.tables import OutboxMessage, SmsPart, Transaction, changes
from backend.model.upsert import is_postgresql

LONGEST_REFERENCE: Final = 64


class PartState(StrEnum):
    """What is reported of a part."""

    DELIVERED = "delivered"
    FAILED = "failed"


@final
class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway says of a part."""

    state: PartState
    unverified_reason: str | None = None


class SmsState(StrEnum):
    """How far a text is, as the waiting page shows it."""

    WAITING = "waiting"
    SENT = "sent"
    """The gateway has it. Not every gateway reports more."""
    DELIVERED = "delivered"
    FAILED = "failed"


@final
class SmsProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far the newest text of a transaction is."""

    state: SmsState
    reason: str | None
    """Of a failure; for operators, not for the signer."""
    sent_at: datetime | None
    delivered_at: datetime | None


def take_report_by_token(session: Session, token: str, report: Report, *, now: datetime) -> None:
    """Write down a report. Commits.

    Raises:
        Unauthenticated: the token is of no part that is still waited for.
    """
    if not _write(session, SmsPart.token_hash == hash_of_token(token), report, now=now):
        raise Unauthenticated("no report is waited for at this address")


def take_report_of_part(
    session: Session, message: UUID, part: int, report: Report, *, now: datetime
) -> bool:
    """Write down a report; ``False`` if there is no such part. Commits."""
    which = (SmsPart.message_id == message) & (SmsPart.part == part)
    return _write(session, which, report, now=now)


def take_report_by_reference(
    session: Session, reference: str, report: Report, *, now: datetime
) -> bool:
    """Write down a report; ``False`` if no part is called so, or not yet. Commits."""
    return _write(session, SmsPart.reference == reference[:LONGEST_REFERENCE], report, now=now)


def sms_progress(session: Session, transaction: UUID) -> SmsProgress | None:
    """Say how far the newest text of a transaction is; ``None``: it has none. Reads only."""
    rows = session.execute(
        select(
            OutboxMessage.id,
            OutboxMessage.sent_at,
            OutboxMessage.dead_at,
            OutboxMessage.last_error,
            SmsPart.state,
            SmsPart.reason,
            SmsPart.reported_at,
        )
        .outerjoin(SmsPart, SmsPart.message_id == OutboxMessage.id)
        .where(
            OutboxMessage.transaction_id == transaction,
            OutboxMessage.channel == Channel.SMS.value,
        )
        .order_by(OutboxMessage.expires_at.desc(), OutboxMessage.due_at.desc(), OutboxMessage.id)
    ).all()
    parts = [row for row in rows if row.id == rows[0].id]
    return _progress(parts) if parts else None


def _progress(parts: Sequence[Row[*tuple[Any, ...]]]) -> SmsProgress:
    message = parts[0]
    state, reason, delivered_at = SmsState.WAITING, None, None
    failed = next((part for part in parts if part.state == PartState.FAILED), None)
    if all(part.state == PartState.DELIVERED for part in parts):
        state = SmsState.DELIVERED
        delivered_at = max(part.reported_at for part in parts)
    elif failed is not None or message.dead_at is not None:
        state = SmsState.FAILED
        reason = message.last_error if failed is None else failed.reason
    elif message.sent_at is not None:
        state = SmsState.SENT
    return SmsProgress(
        state=state, reason=reason, sent_at=message.sent_at, delivered_at=delivered_at
    )


def _write(session: Session, which: ColumnElement[bool], report: Report, *, now: datetime) -> bool:
    stays = SmsPart.state == PartState.DELIVERED.value
    reason = clean(report.unverified_reason) if report.unverified_reason else None
    messages = session.scalars(
        update(SmsPart)
        .where(which, SmsPart.expires_at > now)
        .values(
            state=case((stays, SmsPart.state), else_=report.state.value),
            reason=case((stays, SmsPart.reason), else_=reason),
            reported_at=case((stays, SmsPart.reported_at), else_=literal(now, Instant())),
        )
        .returning(SmsPart.message_id)
        .execution_options(synchronize_session=False)
    ).all()
    if messages and is_postgresql(session):
        session.execute(
            insert(changes).from_select(
                ["wait_id"],
                select(Transaction.wait_id)
                .join(OutboxMessage, OutboxMessage.transaction_id == Transaction.id)
                .where(OutboxMessage.id.in_(messages)),
            )
        )
    session.commit()
    return bool(messages)


def forget_parts(session: Session, now: datetime) -> None:
    """Delete parts of which no report is waited for any more. Commits."""
    session.execute(delete(SmsPart).where(SmsPart.expires_at <= now))
    session.commit()


def references_of(message: UUID, references: Iterable[str]) -> list[dict[str, object]]:
    """Say what a gateway calls the parts of a message, for :func:`name_parts`."""
    return [
        {"of_message": message, "number": part, "called": reference[:LONGEST_REFERENCE]}
        for part, reference in enumerate(references, 1)
    ]


def name_parts(session: Session, named: Sequence[dict[str, object]]) -> None:
    """Write down what a gateway calls parts. Does not commit."""
    session.connection().execute(
        update(SmsPart)
        .where(SmsPart.message_id == bindparam("of_message"), SmsPart.part == bindparam("number"))
        .values(reference=bindparam("called")),
        list(named),
    )
