"""Ports for processes that tests start."""

import os
import random
import socket
from typing import Final

_PORTS: Final = range(20_000, 30_000)
"""Below those that the kernel lends: nobody takes the port of a server that is not up yet."""
_SIDES: Final = 8
"""Processes of tests beside each other (``pytest-xdist``); each chooses among ports of its own."""

_given: Final[set[int]] = set()


def free_port() -> int:
    """A port that nobody listens on, and that was given to nobody before."""
    side = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    own = _PORTS[int(side) % _SIDES :: _SIDES]
    while True:
        port = random.SystemRandom().choice(own)
        if port in _given:
            continue
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        _given.add(port)
        return port
