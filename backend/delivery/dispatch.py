"""One claimed message, to its end. No database connection is held while sending.

What became of it decides: taken is sent; a subscription that is gone is forgotten; what can never
be sent is buried; everything else is tried again.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from backend.delivery.claiming import ClaimedMessage
from backend.delivery.endpoints import (
    AllowedEndpoint,
    AllowedHost,
    Pin,
    check_endpoint,
    check_webhook,
)
from backend.delivery.errands import PushErrand, RefusedSms, SmsErrand, WebhookErrand
from backend.delivery.guarded_session import GuardedSession
from backend.delivery.lanes import SMS_LANE, webhook_lane
from backend.delivery.outcomes import Gone, Never, NotNow, Outcome, Taken
from backend.delivery.sms import SECONDS as SMS_SECONDS
from backend.delivery.sms import CountedSms, SmsGateway, open_text
from backend.delivery.sms_budgets import SmsRules
from backend.delivery.subscriptions import SubscriberKeys, check_keys
from backend.delivery.web_push import VapidIdentity, WakeUp, send_push
from backend.delivery.webhook_secrets import open_secrets
from backend.delivery.webhooks import Notice, send_webhook
from backend.errors import (
    DeliveryFailed,
    EndpointRefused,
    MalformedMessage,
    NotAnswered,
    SmsRefused,
    SubscriptionGone,
    SummaryRefused,
    WebhookUnwanted,
)

Clock = Callable[[], datetime]

MOST_SESSIONS: Final = 500
"""More than messages can be under way; of those that are kept the longest unused is closed."""


@final
class Channels(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker sends with."""

    allowed_hosts: Sequence[AllowedHost]
    identity: VapidIdentity
    app_url: str
    sms_key: ec.EllipticCurvePrivateKey
    """The worker's key; webhooks' secrets are sealed to it, too."""
    sms_gateway: SmsGateway | None
    """``None``: text messages cannot be sent here, and are buried."""
    webhook_pins: Sequence[AllowedHost] = ()
    sms_rules: SmsRules = SmsRules()


@final
class _Push(msgspec.Struct, frozen=True, kw_only=True):
    """A push whose row was checked again, for rows are no authority."""

    wake_up: WakeUp
    endpoint: AllowedEndpoint
    keys: SubscriberKeys
    unverified_endpoint: str


@final
class _Telling(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook's message, likewise."""

    notice: Notice
    endpoint: AllowedEndpoint
    errand: WebhookErrand


@final
class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """A message that can be sent, and by which lane; made by :func:`pack` alone."""

    message: ClaimedMessage
    destination: str
    content: _Push | CountedSms | _Telling


def pack(message: ClaimedMessage, channels: Channels) -> Parcel | Never:
    """Check what a row says, or say why it is never sent."""
    errand = message.errand
    if isinstance(errand, RefusedSms):
        return Never(errand.reason)
    if isinstance(errand, SmsErrand):  # nobody counted it
        return Never("there is no SMS gateway")
    if isinstance(errand, CountedSms):
        return Parcel(message=message, destination=SMS_LANE, content=errand)
    try:
        if isinstance(errand, WebhookErrand):
            return _told(message, errand, channels)
        push = _checked(message, errand, channels)
    except (EndpointRefused, MalformedMessage) as error:
        return Never(str(error))
    return Parcel(message=message, destination=push.endpoint.origin, content=push)


def _checked(message: ClaimedMessage, errand: PushErrand, channels: Channels) -> _Push:
    return _Push(
        wake_up=WakeUp(
            message_id=message.id,
            transaction_id=message.transaction_id,
            lang=errand.lang,
            expires_at=message.expires_at,
            app_url=channels.app_url,
        ),
        endpoint=check_endpoint(errand.unverified_endpoint, channels.allowed_hosts),
        keys=check_keys(
            unverified_p256dh=errand.unverified_p256dh, unverified_auth=errand.unverified_auth
        ),
        unverified_endpoint=errand.unverified_endpoint,
    )


def _told(message: ClaimedMessage, errand: WebhookErrand, channels: Channels) -> Parcel:
    telling = _Telling(
        notice=Notice(
            message_id=message.id,
            event=errand.event,
            happened_at=errand.happened_at,
            handle_hash=errand.handle_hash,
            credential=errand.credential,
            state=errand.state,
        ),
        endpoint=check_webhook(errand.unverified_url, channels.webhook_pins),
        errand=errand,
    )
    destination = webhook_lane(errand.relying_party)
    return Parcel(message=message, destination=destination, content=telling)


@final
class Sender:
    """Sends in one event loop, by connections that it keeps."""

    def __init__(self, channels: Channels, *, clock: Clock) -> None:
        """Send by these channels; nothing is connected yet."""
        self._channels = channels
        self._clock = clock
        self._sessions: OrderedDict[tuple[str, Pin | None], GuardedSession] = OrderedDict()

    async def open(self) -> None:
        """Reach the SMS gateway, which may have something to report."""
        if self._channels.sms_gateway is not None:
            await self._channels.sms_gateway.open()

    async def close(self) -> None:
        """Close every connection."""
        if self._channels.sms_gateway is not None:
            await self._channels.sms_gateway.close()
        while self._sessions:
            _, session = self._sessions.popitem()
            await session.close()

    async def send(self, parcel: Parcel) -> Outcome:
        """Send, and say what became of it."""
        try:
            if isinstance(parcel.content, CountedSms):
                return await self._text(parcel.message, parcel.content)
            if isinstance(parcel.content, _Telling):
                return await self._tell(parcel.content)
            return await self._push(parcel.content)
        except NotAnswered as error:
            return _not_now(error, answered=False)
        except DeliveryFailed as error:
            return _not_now(error, answered=True)
        except (
            EndpointRefused,
            MalformedMessage,
            SmsRefused,
            SummaryRefused,
            WebhookUnwanted,
        ) as error:
            return Never(str(error))

    async def _push(self, push: _Push) -> Taken | Gone:
        try:
            await send_push(
                push.wake_up,
                endpoint=push.endpoint,
                keys=push.keys,
                identity=self._channels.identity,
                session=await self._session(push.endpoint),
                now=self._clock(),
            )
        except SubscriptionGone as error:
            return Gone(str(error), push.unverified_endpoint)
        return Taken()

    async def _tell(self, telling: _Telling) -> Taken:
        now, errand = self._clock(), telling.errand
        await send_webhook(
            telling.notice,
            endpoint=telling.endpoint,
            secrets=open_secrets(
                errand.secrets,
                self._channels.sms_key,
                relying_party=errand.relying_party,
                now=now,
            ),
            session=await self._session(telling.endpoint),
            now=now,
        )
        return Taken()

    async def _text(self, message: ClaimedMessage, errand: CountedSms) -> Taken:
        gateway = self._channels.sms_gateway
        if gateway is None:
            raise SmsRefused("there is no SMS gateway")
        sms = open_text(
            errand.sealed_sms,
            message_id=message.id,
            expires_at=message.expires_at,
            private_key=self._channels.sms_key,
        )
        try:
            async with asyncio.timeout(SMS_SECONDS):
                return Taken(await gateway.send(sms))
        except TimeoutError as error:
            raise NotAnswered("the SMS gateway took too long", perhaps_taken=True) from error

    async def _session(self, endpoint: AllowedEndpoint) -> GuardedSession:
        where = (endpoint.origin, endpoint.pin)
        session = self._sessions.get(where)
        if session is None:
            session = self._sessions[where] = GuardedSession(endpoint)
        self._sessions.move_to_end(where)
        if len(self._sessions) > MOST_SESSIONS:
            _, unused = self._sessions.popitem(last=False)
            await unused.close()
        return session


def _not_now(error: DeliveryFailed, *, answered: bool) -> NotNow:
    return NotNow(
        str(error),
        error.retry_after_seconds,
        answered=answered,
        perhaps_taken=error.perhaps_taken,
    )
