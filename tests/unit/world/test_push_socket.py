"""tests/world/push_socket.py speaks with browsers as its docstring says (phone.md 1)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSCloseCode, WSMsgType
from cryptography.hazmat.primitives.asymmetric import ec

from tests.world.push_inbox import Message
from tests.world.push_service import PushService, running_push_service
from tests.world.push_socket import BROKEN_PROTOCOL, PROTOCOL, REPLACED
from tests.world.woken_phones import b64u, point

KEY = b64u(point(ec.generate_private_key(ec.SECP256R1()).public_key()))
HELLO = {"messageType": "hello", "use_webpush": True, "broadcasts": {}}
SECONDS = 20


@pytest.fixture
def service(tmp_path: Path) -> Iterator[PushService]:
    with running_push_service(ca_out=tmp_path / "ca.pem", clock=lambda: 1000.0) as service:
        yield service


class Browser:
    """Says what the test says."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket

    async def say(self, **members: object) -> dict[str, Any]:
        await self.socket.send_json(members)
        return await self.hear()

    async def hear(self) -> dict[str, Any]:
        heard: dict[str, Any] = await self.socket.receive_json(timeout=SECONDS)
        return heard

    async def hello(self, uaid: str | None = None) -> str:
        answer = await self.say(**HELLO | ({"uaid": uaid} if uaid else {}))
        assert (answer["messageType"], answer["status"]) == ("hello", 200)
        assert answer["use_webpush"] is True
        return str(answer["uaid"])

    async def register(self, channel: str, key: object = KEY) -> dict[str, Any]:
        return await self.say(messageType="register", channelID=channel, key=key)

    async def closed(self) -> int:
        message = await self.socket.receive(timeout=SECONDS)
        assert message.type is WSMsgType.CLOSE
        return int(message.data)


@asynccontextmanager
async def a_browser(service: PushService, protocol: str = PROTOCOL) -> AsyncIterator[Browser]:
    async with (
        ClientSession() as http,
        http.ws_connect(service.socket_url, protocols=[protocol]) as socket,
    ):
        yield Browser(socket)


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, SECONDS))


def send(service: PushService, endpoint: str, text: bytes, topic: str | None = None) -> None:
    """Put a message where an accepted one goes; the loop of the service hears of it."""
    subscription = service._by_token[endpoint.rpartition("/")[2]]
    message = Message(text.decode(), text, topic, 1060.0)
    assert service.loop is not None
    service.loop.call_soon_threadsafe(subscription.keep, message)


def test_a_subscription_lives_until_it_is_given_back(service: PushService) -> None:
    async def talk() -> None:
        channel = str(uuid4())
        async with a_browser(service) as browser:
            await browser.hello()
            answer = await browser.register(channel)
            endpoint = answer["pushEndpoint"]
            assert (answer["status"], answer["channelID"]) == (200, channel)
            assert endpoint.startswith(f"https://{service.host}/wpush/v2/")
            assert service.is_awaited(endpoint)
            assert (await browser.register(channel))["pushEndpoint"] == endpoint
            answer = await browser.say(messageType="unregister", channelID=channel, code=200)
            assert (answer["status"], answer["channelID"]) == (200, channel)
            assert service.is_gone(endpoint)
            assert await browser.say() == {}

    run(talk())


def test_a_message_comes_until_it_is_acknowledged(service: PushService) -> None:
    async def talk() -> None:
        channel = str(uuid4())
        async with a_browser(service) as browser:
            uaid = await browser.hello()
            endpoint = (await browser.register(channel, KEY + "="))["pushEndpoint"]
            send(service, endpoint, b"one", "topic")
            told = await browser.hear()
        assert told == {
            "messageType": "notification",
            "channelID": channel,
            "version": "one",
            "ttl": 60,
            "topic": "topic",
            "data": b64u(b"one"),
            "headers": {"encoding": "aes128gcm"},
        }
        async with a_browser(service) as browser:
            assert await browser.hello(uaid) == uaid
            assert await browser.hear() == told
            update = {"channelID": channel, "version": "one", "code": 100}
            await browser.socket.send_json({"messageType": "ack", "updates": [update]})
            assert await browser.say() == {}
        assert [ack.code for ack in service.browsers.acknowledged] == [100]
        async with a_browser(service) as browser:
            assert await browser.hello(uaid) == uaid
            assert await browser.say() == {}

    run(talk())


def test_an_unknown_browser_gets_another_name_and_no_channels(service: PushService) -> None:
    async def talk() -> None:
        async with a_browser(service) as browser:
            uaid = await browser.hello()
            endpoint = (await browser.register(str(uuid4())))["pushEndpoint"]
            await asyncio.to_thread(service.lose_browsers)
            assert await browser.closed() == WSCloseCode.GOING_AWAY
        async with a_browser(service) as browser:
            assert await browser.hello(uaid) != uaid
        assert service.is_gone(endpoint)

    run(talk())


def test_a_second_connection_of_a_browser_ends_the_first(service: PushService) -> None:
    async def talk() -> None:
        async with a_browser(service) as first, a_browser(service) as second:
            uaid = await first.hello()
            endpoint = (await first.register(str(uuid4())))["pushEndpoint"]
            opened = asyncio.create_task(second.hello(uaid))
            assert await first.closed() == REPLACED
            assert await opened == uaid
            assert await second.say() == {}
            assert service.is_awaited(endpoint)

    run(talk())


@pytest.mark.parametrize("key", [None, "", "x", KEY[:-4]], ids=["absent", "empty", "letter", "cut"])
def test_a_channel_without_a_key_is_refused(service: PushService, key: object) -> None:
    async def talk() -> None:
        async with a_browser(service) as browser:
            await browser.hello()
            assert (await browser.register(str(uuid4()), key))["status"] == 400

    run(talk())


def test_a_channel_keeps_its_key_and_has_a_name_of_its_kind(service: PushService) -> None:
    async def talk() -> None:
        other = b64u(point(ec.generate_private_key(ec.SECP256R1()).public_key()))
        async with a_browser(service) as browser:
            await browser.hello()
            channel = str(uuid4())
            assert (await browser.register(channel))["status"] == 200
            assert (await browser.register(channel, other))["status"] == 409
            assert (await browser.register("channel"))["status"] == 400

    run(talk())


async def _text(browser: Browser) -> None:
    await browser.socket.send_str("[]")


async def _bytes(browser: Browser) -> None:
    await browser.socket.send_bytes(b"{}")


async def _nonsense(browser: Browser) -> None:
    await browser.socket.send_json({"messageType": "nonsense"})


async def _acknowledges_nothing(browser: Browser) -> None:
    await browser.socket.send_json({"messageType": "ack", "updates": [{}]})


@pytest.mark.parametrize("broken", [_text, _bytes, _nonsense, _acknowledges_nothing])
@pytest.mark.parametrize("greeted", [False, True])
def test_who_breaks_the_protocol_is_hung_up_on(
    service: PushService, broken: Callable[[Browser], Awaitable[None]], *, greeted: bool
) -> None:
    async def talk() -> None:
        async with a_browser(service) as browser:
            if greeted:
                await browser.hello()
            await broken(browser)
            assert await browser.closed() == BROKEN_PROTOCOL

    run(talk())


def test_who_asks_for_no_web_push_or_another_protocol_is_hung_up_on(service: PushService) -> None:
    """phone.md 1: without ``use_webpush`` there are no payloads."""

    async def talk() -> None:
        async with a_browser(service) as browser:
            await browser.socket.send_json({"messageType": "hello", "uaid": ""})
            assert await browser.closed() == BROKEN_PROTOCOL
        async with a_browser(service, "chat") as browser:
            assert await browser.closed() == BROKEN_PROTOCOL

    run(talk())


def test_a_service_that_ends_hangs_up(tmp_path: Path) -> None:
    async def talk() -> None:
        with running_push_service(ca_out=tmp_path / "other.pem") as service:
            async with a_browser(service) as browser:
                await browser.hello()
                assert service.loop is not None
                service.loop.call_soon_threadsafe(service.stop)
                assert await browser.closed() == WSCloseCode.GOING_AWAY

    run(talk())
