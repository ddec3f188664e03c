"""How often a phone or an address may call this process: counted in memory.

1. Relying parties share one limit (``allotments.py``); phones and addresses are too many for a row
   each. So each process counts for itself: with several processes the limit is that many times as
   high, and a restart forgets it.
2. A minute's worth of calls, each given back a minute divided by their number after it was made.
3. So many callers are remembered and no more; the one that called longest ago is forgotten first.
   Forgetting errs in the caller's favour.
"""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from datetime import datetime, timedelta
from math import ceil
from typing import Final, final

from backend.errors import TooManyRequests

MOST_CALLERS: Final = 10_000
_MINUTE: Final = timedelta(minutes=1)


@final
class Buckets:
    """One bucket for each caller."""

    def __init__(self, *, per_minute: int, what: str, most_callers: int = MOST_CALLERS) -> None:
        """Allow so many calls a minute; ``what`` they are, for who called too often."""
        self._step = _MINUTE / per_minute
        self._furthest = self._step * (per_minute - 1)
        self._what = what
        self._most = most_callers
        self._spent_until: OrderedDict[Hashable, datetime] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, caller: Hashable, *, now: datetime) -> None:
        """Count a call.

        Raises:
            TooManyRequests: one too many; it was not counted.
        """
        with self._lock:
            self._check(caller, now)
            self._count(caller, now)

    def check(self, caller: Hashable, *, now: datetime) -> None:
        """Look whether a call would be allowed; counts nothing.

        Raises:
            TooManyRequests: it would not.
        """
        with self._lock:
            self._check(caller, now)

    def count(self, caller: Hashable, *, now: datetime) -> None:
        """Count what was allowed before, however many came at the same time."""
        with self._lock:
            self._count(caller, now)

    def _check(self, caller: Hashable, now: datetime) -> None:
        wait = self._spent(caller, now) - now - self._furthest
        if wait > timedelta(0):
            raise TooManyRequests(
                f"too many {self._what} in a minute",
                retry_after_seconds=ceil(wait.total_seconds()),
            )

    def _count(self, caller: Hashable, now: datetime) -> None:
        # Bounded, so that many at the same time put nobody off for longer than a minute.
        spent = min(self._spent(caller, now), now + self._furthest)
        self._spent_until[caller] = spent + self._step
        self._spent_until.move_to_end(caller)
        while len(self._spent_until) > self._most:
            self._spent_until.popitem(last=False)

    def _spent(self, caller: Hashable, now: datetime) -> datetime:
        """When all is given back; a clock that was set back puts nobody off."""
        spent = self._spent_until.get(caller, now)
        return now if spent > now + 2 * _MINUTE else max(spent, now)
