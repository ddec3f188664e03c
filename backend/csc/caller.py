"""Whether the caller of a blocking request is still there.

A WSGI application is not told that its caller has broken off. The servers we name put the
connection's socket into the environment; an open one has nothing to read while its caller waits.
"""

import select
import socket
from typing import Any, Final

SOCKETS: Final = ("cellkey.socket", "gunicorn.socket", "werkzeug.socket")
"""Where servers put it: ``cellkey serve`` (cheroot), gunicorn, werkzeug's for development."""


def is_gone(environ: dict[str, Any]) -> bool:
    """Tell whether the caller has closed its connection; no, where the server does not show it."""
    connection = next((environ[name] for name in SOCKETS if name in environ), None)
    if not isinstance(connection, socket.socket) or connection.fileno() < 0:
        return False
    coming = select.poll()
    coming.register(connection, select.POLLIN | select.POLLRDHUP)
    return bool(coming.poll(0)) and _at_end(connection)


def _at_end(connection: socket.socket) -> bool:
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
