"""Wakes a phone by Web Push: RFC 8030 (delivery), RFC 8291 (encryption), RFC 8292 (VAPID).

1. A push says that something waits, and its id; nothing of what it is (T-28, T-29).
2. It lives as long as the transaction, at most five minutes, and is urgent. Its topic is made of
   the message's id, so that a repetition replaces what still waits at the push service.
3. It goes only to an endpoint that was checked, by a session that reaches nothing else (T-19).
4. 404 and 410 mean that the subscription is gone; everything else that is not "taken" is tried
   again, when the service says. A refusal of our VAPID key is an alarm: it concerns every phone.
5. One VAPID token serves an origin for an hour and is valid for two; RFC 8292 allows 24.
"""

import logging
from datetime import datetime
from http import HTTPStatus
from typing import Final, Literal, final
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from py_vapid import Vapid, VapidException
from pywebpush import WebPusher

from backend.delivery.endpoints import AllowedEndpoint
from backend.delivery.guarded_session import Answer, GuardedSession
from backend.delivery.retry_after import read_retry_after
from backend.delivery.subscriptions import SubscriberKeys
from backend.errors import DeliveryFailed, SettingsInvalid, SubscriptionGone
from backend.summary.render import push_text

log = logging.getLogger(__name__)

LONGEST_LIFE_SECONDS: Final = 300
TOKEN_RENEWED_SECONDS: Final = 3600
TOKEN_VALID_SECONDS: Final = 7200
MOST_TOKENS: Final = 1000
"""Of origins; a wildcard of the allow-list covers any number."""


@final
class VapidIdentity:
    """Who we are to push services; made by :func:`vapid_identity`."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, *, subject: str) -> None:
        """Sign as ``subject`` with ``key``."""
        self.key = key
        self._subject = subject
        self._vapid = Vapid(key)
        self._tokens: dict[str, tuple[datetime, str]] = {}

    def authorization(self, origin: str, *, now: datetime) -> str:
        """Give the value of ``Authorization`` for a push service (RFC 8292, 3)."""
        made_at, token = self._tokens.get(origin, (None, ""))
        if made_at is None or not 0 <= (now - made_at).total_seconds() < TOKEN_RENEWED_SECONDS:
            token = self._sign(origin, expires=int(now.timestamp()) + TOKEN_VALID_SECONDS)
            if len(self._tokens) >= MOST_TOKENS:
                self._tokens.clear()
            self._tokens[origin] = (now, token)
        return token

    def _sign(self, origin: str, *, expires: int) -> str:
        claims = {"sub": self._subject, "aud": origin, "exp": expires}
        return str(self._vapid.sign(claims)["Authorization"])


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
    return VapidIdentity(key, subject=subject)


async def send_push(  # who, where, how and when
    wake_up: WakeUp,
    *,
    endpoint: AllowedEndpoint,
    keys: SubscriberKeys,
    identity: VapidIdentity,
    session: GuardedSession,
    now: datetime,
) -> None:
    """Hand one message to its push service.

    Raises:
        SubscriptionGone: the service does not know the subscription any more.
        EndpointRefused: the endpoint's host has an address that is not public.
        DeliveryFailed: the message was not taken now.
        NotAnswered: the service did not answer in time and form.
    """
    life_seconds = int((wake_up.expires_at - now).total_seconds())
    headers = {
        "Authorization": identity.authorization(endpoint.origin, now=now),
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
        "TTL": str(max(0, min(life_seconds, LONGEST_LIFE_SECONDS))),
        "Topic": wake_up.message_id.hex,
        "Urgency": "high",
    }
    answer = await session.post(endpoint, headers=headers, body=_encrypted(wake_up, keys))
    _check(answer, endpoint=endpoint, now=now)


def _encrypted(wake_up: WakeUp, keys: SubscriberKeys) -> bytes:
    """Encrypt for the phone alone (RFC 8291)."""
    pusher = WebPusher({"endpoint": "", "keys": {"p256dh": keys.p256dh, "auth": keys.auth}})
    body: bytes = pusher.encode(_payload(wake_up))["body"]
    return body


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


def _check(answer: Answer, *, endpoint: AllowedEndpoint, now: datetime) -> None:
    """Say what an answer means. What else it holds was written by others and is not repeated."""
    status = answer.status
    if status in {HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED}:
        return
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        raise SubscriptionGone(f"{endpoint.host} does not know the subscription")
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        log.error(
            "a push service refuses our VAPID key: no phone behind it is woken",
            extra={"event_name": "vapid_refused", "reason": endpoint.host, "status": status},
        )
    raise DeliveryFailed(
        f"{endpoint.host} answered {status}",
        read_retry_after(answer.unverified_retry_after, now=now),
    )
