"""Counts wrong passwords and codes in memory, beside the database, which somebody may rewrite.

The memory is bounded; when it is full of counts that still run, nothing more is tried.
"""

import threading
from collections.abc import Hashable
from typing import Final, final

from backend.errors import TooManyTries

MOST_KEYS: Final = 100_000
PASSWORD_TRIES: Final = 20
"""Wrong passwords of a signer that are heard in a window."""
PASSWORD_WINDOW_SECONDS: Final = 900


@final
class Tries:
    """A number of wrong attempts for each key, until its time is over."""

    def __init__(self, *, allowed: int) -> None:
        """Allow so many wrong attempts for a key."""
        self._allowed = allowed
        self._wrong: dict[Hashable, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def count(self, key: Hashable, *, until: int, now: int) -> int:
        """Count an attempt before it is judged; gives how many remain after it.

        Raises:
            TooManyTries: none is left until the first one is forgotten.
        """
        with self._lock:
            used, ends = self._wrong.get(key, (0, until))
            if ends <= now:
                used, ends = 0, until
            if used >= self._allowed:
                raise TooManyTries("too many wrong attempts", retry_after_seconds=ends - now)
            self._make_room(now)
            self._wrong[key] = (used + 1, ends)
            return self._allowed - used - 1

    def forget(self, key: Hashable) -> None:
        """The attempt was right."""
        with self._lock:
            self._wrong.pop(key, None)

    def give_back(self, key: Hashable) -> None:
        """Of several attempts that are counted, this one was right."""
        with self._lock:
            used, ends = self._wrong.get(key, (0, 0))
            if used <= 1:
                self._wrong.pop(key, None)
            else:
                self._wrong[key] = (used - 1, ends)

    def _make_room(self, now: int) -> None:
        if len(self._wrong) < MOST_KEYS:
            return
        self._wrong = {key: entry for key, entry in self._wrong.items() if entry[1] > now}
        if len(self._wrong) >= MOST_KEYS:
            raise TooManyTries("too many attempts everywhere")
