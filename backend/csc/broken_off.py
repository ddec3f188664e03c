"""Whether the caller of a blocking request is still there.

A WSGI application is not told that its caller has broken off. The servers we name put the
connection's socket into the environment; while its caller waits, there is nothing to read from it.
"""

import select
import socket
from typing import Any, Final

SOCKETS: Final = ("cellkey.socket", "gunicorn.socket", "werkzeug.socket")
"""Where servers put it: ``cellkey serve``, gunicorn, werkzeug's for development."""


def is_gone(environ: dict[str, Any]) -> bool:
    """Tell whether the caller has closed its connection; no, where the server does not show it."""
    connection = next((environ[name] for name in SOCKETS if name in environ), None)
    if not isinstance(connection, socket.socket):
        return False
    try:
        return _has_something(connection) and connection.recv(1, socket.MSG_PEEK) == b""
    except ValueError:
        return connection.fileno() < 0  # closed; or TLS in this process, which cannot be peeked at
    except OSError:
        return True


def _has_something(connection: socket.socket) -> bool:
    """Tell whether there is something to read, at once.

    A socket with a timeout, as servers set one, would wait for it even with ``MSG_DONTWAIT``.
    """
    looking = select.poll()
    looking.register(connection, select.POLLIN)
    return bool(looking.poll(0))
