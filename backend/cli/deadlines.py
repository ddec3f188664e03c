"""A time limit for what arrives: who sends a request too slowly is cut off (T-39).

A server's own timeout is for each piece, so a byte now and then would keep a thread for ever. Here
the whole of a request's head, and of its body, must come in time.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from time import monotonic
from typing import Protocol, final


class Body(Protocol):
    """What a WSGI application reads a body from (PEP 3333)."""

    def read(self, size: int = -1, /) -> bytes:
        """Read so many bytes, or all."""

    def readline(self, size: int = -1, /) -> bytes:
        """Read a line."""


@final
class Deadlines:
    """The connections that somebody reads from right now, and until when."""

    def __init__(self, *, seconds: float) -> None:
        """Allow so many seconds for each head and each reading of a body."""
        self._seconds = seconds
        self._until: dict[socket.socket, float] = {}
        self._lock = Lock()

    @contextmanager
    def reading(self, connection: socket.socket) -> Iterator[None]:
        """Read within the time; afterwards the connection ends as if its peer had closed it."""
        with self._lock:
            self._until[connection] = monotonic() + self._seconds
        try:
            yield
        finally:
            with self._lock:
                self._until.pop(connection, None)

    def cut_off(self) -> int:
        """End the reading of those whose time is over; gives their number."""
        now = monotonic()
        with self._lock:
            late = [connection for connection, until in self._until.items() if until <= now]
            for connection in late:
                del self._until[connection]
                with suppress(OSError):  # it has gone by itself
                    connection.shutdown(socket.SHUT_RD)
        return len(late)


@final
class TimedBody:
    """A body that must come in time."""

    def __init__(self, body: Body, connection: socket.socket, deadlines: Deadlines) -> None:
        """Read from ``body``, which comes over ``connection``."""
        self._body = body
        self._connection = connection
        self._deadlines = deadlines

    def read(self, size: int = -1, /) -> bytes:
        """Read so many bytes, or all."""
        with self._deadlines.reading(self._connection):
            return self._body.read(size)

    def readline(self, size: int = -1, /) -> bytes:
        """Read a line."""
        with self._deadlines.reading(self._connection):
            return self._body.readline(size)
