"""What is left to do for a claimed message, asked just before it is sent.

A phone may have answered, or been removed, since the message was written: then it is buried. Where
there is still something to send, the transaction counts as sent from here on.
"""

from datetime import datetime
from typing import final

import msgspec
from sqlalchemy import and_, select, update
from sqlalchemy.orm import Session

from backend.delivery.outbox import Channel, ClaimedMessage, bury_message
from backend.delivery.subscriptions import is_in_use
from backend.model.tables import Device, PushSubscription, Signer, Transaction, TransactionState


@final
class PushErrand(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to wake, as the rows have it; the endpoint is still to be checked."""

    unverified_endpoint: str
    unverified_p256dh: str
    unverified_auth: str
    lang: str


@final
class SmsErrand(msgspec.Struct, frozen=True, kw_only=True):
    """A text that only the worker's key opens."""

    sealed_sms: str


Errand = PushErrand | SmsErrand


def look_up(session: Session, message: ClaimedMessage, *, now: datetime) -> Errand | None:
    """Ask, just before sending, whether there is still something to send and to whom.

    What is over is buried, and nothing is given back; otherwise the transaction counts as sent.
    """
    found = session.execute(
        select(Transaction.state, Signer.lang, PushSubscription)
        .join(Signer, Signer.id == Transaction.signer_id)
        .outerjoin(Device, and_(Device.kid == message.kid, is_in_use()))
        .outerjoin(PushSubscription, PushSubscription.kid == Device.kid)
        .where(Transaction.id == message.transaction_id)
    ).one()
    if found.state != TransactionState.PENDING:
        bury_message(session, message, now=now, reason=f"the transaction is {found.state}")
        return None
    errand = _errand(message, found.PushSubscription, found.lang)
    if errand is None:
        bury_message(session, message, now=now, reason="the phone has no subscription")
        return None
    session.execute(
        update(Transaction)
        .where(Transaction.id == message.transaction_id, Transaction.sent_at.is_(None))
        .values(sent_at=now)
    )
    return errand


def _errand(
    message: ClaimedMessage, subscription: PushSubscription | None, lang: str
) -> Errand | None:
    if message.channel is Channel.SMS:
        return SmsErrand(sealed_sms=message.sealed_sms) if message.sealed_sms else None
    if subscription is None:
        return None
    return PushErrand(
        unverified_endpoint=subscription.endpoint,
        unverified_p256dh=subscription.p256dh,
        unverified_auth=subscription.auth,
        lang=lang,
    )
