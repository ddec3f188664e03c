"""Taking messages that are due, many at once, and asking in the same breath what is left to do.

1. What is longest due comes first. Destinations that have no place free are passed over, so that
   what waits for them stands in nobody's way.
2. A phone may have answered, or been removed, since the message was written: then it is buried; so
   is what would tell a relying party that has no webhook any more. Where somebody is still to be
   woken, the transaction counts as sent from here on.
3. A few statements, however many messages.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import final
from uuid import UUID

import msgspec
from sqlalchemy import CTE, ColumnElement, Row, and_, exists, func, not_, or_, select, update
from sqlalchemy.orm import Session

from backend.delivery.bulk import buried_values, bury_rows, mark_transactions, padded
from backend.delivery.errands import Errand, errand_of
from backend.delivery.outbox import MOST_ATTEMPTS, Channel, is_free, is_open
from backend.delivery.subscriptions import is_in_use
from backend.model.tables import (
    Authorization,
    Device,
    Freeze,
    OutboxMessage,
    PushSubscription,
    RelyingParty,
    Signer,
    Transaction,
    TransactionState,
    Webhook,
)


@final
class ClaimedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message that one worker may send until its lease is over."""

    id: UUID
    """Stable over all attempts; receivers tell repetitions by it."""
    transaction_id: UUID
    channel: Channel
    kid: bytes | None
    attempts: int
    """This one counted."""
    due_at: datetime
    expires_at: datetime
    leased_by: UUID
    lease_until: datetime
    errand: Errand


@final
class Full(msgspec.Struct, frozen=True, kw_only=True):
    """Destinations that shall not be claimed for."""

    origins: Collection[str] = ()
    """As endpoints write them, without a path."""
    relying_parties: Collection[UUID] = ()
    """Whose webhooks."""
    channels: Collection[Channel] = ()


NOTHING_FULL = Full()


def claim(  # what a claim is made of
    session: Session,
    *,
    worker: UUID,
    now: datetime,
    limit: int,
    lease_seconds: int,
    full: Full = NOTHING_FULL,
) -> list[ClaimedMessage]:
    """Take what is longest due and nobody else's; what is over is buried instead."""
    found = _due(session, now=now, limit=limit, full=full)
    if not found:
        return []
    lease_until = now + timedelta(seconds=lease_seconds)
    claimed: list[ClaimedMessage] = []
    over: dict[UUID, str] = {}
    for row in found:
        errand = errand_of(row)
        if isinstance(errand, str):
            over[row.id] = errand
        else:
            claimed.append(_claimed(row, errand, worker=worker, lease_until=lease_until))
    if over:
        bury_rows(session, over, now=now)
    if claimed:
        session.execute(
            update(OutboxMessage)
            .where(OutboxMessage.id.in_(padded([message.id for message in claimed])))
            .values(leased_by=worker, lease_until=lease_until, attempts=OutboxMessage.attempts + 1)
            .execution_options(synchronize_session=False)
        )
        woken = {
            message.transaction_id for message in claimed if message.channel is not Channel.WEBHOOK
        }
        if woken:
            mark_transactions(session, woken, Transaction.sent_at, now=now)
    return claimed


def bury(session: Session, *, now: datetime) -> int:
    """Bury what nobody is sending and nobody shall send; give the number of dead letters.

    That is: what is too old, what used up its attempts without an answer, and what belongs to a
    transaction that is over and wakes somebody.
    """
    over = select(Transaction.id).where(
        Transaction.id == OutboxMessage.transaction_id,
        Transaction.state != TransactionState.PENDING,
    )
    hopeless = (
        select(OutboxMessage.id)
        .where(
            is_open(),
            is_free(now),
            or_(
                OutboxMessage.expires_at <= now,
                OutboxMessage.attempts >= MOST_ATTEMPTS,
                and_(OutboxMessage.channel != Channel.WEBHOOK, over.exists()),
            ),
        )
        .with_for_update(skip_locked=True)
        .cte("hopeless")
    )
    buried = session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.id.in_(select(hopeless.c.id)))
        .values(
            buried_values(now),
        )
        .values(last_error=func.coalesce(OutboxMessage.last_error, "too late, or over"))
        .returning(OutboxMessage.id)
        .execution_options(synchronize_session=False)
    )
    return len(buried.all())


def _due(
    session: Session, *, now: datetime, limit: int, full: Full
) -> Sequence[Row[*tuple[object, ...]]]:
    """Lock what is due, then say of each what its transaction and its phone are now."""
    due = _locked(now=now, limit=limit, full=full)
    return session.execute(
        select(
            due,
            Transaction.state,
            _is_frozen().label("is_frozen"),
            Transaction.relying_party_id.label("asked_by"),
            Signer.lang,
            PushSubscription.endpoint,
            PushSubscription.p256dh,
            PushSubscription.auth,
            Transaction.handle_hash,
            Transaction.cell_id,
            Webhook.url,
            Webhook.secret,
            Webhook.secret_before,
            Webhook.replaced_at,
            Authorization.request,
        )
        .select_from(due)
        .join(Transaction, Transaction.id == due.c.transaction_id)
        .join(Signer, Signer.id == Transaction.signer_id)
        .outerjoin(Device, and_(Device.kid == due.c.kid, is_in_use()))
        .outerjoin(PushSubscription, PushSubscription.kid == Device.kid)
        .outerjoin(RelyingParty, and_(RelyingParty.id == due.c.relying_party_id, _may_ask()))
        .outerjoin(Webhook, Webhook.relying_party_id == RelyingParty.id)
        .outerjoin(Authorization, _asked_by_oauth())
        .order_by(due.c.due_at)
    ).all()


def _asked_by_oauth() -> ColumnElement[bool]:
    """Say in SQL what a webhook's transaction was asked with, which may be long."""
    has_webhook = Webhook.relying_party_id.is_not(None)
    return and_(has_webhook, Authorization.transaction_id == Transaction.id)


def _is_frozen() -> ColumnElement[bool]:
    """Say in SQL that the signer of a transaction is frozen (``signers/freeze.py``)."""
    return exists().where(Freeze.signer_id == Transaction.signer_id, Freeze.lifted_at.is_(None))


def _locked(*, now: datetime, limit: int, full: Full) -> CTE:
    return (
        select(
            OutboxMessage.id,
            OutboxMessage.transaction_id,
            OutboxMessage.channel,
            OutboxMessage.kid,
            OutboxMessage.sealed_sms,
            OutboxMessage.is_counted,
            OutboxMessage.leased_by,
            OutboxMessage.attempts,
            OutboxMessage.due_at,
            OutboxMessage.expires_at,
            OutboxMessage.relying_party_id,
            OutboxMessage.event,
            OutboxMessage.happened_at,
        )
        .where(
            is_open(),
            is_free(now),
            OutboxMessage.due_at <= now,
            OutboxMessage.expires_at > now,
            OutboxMessage.attempts < MOST_ATTEMPTS,
            *_has_a_place(full),
        )
        .order_by(OutboxMessage.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )


def _has_a_place(full: Full) -> list[ColumnElement[bool]]:
    """Look up one subscription for each row that is passed over: never a scan of all of them."""
    conditions: list[ColumnElement[bool]] = []
    if full.channels:
        conditions.append(OutboxMessage.channel.not_in(sorted(full.channels)))
    if full.relying_parties:
        told = OutboxMessage.relying_party_id
        conditions.append(or_(told.is_(None), told.not_in(sorted(full.relying_parties))))
    if full.origins:
        endpoint = (
            select(PushSubscription.endpoint)
            .where(PushSubscription.kid == OutboxMessage.kid)
            .scalar_subquery()
        )
        known = func.coalesce(endpoint, "")
        conditions += [
            not_(known.startswith(f"{origin}/", autoescape=True)) for origin in sorted(full.origins)
        ]
    return conditions


def _may_ask() -> ColumnElement[bool]:
    return RelyingParty.disabled_at.is_(None)


def _claimed(
    row: Row[*tuple[object, ...]], errand: Errand, *, worker: UUID, lease_until: datetime
) -> ClaimedMessage:
    return ClaimedMessage(
        id=row.id,
        transaction_id=row.transaction_id,
        channel=Channel(row.channel),
        kid=row.kid,
        attempts=row.attempts + 1,
        due_at=row.due_at,
        expires_at=row.expires_at,
        leased_by=worker,
        lease_until=lease_until,
        errand=errand,
    )
