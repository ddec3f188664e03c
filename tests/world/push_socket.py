"""The half of a push service that browsers speak with: autopush's WebSocket, as Firefox knows it.

1. A browser says ``hello`` first and gets its ``uaid``; one that we gave it before brings back its
   channels, an unknown one is replaced by a new one. A second connection of a browser ends the
   first.
2. ``register`` restricts a channel to a VAPID key (RFC 8292, 4) and gives the endpoint;
   ``unregister`` lets it be gone.
3. What waits is sent as ``notification`` at once. What was not acknowledged when the connection
   ended is sent again in the next one.
4. A message that breaks the protocol ends the connection.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import token_hex, token_urlsafe
from typing import Any
from uuid import UUID

from aiohttp import WSMessage, WSMsgType, web

from tests.world.push_inbox import Message, Subscription
from tests.world.push_rules import Refused, read_key

PROTOCOL = "push-notification"
LONGEST_SAID = 64 * 1024
DELIVERED = 100
BROKEN_PROTOCOL = 4000
REPLACED = 4001
AWAY = 1001

Said = dict[str, Any]


@dataclass(frozen=True)
class Acknowledged:
    """A browser has taken a message: 100 delivered, 101 not decrypted, 102 not delivered."""

    token: str
    code: int


@dataclass
class _Browser:
    """What is kept of one browser, whether it is connected or not."""

    uaid: str
    channels: dict[str, Subscription] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    socket: web.WebSocketResponse | None = None


class BrokenProtocol(Exception):
    """The browser said what nobody understands."""


class PushSocket:
    """Connections of browsers, and what they subscribed to."""

    def __init__(
        self,
        *,
        subscribed: Callable[[Subscription], str],
        clock: Callable[[], float],
    ) -> None:
        """Serve browsers.

        Args:
            subscribed: keeps a subscription and gives its endpoint.
            clock: tells the time in seconds.
        """
        self.acknowledged: list[Acknowledged] = []
        self.connections = 0
        """How many browsers have said hello so far."""
        self._subscribed = subscribed
        self._clock = clock
        self._browsers: dict[str, _Browser] = {}

    async def talk(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection until it ends."""
        socket = web.WebSocketResponse(protocols=(PROTOCOL,), max_msg_size=LONGEST_SAID)
        await socket.prepare(request)
        if socket.ws_protocol != PROTOCOL:
            await socket.close(code=BROKEN_PROTOCOL)
            return socket
        try:
            browser = await self._hello(socket)
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(self._send_what_waits(browser, socket))
                async for message in socket:
                    await self._answer(browser, socket, _read(message))
                sending.cancel()
        except* (BrokenProtocol, ConnectionError):
            await socket.close(code=BROKEN_PROTOCOL)
        finally:
            self._forget(socket)
        return socket

    async def hang_up(self) -> None:
        """End all connections."""
        for browser in tuple(self._browsers.values()):
            if browser.socket is not None:
                await browser.socket.close(code=AWAY)

    async def lose(self) -> None:
        """Know no browser any more, as after a loss of the service's data; all is gone."""
        lost = tuple(self._browsers.values())
        self._browsers.clear()
        for browser in lost:
            for subscription in browser.channels.values():
                subscription.gone = True
            if browser.socket is not None:
                await browser.socket.close(code=AWAY)

    # --- what a browser says --------------------------------------------------

    async def _hello(self, socket: web.WebSocketResponse) -> _Browser:
        said = _read(await socket.receive())
        if said.get("messageType") != "hello" or said.get("use_webpush") is not True:
            raise BrokenProtocol("the first message is not a hello for Web Push")
        browser = self._browsers.get(str(said.get("uaid"))) or _Browser(token_hex(16))
        self._browsers[browser.uaid] = browser
        if browser.socket is not None:
            await browser.socket.close(code=REPLACED)
        browser.socket = socket
        for subscription in browser.channels.values():
            subscription.waiting = 1
        answer = {"uaid": browser.uaid, "status": 200, "use_webpush": True, "broadcasts": {}}
        await socket.send_json({"messageType": "hello"} | answer)
        self.connections += 1
        return browser

    async def _answer(self, browser: _Browser, socket: web.WebSocketResponse, said: Said) -> None:
        match said:
            case {} if not said:
                await socket.send_json({})
            case {"messageType": "register", "channelID": str(channel)}:
                await socket.send_json(self._register(browser, channel, said.get("key")))
            case {"messageType": "unregister", "channelID": str(channel)}:
                if (subscription := browser.channels.pop(channel, None)) is not None:
                    subscription.gone = True
                done = {"messageType": "unregister", "channelID": channel, "status": 200}
                await socket.send_json(done)
            case {"messageType": "ack", "updates": [*updates]}:
                for update in updates:
                    self._acknowledge(browser, update)
            case {"messageType": "nack" | "broadcast_subscribe"}:
                return
            case _:
                raise BrokenProtocol("no such message")

    def _register(self, browser: _Browser, channel: str, unverified_key: object) -> Said:
        answer = {"messageType": "register", "channelID": channel}
        # Firefox pads it; applications do not (RFC 8292, 3.2).
        key = str(unverified_key).rstrip("=")
        try:
            read_key(key)
            UUID(channel)
        except (Refused, ValueError) as error:
            return answer | {"status": 400, "error": str(error)}
        known = browser.channels.get(channel)
        if known is not None and known.key != key:
            return answer | {"status": 409}
        if known is None:
            known = Subscription(token_urlsafe(32), token_urlsafe(32), key)
            known.changed, known.waiting = browser.changed, 1
            browser.channels[channel] = known
        return answer | {"status": 200, "pushEndpoint": self._subscribed(known)}

    def _acknowledge(self, browser: _Browser, update: object) -> None:
        match update:
            case {"channelID": str(channel), "version": str(version), **more}:
                code = int(str(more.get("code", DELIVERED)))
            case _:
                raise BrokenProtocol("no such acknowledgement")
        subscription = browser.channels.get(channel)
        if subscription is not None:
            subscription.messages = [kept for kept in subscription.messages if kept.id != version]
            self.acknowledged.append(Acknowledged(subscription.token, code))

    # --- what a browser is told -----------------------------------------------

    async def _send_what_waits(self, browser: _Browser, socket: web.WebSocketResponse) -> None:
        sent: set[str] = set()
        while True:
            browser.changed.clear()
            for channel, subscription in tuple(browser.channels.items()):
                for message in subscription.fresh(self._clock()):
                    if message.id not in sent:
                        sent.add(message.id)
                        await socket.send_json(self._notification(channel, message))
            await browser.changed.wait()

    def _notification(self, channel: str, message: Message) -> Said:
        told = {
            "messageType": "notification",
            "channelID": channel,
            "version": message.id,
            "ttl": int(message.expires_at - self._clock()),
            "data": message.data,
            "headers": {"encoding": "aes128gcm"},
        }
        return told if message.topic is None else told | {"topic": message.topic}

    def _forget(self, socket: web.WebSocketResponse) -> None:
        for browser in self._browsers.values():
            if browser.socket is socket:
                browser.socket = None
                for subscription in browser.channels.values():
                    subscription.waiting = 0


def _read(message: WSMessage) -> Said:
    if message.type is not WSMsgType.TEXT:
        raise BrokenProtocol("the connection ended, or this is not text")
    try:
        said = json.loads(message.data)
    except ValueError as error:
        raise BrokenProtocol("this is not JSON") from error
    if not isinstance(said, dict):
        raise BrokenProtocol("this is not an object")
    return said
