"""One claimed message, from the look-up to its end. No database connection is held while sending.

What became of it decides: taken is sent; a subscription that is gone is forgotten; what can never
be sent is buried; everything else is tried again.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy.orm import Session

from backend.delivery.endpoints import AllowedHost, check_endpoint
from backend.delivery.errands import Errand, PushErrand, SmsErrand, look_up
from backend.delivery.outbox import ClaimedMessage, bury_message, mark_failed, mark_sent
from backend.delivery.sms import SmsGateway, send_sms
from backend.delivery.subscriptions import check_keys, drop_subscription
from backend.delivery.web_push import VapidIdentity, WakeUp, send_push
from backend.errors import (
    DeliveryFailed,
    EndpointRefused,
    MalformedMessage,
    SubscriptionGone,
    SummaryRefused,
)

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]
Sessions = Callable[[], Session]


@final
class Channels(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker sends with."""

    allowed_hosts: Sequence[AllowedHost]
    identity: VapidIdentity
    app_url: str
    sms_key: ec.EllipticCurvePrivateKey
    sms_gateway: SmsGateway | None
    """``None``: text messages cannot be sent here, and are buried."""


@final
class _Taken(msgspec.Struct, frozen=True):
    """The push service or gateway has it."""


@final
class _NotNow(msgspec.Struct, frozen=True):
    """To be tried again."""

    reason: str
    retry_after_seconds: int | None


@final
class _Never(msgspec.Struct, frozen=True):
    """Another attempt would end the same."""

    reason: str


@final
class _Gone(msgspec.Struct, frozen=True):
    """The phone is not there any more."""

    reason: str
    unverified_endpoint: str


_Outcome = _Taken | _NotNow | _Never | _Gone


def dispatch(
    message: ClaimedMessage, *, sessions: Sessions, channels: Channels, clock: Clock
) -> None:
    """Send a claimed message, if it is still wanted, and record what became of it."""
    with sessions() as session:
        errand = look_up(session, message, now=clock())
        session.commit()
    if errand is None:
        return
    outcome = _attempt(message, errand, channels=channels, now=clock())
    with sessions() as session:
        _record(session, message, outcome, now=clock())
        session.commit()
    _report(message, outcome)


def _attempt(
    message: ClaimedMessage, errand: Errand, *, channels: Channels, now: datetime
) -> _Outcome:
    try:
        if isinstance(errand, PushErrand):
            return _push(message, errand, channels=channels, now=now)
        return _text(message, errand, channels=channels)
    except DeliveryFailed as error:
        return _NotNow(str(error), error.retry_after_seconds)
    except (EndpointRefused, MalformedMessage, SummaryRefused) as error:
        return _Never(str(error))


def _push(
    message: ClaimedMessage, errand: PushErrand, *, channels: Channels, now: datetime
) -> _Taken | _Gone:
    """Check again what a row says, for rows are no authority; then send."""
    wake_up = WakeUp(
        message_id=message.id,
        transaction_id=message.transaction_id,
        lang=errand.lang,
        expires_at=message.expires_at,
        app_url=channels.app_url,
    )
    endpoint = check_endpoint(errand.unverified_endpoint, channels.allowed_hosts)
    keys = check_keys(
        unverified_p256dh=errand.unverified_p256dh, unverified_auth=errand.unverified_auth
    )
    try:
        send_push(wake_up, endpoint=endpoint, keys=keys, identity=channels.identity, now=now)
    except SubscriptionGone as error:
        return _Gone(str(error), errand.unverified_endpoint)
    return _Taken()


def _text(message: ClaimedMessage, errand: SmsErrand, *, channels: Channels) -> _Taken | _Never:
    if channels.sms_gateway is None:
        return _Never("there is no SMS gateway")
    send_sms(
        errand.sealed_sms,
        message_id=message.id,
        private_key=channels.sms_key,
        gateway=channels.sms_gateway,
    )
    return _Taken()


def _record(session: Session, message: ClaimedMessage, outcome: _Outcome, *, now: datetime) -> None:
    match outcome:
        case _Taken():
            mark_sent(session, message, now=now)
        case _NotNow(reason, retry_after_seconds):
            mark_failed(
                session, message, now=now, reason=reason, retry_after_seconds=retry_after_seconds
            )
        case _Never(reason):
            bury_message(session, message, now=now, reason=reason)
        case _Gone(reason, endpoint):
            if drop_subscription(session, kid=message.kid or b"", unverified_endpoint=endpoint):
                bury_message(session, message, now=now, reason=reason)
            else:
                # The phone has subscribed anew meanwhile: wake it there.
                mark_failed(session, message, now=now, reason=reason)


def _report(message: ClaimedMessage, outcome: _Outcome) -> None:
    seen: dict[str, object] = {
        "transaction_id": message.transaction_id,
        "channel": message.channel,
        "attempts": message.attempts,
    }
    if isinstance(outcome, _Taken):
        log.info("sent", extra=seen)
    else:
        log.warning("not sent", extra=seen | {"reason": outcome.reason})
