"""Ports for processes that tests start."""

import random
import socket
from typing import Final

_PORTS: Final = range(20_000, 30_000)
"""Below those that the kernel lends: nobody takes the port of a server that is not up yet."""


def free_port() -> int:
    """A port that nobody listens on."""
    while True:
        port = random.SystemRandom().choice(_PORTS)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
