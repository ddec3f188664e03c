"""Wakes a phone by Web Push: RFC 8030 (delivery), RFC 8291 (encryption), RFC 8292 (VAPID).

1. A push says that something waits, and its id; nothing of what it is (T-28, T-29).
2. It lives as long as the transaction, at most five minutes, and is urgent. Its topic is made of
   the message's id, so that a repetition replaces what still waits at the push service.
3. It goes only to an endpoint that was checked, by a session that reaches nothing else (T-19).
4. 404 and 410 mean that the subscription is gone; everything else that is not "taken" is tried
   again, when the service says. A refusal of our VAPID key is an alarm: it concerns every phone.
"""

import logging
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final, Literal, final
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from py_vapid import Vapid, VapidException
from pywebpush import WebPushException, webpush
from requests import RequestException

from backend.delivery.endpoints import AllowedEndpoint
from backend.delivery.guarded_session import SECONDS, guarded_session
from backend.delivery.subscriptions import SubscriberKeys
from backend.errors import (
    DeliveryFailed,
    SettingsInvalid,
    SubscriptionGone,
)
from backend.summary.render import push_text

log = logging.getLogger(__name__)

LONGEST_LIFE_SECONDS: Final = 300
LONGEST_RETRY_AFTER_SECONDS: Final = 3600


@final
class VapidIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """Who we are to push services; made by :func:`vapid_identity`."""

    key: ec.EllipticCurvePrivateKey
    subject: str


@final
class WakeUp(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one phone."""

    message_id: UUID
    transaction_id: UUID
    lang: str
    expires_at: datetime
    app_url: str


@final
class _Data(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID


@final
class _Notification(msgspec.Struct, frozen=True, kw_only=True):
    title: str
    body: str
    navigate: str
    tag: UUID
    data: _Data


@final
class _Payload(msgspec.Struct, frozen=True, kw_only=True):
    """docs/phone-protocol.md 8.3; the form is that of Declarative Web Push."""

    web_push: Literal[8030] = 8030
    notification: _Notification


def vapid_identity(key: ec.EllipticCurvePrivateKey, *, subject: str) -> VapidIdentity:
    """Make our identity, after one signature for trial.

    Raises:
        SettingsInvalid: the subject is no ``mailto:`` or ``https:`` address.
    """
    try:
        Vapid(key).sign({"sub": subject, "aud": "https://trial.invalid"})
    except VapidException as error:
        raise SettingsInvalid("vapid_subject is not a mailto: or https: address") from error
    return VapidIdentity(key=key, subject=subject)


def send_push(
    wake_up: WakeUp,
    *,
    endpoint: AllowedEndpoint,
    keys: SubscriberKeys,
    identity: VapidIdentity,
    now: datetime,
) -> None:
    """Hand one message to its push service.

    Raises:
        SubscriptionGone: the service does not know the subscription any more.
        EndpointRefused: the endpoint's host has an address that is not public.
        DeliveryFailed: the message was not taken now.
    """
    life_seconds = int((wake_up.expires_at - now).total_seconds())
    try:
        with guarded_session(endpoint) as session:
            webpush(
                {"endpoint": endpoint.url, "keys": {"p256dh": keys.p256dh, "auth": keys.auth}},
                data=_payload(wake_up).decode(),
                vapid_private_key=Vapid(identity.key),
                # A fresh dict each time: pywebpush writes `aud` and `exp` into it.
                vapid_claims={"sub": identity.subject, "aud": endpoint.origin},
                timeout=SECONDS,
                ttl=max(0, min(life_seconds, LONGEST_LIFE_SECONDS)),
                headers={"Urgency": "high", "Topic": wake_up.message_id.hex},
                requests_session=session,
            )
    except WebPushException as error:
        raise _refusal(error, endpoint=endpoint, now=now) from error
    except RequestException as error:
        raise DeliveryFailed(f"{endpoint.host} did not answer in time and form") from error


def _payload(wake_up: WakeUp) -> bytes:
    words = push_text(wake_up.lang)
    return msgspec.json.encode(
        _Payload(
            notification=_Notification(
                title=words.title,
                body=words.body,
                navigate=f"{wake_up.app_url}/?tx={wake_up.transaction_id}",
                tag=wake_up.transaction_id,
                data=_Data(id=wake_up.transaction_id),
            )
        )
    )


def _refusal(
    error: WebPushException, *, endpoint: AllowedEndpoint, now: datetime
) -> SubscriptionGone | DeliveryFailed:
    """Say what an answer means. Its body was written by others and is not repeated."""
    status = error.status_code
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        return SubscriptionGone(f"{endpoint.host} does not know the subscription")
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        log.error(
            "a push service refuses our VAPID key: no phone behind it is woken",
            extra={"event_name": "vapid_refused", "reason": endpoint.host, "status": status},
        )
    return DeliveryFailed(
        f"{endpoint.host} answered {status}", _retry_after_seconds(error.retry_after, now=now)
    )


def _retry_after_seconds(unverified: str | None, *, now: datetime) -> int | None:
    """Read ``Retry-After`` (RFC 9110, 10.2.3): seconds or a date; what is neither is not heard."""
    if unverified is None:
        return None
    if unverified.isascii() and unverified.isdecimal():
        # Bounded before it is read: Python reads no integers of thousands of digits.
        seconds = int(unverified[:10])
    else:
        try:
            seconds = int((parsedate_to_datetime(unverified) - now).total_seconds())
        except (ValueError, TypeError):
            return None
    return max(0, min(seconds, LONGEST_RETRY_AFTER_SECONDS))
