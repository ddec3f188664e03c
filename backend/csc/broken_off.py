"""Whether the caller of a blocking request is still there.

A WSGI application is not told that its caller has broken off. The servers we name put the
connection's socket into the environment; while its caller waits, there is nothing to read from it.
"""

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
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except (BlockingIOError, ValueError):
        return False  # nothing to read; or TLS in this process, which shows nothing to peek at
    except OSError:
        return True
