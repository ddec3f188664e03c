"""The addresses: a long poll, a stream of events, and how the process is.

What a caller learns of an id is the word "changed". An id is not looked up: one that does not exist
is held like any other, and costs as little. Nothing here is logged with its id.
"""

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from random import uniform
from typing import Final, final

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from backend.errors import CellkeyError
from backend.waiting.crowd import Bounds, Crowd
from backend.waiting.memory import Memory
from backend.waiting.pages import address_of, answer, headers_for, problem_of, problem_of_http

HOLD_SECONDS: Final = 25.0
SHORTEST: Final = 0.6
"""Of that: who came all at once does not come back all at once."""
HEARTBEAT_SECONDS: Final = 15.0
STREAM_SECONDS: Final = 600.0
"""Then a stream ends; its reader comes back with its cursor."""
WRITE_SECONDS: Final = 10.0
"""Who does not take what is sent to him for so long has gone."""
RETRY_MS: Final = 2000
WAIT_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@final
class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How long things last."""

    hold_seconds: float = HOLD_SECONDS
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    stream_seconds: float = STREAM_SECONDS
    write_seconds: float = WRITE_SECONDS


@final
class WaitServer:
    """What one process answers."""

    def __init__(
        self,
        *,
        origins: frozenset[str],
        bounds: Bounds,
        proxies: frozenset[str],
        is_ready: Callable[[], bool],
        pace: Pace,
    ) -> None:
        """Answer, within these bounds.

        Args:
            origins: whose scripts may read the answers.
            bounds: how many may wait.
            proxies: addresses that are believed which address they call for.
            is_ready: whether the database is listened to.
            pace: how long things last.
        """
        self._origins = origins
        self._proxies = proxies
        self._is_ready = is_ready
        self._pace = pace
        self._crowd = Crowd(bounds)
        self._memory = Memory()
        self._stopping = False

    def application(self, *watching: Middleware) -> web.Application:
        """Make the application; ``watching`` are further middlewares, outermost."""
        app = web.Application(middlewares=[*watching, self._shape()], client_max_size=1)
        app.router.add_get("/wait/{id}", self._poll, allow_head=False)
        app.router.add_get("/wait/{id}/events", self._stream, allow_head=False)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        return app

    # --- what the database tells --------------------------------------------------

    def tell(self, wait_id: str) -> None:
        """Something changed."""
        self._memory.keep(wait_id)
        self._crowd.wake(wait_id)

    async def tell_everybody(self) -> None:
        """Anything may have changed."""
        self._memory.keep_gap()
        await self._crowd.wake_all()

    async def stop(self) -> None:
        """Send everybody away; who comes back is told to look."""
        self._stopping = True
        await self._crowd.wake_all()

    # --- what clients ask ---------------------------------------------------------

    async def _poll(self, request: web.Request) -> web.StreamResponse:
        wait_id = _wait_id(request)
        cursor = request.query.get("cursor")
        if cursor is not None and not self._has_changed(wait_id, cursor):
            address = address_of(request, proxies=self._proxies)
            with self._crowd.place(wait_id, address=address) as woken:
                await _within(self._pace.hold_seconds * uniform(SHORTEST, 1), woken)  # noqa: S311  # spreads the load, guards nothing
        changed = cursor is None or self._has_changed(wait_id, cursor)
        return answer({"changed": changed, "cursor": self._memory.cursor()})

    def _has_changed(self, wait_id: str, unverified_cursor: str) -> bool:
        """Tell by the memory alone: being woken is a hint, and may come as the time is over."""
        return self._memory.has_changed(wait_id, unverified_cursor=unverified_cursor)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        wait_id, since = _wait_id(request), request.headers.get("Last-Event-ID") or None
        if since is not None:
            self._has_changed(wait_id, since)  # refuses what is no cursor
        address = address_of(request, proxies=self._proxies)
        with self._crowd.place(wait_id, address=address) as woken:
            response = web.StreamResponse(headers=headers_for(request, origins=self._origins))
            response.content_type = "text/event-stream"
            await response.prepare(request)
            try:
                await self._write_events(response, woken, wait_id=wait_id, since=since)
            except (TimeoutError, ConnectionError):  # he does not take it, or has gone
                response.force_close()
                if request.transport is not None:
                    request.transport.close()
        return response

    async def _write_events(
        self, response: web.StreamResponse, woken: asyncio.Event, *, wait_id: str, since: str | None
    ) -> None:
        clock = asyncio.get_running_loop().time
        ends_at = clock() + self._pace.stream_seconds
        text = f"retry: {RETRY_MS}\n\n"
        while True:
            woken.clear()
            if since is None or self._has_changed(wait_id, since):
                since = self._memory.cursor()
                text += f"id: {since}\ndata: changed\n\n"
            async with asyncio.timeout(self._pace.write_seconds):
                await response.write((text or ":\n\n").encode())
            if self._stopping or clock() >= ends_at:
                return
            text = ""
            await _within(self._pace.heartbeat_seconds, woken)

    async def _healthz(self, _request: web.Request) -> web.Response:
        return answer({"status": "alive"})

    async def _readyz(self, _request: web.Request) -> web.Response:
        ready = self._is_ready() and not self._stopping
        return answer(
            {"ready": ready, "checks": {"listening": ready}}, status=200 if ready else 503
        )

    def _shape(self) -> Middleware:
        """Make what gives each answer its form."""

        @web.middleware
        async def shape(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                response = await handler(request)
            except CellkeyError as error:
                response = problem_of(error)
            except web.HTTPException as error:
                response = problem_of_http(error)
            if not response.prepared:
                response.headers.update(headers_for(request, origins=self._origins))
            if self._stopping:
                response.force_close()
            return response

        return shape


async def _within(seconds: float, woken: asyncio.Event) -> None:
    """Wait to be woken, for so many seconds at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await woken.wait()


def _wait_id(request: web.Request) -> str:
    """Give the id in the address.

    Raises:
        HTTPNotFound: it is none.
    """
    found = request.match_info["id"]
    if WAIT_ID.fullmatch(found) is None:
        raise web.HTTPNotFound
    return found
