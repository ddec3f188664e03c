"""Writing down what became of messages, many at once; nothing here commits.

1. Sent is sent, whoever holds the lease by now; a dead letter stays dead.
2. Who lost the lease postpones nothing.
3. The same outcomes may be written twice, for a commit whose answer was lost is repeated.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from random import SystemRandom
from typing import Final, final
from uuid import UUID

import msgspec
from sqlalchemy import Boolean, and_, bindparam, func, update
from sqlalchemy.orm import Session

from backend.delivery.back_off import TELLING, WAKING, pause_seconds
from backend.delivery.bulk import bury_rows, clean, mark_transactions, padded
from backend.delivery.claiming import ClaimedMessage
from backend.delivery.outbox import MOST_ATTEMPTS, Channel, is_open
from backend.delivery.outcomes import Ended, Gone, Never, NoPlace, NotNow, Taken
from backend.delivery.sms_reports import name_parts, references_of
from backend.delivery.subscriptions import drop_subscription
from backend.model.tables import OutboxMessage, Transaction

_RANDOM: Final = SystemRandom()


@final
class _Back(msgspec.Struct, frozen=True, kw_only=True):
    """A message that will be due again."""

    message: ClaimedMessage
    due_at: datetime
    reason: str | None
    uncounted: int
    """Attempts that are taken back."""
    keeps_place: bool = True
    """A text's place in the budgets is not used."""


@final
class _Page(msgspec.Struct, kw_only=True):
    """Outcomes by what is to be written."""

    sent: list[ClaimedMessage] = []
    references: list[dict[str, object]] = []
    back: list[_Back] = []
    dead: dict[UUID, str] = {}


def record(session: Session, ended: Iterable[Ended], *, now: datetime) -> None:
    """Write outcomes in a few statements, however many they are."""
    page = _Page()
    for each in ended:
        _sort(session, each, page, now=now)
    if page.sent:
        _close(session, page.sent, now=now)
    if page.references:
        name_parts(session, page.references)
    if page.back:
        _put_back(session, page.back)
    if page.dead:
        bury_rows(session, page.dead, now=now)


def _sort(session: Session, ended: Ended, page: _Page, *, now: datetime) -> None:
    message = ended.message
    match ended.outcome:
        case Taken(references):
            page.sent.append(message)
            page.references += references_of(message.id, references)
        case NotNow():
            _try_again(message, page, ended.outcome, now=now)
        case Never(reason):
            page.dead[message.id] = clean(reason)
        case Gone(reason, endpoint):
            if drop_subscription(session, kid=message.kid or b"", unverified_endpoint=endpoint):
                page.dead[message.id] = clean(reason)
            else:
                # The phone has subscribed anew meanwhile: wake it there.
                _try_again(message, page, NotNow(reason, None, answered=True), now=now)
        case NoPlace(until):
            due_at = message.due_at if until is None else max(until, message.due_at)
            page.back.append(_Back(message=message, due_at=due_at, reason=None, uncounted=1))


def _try_again(message: ClaimedMessage, page: _Page, outcome: NotNow, *, now: datetime) -> None:
    """Give the message back for a later attempt, or bury it when there is none left."""
    pause = pause_seconds(
        message.attempts,
        jitter=_RANDOM.random(),
        retry_after_seconds=outcome.retry_after_seconds,
        steps=TELLING if message.channel is Channel.WEBHOOK else WAKING,
    )
    due_at = now + timedelta(seconds=pause)
    reason = clean(outcome.reason)
    if message.attempts >= MOST_ATTEMPTS or due_at >= message.expires_at:
        page.dead[message.id] = reason
    else:
        back = _Back(
            message=message,
            due_at=due_at,
            reason=reason,
            uncounted=0,
            keeps_place=not outcome.perhaps_taken,
        )
        page.back.append(back)


def _close(session: Session, sent: Sequence[ClaimedMessage], *, now: datetime) -> None:
    session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.id.in_(padded([message.id for message in sent])), is_open())
        .values(sent_at=now, last_error=None, sealed_sms=None, lease_until=None, leased_by=None)
        .execution_options(synchronize_session=False)
    )
    woken = {message.transaction_id for message in sent if message.channel is Channel.PUSH}
    if woken:
        mark_transactions(session, woken, Transaction.delivered_at, now=now)


def _put_back(session: Session, back: Sequence[_Back]) -> None:
    session.connection().execute(
        update(OutboxMessage)
        .where(
            OutboxMessage.id == bindparam("message"),
            OutboxMessage.leased_by == bindparam("holder"),
            is_open(),
        )
        .values(
            due_at=bindparam("due"),
            last_error=func.coalesce(bindparam("reason"), OutboxMessage.last_error),
            attempts=OutboxMessage.attempts - bindparam("uncounted"),
            is_counted=and_(OutboxMessage.is_counted, bindparam("keeps_place", type_=Boolean())),
            lease_until=None,
            leased_by=None,
        ),
        [
            {
                "message": each.message.id,
                "holder": each.message.leased_by,
                "due": each.due_at,
                "reason": each.reason,
                "uncounted": each.uncounted,
                "keeps_place": each.keeps_place,
            }
            for each in back
        ],
    )
