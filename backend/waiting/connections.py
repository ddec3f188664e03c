"""Connections that ask for nothing: bounded in number, and closed when they stay quiet.

aiohttp waits for a request as long as its connection lasts. Here a connection that has not finished
a request within some seconds, its first or its next, is closed; a half-open one ends by TCP's own
timeout.
"""

import asyncio
import socket
from collections.abc import Callable
from time import monotonic
from typing import Final, final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

QUIET_SECONDS: Final = 30.0
SWEEP_SECONDS: Final = 5.0
UNACKNOWLEDGED_MS: Final = 30_000
"""After so long without a sign of the other side, what was sent is lost (``TCP_USER_TIMEOUT``)."""
BACKLOG: Final = 1024
SEND_BUFFER: Final = 8192
"""Bytes that the kernel keeps for who does not read; an answer has less than a thousand."""
RECEIVE_BUFFER: Final = 4096
"""Bytes that are read at once; what speaks no HTTP stays in memory until garbage is looked for."""


def open_socket(host: str, port: int) -> socket.socket:
    """Listen on an address.

    Raises:
        OSError: it is taken, or not ours to take.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    listener.settimeout(0)
    return listener


class _SentAway(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.abort()


@final
class Connections:
    """Those of one server."""

    def __init__(self, *, most: int, quiet_seconds: float = QUIET_SECONDS) -> None:
        """Let so many connections be open."""
        self._most = most
        self._quiet_seconds = quiet_seconds
        self._quiet_since: dict[web.RequestHandler, float] = {}
        self._busy: set[web.RequestHandler] = set()

    def protocols(self, server: web.Server) -> Callable[[], asyncio.Protocol]:
        """Make what takes a connection for this server, or sends it away."""

        def take() -> asyncio.Protocol:
            return _SentAway() if len(server.connections) >= self._most else server()

        return take

    def middleware(self) -> Middleware:
        """Make what sees each request begin and end."""

        @web.middleware
        async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
            connection = request.protocol
            self._busy.add(connection)
            try:
                return await handler(request)
            finally:
                self._busy.discard(connection)
                self._quiet_since[connection] = monotonic()

        return watch

    async def sweep(self, server: web.Server) -> None:
        """Close quiet connections, until cancelled."""
        while True:
            await asyncio.sleep(min(SWEEP_SECONDS, self._quiet_seconds))
            self._sweep_once(server, monotonic())

    def _sweep_once(self, server: web.Server, now: float) -> None:
        quiet = [one for one in server.connections if one not in self._busy]
        self._quiet_since = {one: self._quiet_since.get(one, now) for one in quiet}
        for connection, since in self._quiet_since.items():
            if now - since > self._quiet_seconds:
                connection.force_close()
