"""What `cellkey wait` answers: bounds, hostile callers, slow ones, and the last moment."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import ClientSession, web

from backend.waiting.connections import Connections, open_socket
from backend.waiting.crowd import Bounds
from backend.waiting.server import Pace, WaitServer

ANNA = "00000000-0000-4000-8000-00000000000a"
PROXY = "127.0.0.9"


class World:
    """A server in this loop, and a client."""

    def __init__(self, server: WaitServer, port: int, client: ClientSession) -> None:
        self.server = server
        self.port = port
        self.url = f"http://127.0.0.1:{port}/wait"
        self.client = client

    async def get(self, path: str, **headers: str) -> tuple[int, Any]:
        async with self.client.get(f"{self.url}/{path}", headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def cursor(self, wait_id: str = ANNA) -> str:
        _, told = await self.get(wait_id)
        cursor: str = told["cursor"]
        return cursor

    async def until_waiting(self, count: int) -> None:
        while len(self.server._crowd) != count:  # noqa: ASYNC110  # the server tells nobody
            await asyncio.sleep(0.01)


@asynccontextmanager
async def opened(
    *, bounds: Bounds | None = None, most: int = 1000, quiet_seconds: float = 60, **pace: float
) -> AsyncIterator[World]:
    server = WaitServer(
        origins=frozenset({"https://app.example.org", "https://sign.example.org"}),
        bounds=bounds or Bounds(),
        proxies=frozenset({PROXY}),
        is_ready=lambda: True,
        pace=Pace(**pace),
    )
    connections = Connections(most=most, quiet_seconds=quiet_seconds)
    runner = web.AppRunner(
        server.application(connections.middleware()), handler_cancellation=True, access_log=None
    )
    await runner.setup()
    http = runner.server
    assert http is not None
    listener = open_socket("127.0.0.1", 0)
    port = listener.getsockname()[1]
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(connections.protocols(http), sock=listener)
    sweeping = loop.create_task(connections.sweep(http))
    async with ClientSession() as client:
        yield World(server, port, client)
    listening.close()
    sweeping.cancel()
    await server.stop()
    await runner.cleanup()


def within(story: Callable[[World], Awaitable[None]], **given: Any) -> None:  # noqa: ANN401  # as opened
    async def run() -> None:
        async with opened(**given) as world:
            await story(world)

    asyncio.run(run())


def test_a_change_in_the_moment_when_time_is_up_is_not_missed() -> None:
    """The waiting has ended already when the word comes, but nothing is answered yet."""

    async def told_too_late(world: World) -> None:
        cursor = await world.cursor()
        held = asyncio.create_task(world.get(f"{ANNA}?cursor={cursor}"))
        await world.until_waiting(1)
        loop = asyncio.get_running_loop()
        loop.call_later(1.01, world.server.tell, ANNA)
        time.sleep(1.1)  # noqa: ASYNC251  # both are due in one turn of the loop, the timeout first
        _, told = await held

        assert told["changed"] or (await world.get(f"{ANNA}?cursor={told['cursor']}"))[1]["changed"]

    within(told_too_late, hold_seconds=1)


def test_who_is_still_to_be_woken_when_his_time_is_up_is_told() -> None:
    """After a lost connection everybody is woken a few at a time."""

    async def not_woken_yet(world: World) -> None:
        cursor = await world.cursor()
        held = asyncio.create_task(world.get(f"{ANNA}?cursor={cursor}"))
        await world.until_waiting(1)
        world.server._memory.keep_gap()

        assert (await held)[1]["changed"]

    within(not_woken_yet, hold_seconds=1)


def test_without_a_change_the_cursor_comes_back_and_stays_good() -> None:
    async def quiet(world: World) -> None:
        cursor = await world.cursor()
        world.server.tell("another's")
        _, told = await world.get(f"{ANNA}?cursor={cursor}")
        again = asyncio.create_task(world.get(f"{ANNA}?cursor={told['cursor']}"))
        await world.until_waiting(1)
        world.server.tell(ANNA)

        assert not told["changed"]
        assert (await again)[1]["changed"]

    within(quiet, hold_seconds=0.2)


@pytest.mark.parametrize(
    "path",
    [
        *("", "x", "..%2f..", ANNA.upper(), ANNA + "0", ANNA[:-1], ANNA.replace("-", "")),
        *("%00" * 36, f"{ANNA}%0a", f"{ANNA}/other", f"{ANNA}/events/more", "a" * 4000),
    ],
)
def test_what_is_no_id_is_not_found(path: str) -> None:
    async def asked(world: World) -> None:
        status, told = await world.get(path)
        assert (status, told["type"]) == (404, "urn:cellkey:problem:not-found")

    within(asked)


@pytest.mark.parametrize("cursor", ["x", "%00", "0123456789abcdef-01", "-" * 3000])
def test_what_is_no_cursor_is_refused_and_holds_no_place(cursor: str) -> None:
    async def asked(world: World) -> None:
        poll = await world.get(f"{ANNA}?cursor={cursor}")
        stream = await world.get(f"{ANNA}/events", **{"Last-Event-ID": cursor})

        assert (poll[0], stream[0]) == (400, 400)
        assert poll[1]["type"] == "urn:cellkey:problem:malformed"
        assert len(world.server._crowd) == 0

    within(asked)


def test_an_unknown_id_is_held_like_a_known_one_and_leaves_nothing_behind() -> None:
    async def asked(world: World) -> None:
        cursor = await world.cursor()
        status, told = await world.get(f"{uuid4()}?cursor={cursor}")

        assert (status, told) == (200, {"changed": False, "cursor": cursor})
        assert len(world.server._crowd) == 0
        assert not world.server._memory._changes

    within(asked, hold_seconds=0.1)


def test_who_finds_no_place_is_told_when_to_come_back() -> None:
    async def crowded(world: World) -> None:
        cursor = await world.cursor()
        held = asyncio.create_task(world.get(f"{ANNA}?cursor={cursor}"))
        await world.until_waiting(1)
        for path, status, name in (
            (ANNA, 429, "too-many-tries"),
            (str(uuid4()), 503, "unavailable"),
        ):
            world.server._crowd._bounds = (
                Bounds(of_id=1) if status == 429 else Bounds(all=1)  # one bound at a time
            )
            async with world.client.get(f"{world.url}/{path}?cursor={cursor}") as answer:
                told = await answer.json(content_type=None)
                assert (answer.status, told["type"]) == (status, f"urn:cellkey:problem:{name}")
                assert int(answer.headers["Retry-After"])
        world.server.tell(ANNA)
        assert (await held)[1]["changed"]

    within(crowded)


def test_only_a_proxy_of_ours_is_believed_for_whom_it_calls() -> None:
    """Else who writes the header himself takes every place."""

    async def crowded(world: World) -> None:
        cursor = await world.cursor()
        held = asyncio.create_task(world.get(f"{ANNA}?cursor={cursor}"))
        await world.until_waiting(1)
        status, _ = await world.get(
            f"{uuid4()}?cursor={cursor}", **{"X-Forwarded-For": "203.0.113.7"}
        )
        world.server._proxies = frozenset({"127.0.0.1"})
        others = [
            asyncio.create_task(
                world.get(f"{uuid4()}?cursor={cursor}", **{"X-Forwarded-For": forwarded})
            )
            for forwarded in ("127.0.0.1, 203.0.113.7", "2001:db8::1")
        ]
        await world.until_waiting(3)
        same_net, _ = await world.get(
            f"{uuid4()}?cursor={cursor}", **{"X-Forwarded-For": "2001:db8::2"}
        )
        await world.server.tell_everybody()
        await asyncio.gather(held, *others)

        assert (status, same_net) == (429, 429)

    within(crowded, bounds=Bounds(of_address=1))


def test_who_has_gone_frees_his_place() -> None:
    async def gone(world: World) -> None:
        cursor = await world.cursor()
        poll = asyncio.create_task(world.get(f"{ANNA}?cursor={cursor}"))
        stream = await world.client.get(f"{world.url}/{ANNA}/events")
        await world.until_waiting(2)
        poll.cancel()
        stream.close()
        await world.until_waiting(0)

    within(gone)


def test_who_asks_for_nothing_is_sent_away_and_who_waits_is_not() -> None:
    """T-39: a connection that dribbles its request costs nobody a place for long."""

    async def slow(world: World) -> None:
        cursor = await world.cursor()
        held = asyncio.create_task(world.get(f"{ANNA}?cursor={cursor}"))
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        writer.write(b"GET /wait/")
        silent, other = await asyncio.open_connection("127.0.0.1", world.port)

        assert await reader.read() == b""
        assert await silent.read() == b""
        assert len(world.server._crowd) == 1
        world.server.tell(ANNA)
        assert (await held)[1]["changed"]
        for each in (writer, other):
            each.close()

    within(slow, quiet_seconds=0.3)


def test_connections_beyond_the_bound_are_closed_at_once() -> None:
    async def many(world: World) -> None:
        held = [await asyncio.open_connection("127.0.0.1", world.port) for _ in range(3)]
        ends = await asyncio.gather(
            *(reader.read() for reader, _ in held[2:]), return_exceptions=True
        )
        for _, writer in held:
            writer.close()

        assert all(end == b"" or isinstance(end, ConnectionResetError) for end in ends)

    within(many, most=2)


def test_a_stream_beats_ends_in_time_and_goes_on_after_what_was_read() -> None:
    async def streamed(world: World) -> None:
        async with world.client.get(f"{world.url}/{ANNA}/events") as stream:
            first = (await stream.read()).decode()
        since = first.partition("id: ")[2].partition("\n")[0]
        world.server.tell(ANNA)
        headers = {"Last-Event-ID": since}
        async with world.client.get(f"{world.url}/{ANNA}/events", headers=headers) as stream:
            second = (await stream.read()).decode()
        headers = {"Last-Event-ID": second.partition("id: ")[2].partition("\n")[0]}
        async with world.client.get(f"{world.url}/{ANNA}/events", headers=headers) as stream:
            third = (await stream.read()).decode()

        assert first.startswith("retry: 2000\n\nid: ")
        assert first.count("data: changed\n\n") == second.count("data: changed\n\n") == 1
        assert ":\n\n" in first
        assert "data" not in third
        assert stream.headers["Content-Type"] == "text/event-stream"
        assert stream.headers["X-Accel-Buffering"] == "no"

    within(streamed, stream_seconds=0.3, heartbeat_seconds=0.1)


def test_who_does_not_read_his_stream_is_sent_away() -> None:
    async def stuck(world: World) -> None:
        caller = socket.socket()
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        caller.connect(("127.0.0.1", world.port))
        caller.sendall(f"GET /wait/{ANNA}/events HTTP/1.1\r\nHost: wait\r\n\r\n".encode())
        await world.until_waiting(1)
        while len(world.server._crowd):
            world.server.tell(ANNA)
            await asyncio.sleep(0)
        caller.close()

    within(stuck, write_seconds=0.1)


def test_a_body_is_not_read() -> None:
    async def sent(world: World) -> None:
        async with world.client.get(f"{world.url}/{ANNA}", data=b"x" * 100_000) as answer:
            assert answer.status == 200
        async with world.client.post(f"{world.url}/{ANNA}", data=b"x" * 100_000) as answer:
            assert answer.status == 405
            assert answer.headers["Allow"] == "GET"

    within(sent)
