"""The HTTP server of `cellkey serve`: threads, one port for an application, a graceful end."""

import logging
from typing import Any, Final, final

from cheroot.wsgi import Gateway_10, Server
from flask import Flask

from backend.errors import SettingsInvalid

log = logging.getLogger(__name__)

LONGEST_HEADERS: Final = 32 * 1024
IDLE_SECONDS: Final = 30
FINISH_SECONDS: Final = 10
"""How long requests that are under way may take, once the server is told to stop."""
BACKLOG: Final = 128


class _Gateway(Gateway_10):
    """Shows an application its connection, so that a blocking call notices that nobody waits."""

    def get_environ(self) -> dict[str, Any]:  # type: ignore[override]  # cheroot's stub says None
        environ: dict[str, Any] = super().get_environ()  # type: ignore[no-untyped-call]  # as above
        return environ | {"cellkey.socket": self.req.conn.socket}


@final
class HttpServer(Server):
    """Listens from the moment it is made; answers while :meth:`serve` runs."""

    def __init__(self, app: Flask, *, host: str, port: int, threads: int) -> None:
        """Listen.

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
        self.max_request_header_size = LONGEST_HEADERS
        try:
            self.prepare()
        except OSError as error:
            raise SettingsInvalid(f"cannot listen on {host}:{port}: {error}") from error

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:  # noqa: FBT001, FBT002  # cheroot's signature
        """Send cheroot's own errors to our log."""
        log.log(level, "%s", msg, exc_info=traceback)
