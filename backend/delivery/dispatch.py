"""One claimed message, to its end. No database connection is held while sending.

What became of it decides: taken is sent; a subscription that is gone is forgotten; what can never
be sent is buried; everything else is tried again.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final, final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from backend.delivery.claiming import ClaimedMessage, PushErrand, SmsErrand
from backend.delivery.endpoints import AllowedEndpoint, AllowedHost, check_endpoint
from backend.delivery.guarded_session import GuardedSession
from backend.delivery.lanes import SMS_LANE
from backend.delivery.outcomes import Gone, Never, NotNow, Outcome, Taken
from backend.delivery.sms import SmsGateway, send_sms
from backend.delivery.subscriptions import SubscriberKeys, check_keys
from backend.delivery.web_push import VapidIdentity, WakeUp, send_push
from backend.errors import (
    DeliveryFailed,
    EndpointRefused,
    MalformedMessage,
    NotAnswered,
    SubscriptionGone,
    SummaryRefused,
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
    sms_gateway: SmsGateway | None
    """``None``: text messages cannot be sent here, and are buried."""


@final
class _Push(msgspec.Struct, frozen=True, kw_only=True):
    """A push whose row was checked again, for rows are no authority."""

    wake_up: WakeUp
    endpoint: AllowedEndpoint
    keys: SubscriberKeys
    unverified_endpoint: str


@final
class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """A message that can be sent, and by which lane; made by :func:`pack` alone."""

    message: ClaimedMessage
    destination: str
    content: _Push | SmsErrand


def pack(message: ClaimedMessage, channels: Channels) -> Parcel | Never:
    """Check what a row says, or say why it is never sent."""
    if isinstance(message.errand, SmsErrand):
        if channels.sms_gateway is None:
            return Never("there is no SMS gateway")
        return Parcel(message=message, destination=SMS_LANE, content=message.errand)
    try:
        push = _checked(message, message.errand, channels)
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


@final
class Sender:
    """Sends in one event loop, by connections that it keeps."""

    def __init__(self, channels: Channels, *, clock: Clock) -> None:
        """Send by these channels; nothing is connected yet."""
        self._channels = channels
        self._clock = clock
        self._sessions: OrderedDict[str, GuardedSession] = OrderedDict()

    async def close(self) -> None:
        """Close every connection."""
        while self._sessions:
            _, session = self._sessions.popitem()
            await session.close()

    async def send(self, parcel: Parcel) -> Outcome:
        """Send, and say what became of it."""
        try:
            if isinstance(parcel.content, SmsErrand):
                return await self._text(parcel.message, parcel.content)
            return await self._push(parcel.content)
        except NotAnswered as error:
            return NotNow(str(error), error.retry_after_seconds, answered=False)
        except DeliveryFailed as error:
            return NotNow(str(error), error.retry_after_seconds, answered=True)
        except (EndpointRefused, MalformedMessage, SummaryRefused) as error:
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

    async def _text(self, message: ClaimedMessage, errand: SmsErrand) -> Taken | Never:
        gateway = self._channels.sms_gateway
        if gateway is None:
            return Never("there is no SMS gateway")
        # A gateway may block.
        await asyncio.get_running_loop().run_in_executor(
            None,
            partial(
                send_sms,
                errand.sealed_sms,
                message_id=message.id,
                private_key=self._channels.sms_key,
                gateway=gateway,
            ),
        )
        return Taken()

    async def _session(self, endpoint: AllowedEndpoint) -> GuardedSession:
        session = self._sessions.get(endpoint.origin)
        if session is None:
            session = self._sessions[endpoint.origin] = GuardedSession(endpoint)
        self._sessions.move_to_end(endpoint.origin)
        if len(self._sessions) > MOST_SESSIONS:
            _, unused = self._sessions.popitem(last=False)
            await unused.close()
        return session
