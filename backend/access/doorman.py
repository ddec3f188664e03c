"""Who fails to prove who it is, again and again, is looked at less often: by address, in memory.

What is guessed here has 128 bits and more, so this is no protection of secrets. It keeps noise from
costing database and log.

1. Only failures are counted: a right secret, proof or ticket costs nothing.
2. Who has proved itself from an address is counted apart from the rest of that address: noise of
   others behind the same proxy or carrier does not keep the owner out (T-21).
3. Addresses and callers that are remembered are bounded in number. An IPv6 network counts as one.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from ipaddress import IPv6Address, ip_address
from typing import Final, final

from backend.access.buckets import MOST_CALLERS, Buckets
from backend.errors import Unauthenticated

NETWORK_BITS: Final = 64
"""Of an IPv6 address: what a provider gives to one customer at least."""
NOWHERE: Final = "unknown"
"""Where the server does not say who is at the other end: a unix socket."""


@final
class Doorman:
    """Of one application."""

    def __init__(self, *, failures_per_minute: int, most_callers: int = MOST_CALLERS) -> None:
        """Look at so many failures a minute from one address."""
        self._buckets = Buckets(
            per_minute=failures_per_minute, what="failures from here", most_callers=most_callers
        )
        self._most = most_callers
        self._proved: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def watching(
        self, address: str | None, unverified_name: str, *, now: datetime
    ) -> Iterator[None]:
        """Admit who says to be ``unverified_name``, and see what comes of it.

        Within the ``with`` block the caller is authenticated; ``Unauthenticated`` is a failure.

        Raises:
            TooManyRequests: there were too many failures from that address; nothing was looked at.
        """
        where = network_of(address)
        who = (where, unverified_name)
        with self._lock:
            caller = who if who in self._proved else where
        self._buckets.check(caller, now=now)
        try:
            yield
        except Unauthenticated:
            self._buckets.count(caller, now=now)
            raise
        self._remember(who)

    def _remember(self, who: tuple[str, str]) -> None:
        with self._lock:
            self._proved[who] = None
            self._proved.move_to_end(who)
            while len(self._proved) > self._most:
                self._proved.popitem(last=False)


def network_of(address: str | None) -> str:
    """Name the network that an address counts for."""
    if address is None:
        return NOWHERE
    try:
        parsed = ip_address(address)
    except ValueError:
        return NOWHERE
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(IPv6Address(int(parsed) >> NETWORK_BITS << NETWORK_BITS))
    return str(parsed)
