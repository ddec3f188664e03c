"""The HTTP server of `cellkey serve`: threads, one port for an application, a graceful end.

Who sends slowly keeps a thread for ``READ_SECONDS`` and no longer; with a proxy that reads requests
whole before it, for no time at all.
"""

import logging
from threading import Event, Thread
from typing import Any, Final, final

from cheroot.server import HTTPConnection, HTTPRequest
from cheroot.wsgi import Gateway_10, Server
from flask import Flask

from backend.cli.deadlines import Deadlines, TimedBody
from backend.errors import SettingsInvalid

log = logging.getLogger(__name__)

LONGEST_HEADERS: Final = 32 * 1024
IDLE_SECONDS: Final = 30
READ_SECONDS: Final = 20.0
"""For the head of a request, and for each reading of its body."""
FINISH_SECONDS: Final = 10
"""How long requests that are under way may take, once the server is told to stop."""
BACKLOG: Final = 128


class _Request(HTTPRequest):
    """One whose head comes in time, or not at all."""

    def parse_request(self) -> None:
        with self.server.deadlines.reading(self.conn.socket):
            super().parse_request()


class _Connection(HTTPConnection):
    RequestHandlerClass = _Request


class _Gateway(Gateway_10):
    """Shows an application its connection, so that a blocking call notices that nobody waits."""

    def get_environ(self) -> dict[str, Any]:  # type: ignore[override]  # cheroot's stub says None
        environ: dict[str, Any] = super().get_environ()  # type: ignore[no-untyped-call]  # as above
        connection = self.req.conn.socket
        body = TimedBody(environ["wsgi.input"], connection, self.req.server.deadlines)
        return environ | {"cellkey.socket": connection, "wsgi.input": body}


@final
class HttpServer(Server):
    """Listens from the moment it is made; answers while :meth:`serve` runs."""

    ConnectionClass = _Connection

    def __init__(
        self,
        app: Flask,
        *,
        host: str,
        port: int,
        threads: int,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        """Listen.

        Args:
            app: who answers.
            host: address to listen on.
            port: of this machine.
            threads: so many requests at once.
            read_seconds: how long a head, or a reading of a body, may take to arrive.

        Raises:
            SettingsInvalid: the port is taken, or not ours to take.
        """
        super().__init__(
            (host, port),
            app,
            numthreads=threads,
            server_name="cellkey",
            request_queue_size=BACKLOG,
            timeout=IDLE_SECONDS,
            shutdown_timeout=FINISH_SECONDS,
        )
        self.gateway = _Gateway
        self.deadlines = Deadlines(seconds=read_seconds)
        self._look_seconds = read_seconds / 4
        self.max_request_header_size = LONGEST_HEADERS
        try:
            self.prepare()
        except OSError as error:
            raise SettingsInvalid(f"cannot listen on {host}:{port}: {error}") from error

    def serve(self) -> None:
        """Answer until :meth:`stop`."""
        ended = Event()
        watching = Thread(target=self._watch, args=(ended,), name="http-deadlines")
        watching.start()
        try:
            super().serve()
        finally:
            ended.set()
            watching.join()

    def _watch(self, ended: Event) -> None:
        while not ended.wait(self._look_seconds):
            late = self.deadlines.cut_off()
            if late:
                log.warning("cut off who sent too slowly: %d", late)

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:  # noqa: FBT001, FBT002  # cheroot's signature
        """Send cheroot's own errors to our log."""
        log.log(level, "%s", msg, exc_info=traceback)
