"""How a push service can fail on the next message it is given."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from aiohttp import web

Fault = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Faults:
    """What will go wrong, in that order; may be told from any thread."""

    def __init__(self, stopping: asyncio.Event) -> None:
        self._stopping = stopping
        self._next: deque[Fault] = deque()
        self._lost_answers = 0

    @property
    def left(self) -> int:
        """How many have not been met."""
        return len(self._next)

    def take(self) -> Fault | None:
        """The fault that this message meets, if any."""
        return self._next.popleft() if self._next else None

    def take_loss(self) -> bool:
        """Say whether the answer to this message, which was accepted, gets lost."""
        lost = self._lost_answers > 0
        self._lost_answers -= lost
        return lost

    def lose_answer(self) -> None:
        """Accept the next message, and close its connection without a word."""
        self._lost_answers += 1

    def answer(
        self,
        status: int,
        *,
        times: int = 1,
        retry_after: str | None = None,
        text: str = "no",
        headers: Mapping[str, str] = MappingProxyType({}),
        meanwhile: Callable[[], object] = lambda: None,
    ) -> None:
        """Answer the next messages with a status of one's own, once ``meanwhile`` has happened."""
        given = dict(headers) | ({} if retry_after is None else {"Retry-After": retry_after})

        async def answer(_request: web.Request) -> web.StreamResponse:
            meanwhile()
            return web.Response(status=status, headers=given, text=text)

        self._next.extend([answer] * times)

    def redirect(self, location: str) -> None:
        """Send the next message elsewhere."""

        async def redirect(_request: web.Request) -> web.StreamResponse:
            return web.Response(status=307, headers={"Location": location})

        self._next.append(redirect)

    def hang(self) -> None:
        """Do not answer the next message."""
        self._next.append(self._hang)

    def close(self) -> None:
        """Close the next message's connection without a word."""
        self._next.append(close)

    def drip_body(self, status: int) -> None:
        """Answer the next message at once, with a body that comes byte by byte and never ends."""

        async def drip(request: web.Request) -> web.StreamResponse:
            transport = request.transport
            assert transport is not None
            transport.write(b"HTTP/1.1 %d Slow\r\nContent-Length: 9999\r\n\r\n" % status)
            return await self._drop_in(request, b"x")

        self._next.append(drip)

    def garble(self) -> None:
        """Answer the next message with what is no HTTP."""
        self._next.append(_garble)

    def drip(self) -> None:
        """Answer the next message a header at a time, without end."""
        self._next.append(self._drip)

    async def _hang(self, _request: web.Request) -> web.StreamResponse:
        await self._stopping.wait()
        return web.Response(status=503)

    async def _drip(self, request: web.Request) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        transport.write(b"HTTP/1.1 201 Created\r\n")
        return await self._drop_in(request, b"X-More: x\r\n")

    async def _drop_in(self, request: web.Request, drop: bytes) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        while not transport.is_closing() and not self._stopping.is_set():
            transport.write(drop)
            await asyncio.sleep(0.05)
        return web.Response(status=503)


async def close(request: web.Request) -> web.StreamResponse:
    """Close a message's connection without a word."""
    assert request.transport is not None
    request.transport.close()
    return web.Response(status=503)


async def _garble(request: web.Request) -> web.StreamResponse:
    transport = request.transport
    assert transport is not None
    transport.write(b"\x00\xff what is this\r\n\r\n")
    transport.close()
    return web.Response(status=503)
