"""Who waits now: places, bounded for all, for one wait id and for one address.

A place is an event and an entry in a table; an id that nobody waits for has none. Ids are not
looked up anywhere: who waits for one that does not exist waits like the others, for nothing.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, final

import msgspec

from backend.errors import Overloaded, TooManyTries

RETRY_SECONDS: Final = 10
SLICE: Final = 200
SLICE_SECONDS: Final = 0.02
"""When all are woken at once they come in slices: each will read the application."""


@final
class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How many may wait."""

    all: int = 12_000
    of_id: int = 8
    """Phones of one cell, and what is left of connections that broke."""
    of_address: int = 500
    """An address may be a whole office, or a provider's."""


@final
class Crowd:
    """Those who wait at this process."""

    def __init__(self, bounds: Bounds) -> None:
        """Let so many wait."""
        self._bounds = bounds
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._of_address: Counter[str] = Counter()

    def __len__(self) -> int:
        """Count who waits."""
        return self._of_address.total()

    @contextmanager
    def place(self, wait_id: str, *, address: str) -> Iterator[asyncio.Event]:
        """Hold a place; the event is set when something changes.

        Raises:
            Overloaded: all places are taken.
            TooManyTries: this address, or this id, has its share.
        """
        woken = asyncio.Event()
        self._admit(wait_id, address)
        self._of_address[address] += 1
        self._waiting.setdefault(wait_id, set()).add(woken)
        try:
            yield woken
        finally:
            self._leave(wait_id, address, woken)

    def _admit(self, wait_id: str, address: str) -> None:
        if len(self) >= self._bounds.all:
            raise Overloaded("too many wait here already; ask again soon")
        of_id = len(self._waiting.get(wait_id, ()))
        if of_id >= self._bounds.of_id or self._of_address[address] >= self._bounds.of_address:
            raise TooManyTries("too many wait here in this name", retry_after_seconds=RETRY_SECONDS)

    def _leave(self, wait_id: str, address: str, woken: asyncio.Event) -> None:
        self._of_address[address] -= 1
        if not self._of_address[address]:
            del self._of_address[address]
        of_id = self._waiting[wait_id]
        of_id.remove(woken)
        if not of_id:
            del self._waiting[wait_id]

    def wake(self, wait_id: str) -> None:
        """Wake who waits for this id."""
        for woken in self._waiting.get(wait_id, ()):
            woken.set()

    async def wake_all(self) -> None:
        """Wake everybody, a few at a time."""
        everybody = [woken for of_id in self._waiting.values() for woken in of_id]
        for start in range(0, len(everybody), SLICE):
            for woken in everybody[start : start + SLICE]:
                woken.set()
            await asyncio.sleep(SLICE_SECONDS)
