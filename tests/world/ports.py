"""Ports for processes that tests start."""

import os
import random
import socket
from collections.abc import Iterator
from itertools import cycle
from typing import Final

_PORTS: Final = range(20_000, 30_000)
"""Below those that the kernel lends: nobody takes the port of a server that is not up yet."""
_SHARES: Final = 10


def _own_ports() -> Iterator[int]:
    """Those of this process of pytest: another of the same run is never given one of them."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    share = _PORTS[worker % _SHARES :: _SHARES]
    return cycle(random.SystemRandom().sample(share, len(share)))


_OWN: Final = _own_ports()


def free_port() -> int:
    """A port that nobody listens on; one that was given comes again last of all."""
    while True:
        port = next(_OWN)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
