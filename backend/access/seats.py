"""Places to wait in one process: a thread that waits answers nobody else.

So many in all, and fewer for one holder: who opens many connections keeps nobody else standing
(T-22, T-39).
"""

import threading
from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import final

from backend.errors import Overloaded


@final
class Seats:
    """A number of places."""

    def __init__(self, *, total: int, each: int) -> None:
        """Offer ``total`` places, ``each`` of them to one holder."""
        self._total = total
        self._each = each
        self._taken: Counter[Hashable] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def taken_by(self, holder: Hashable) -> Iterator[None]:
        """Hold a place for the length of a ``with`` block.

        Raises:
            Overloaded: all are taken, or this holder has its share.
        """
        with self._lock:
            if self._taken.total() >= self._total or self._taken[holder] >= self._each:
                raise Overloaded("too many wait here already; ask again soon")
            self._taken[holder] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[holder] -= 1
                self._taken += Counter()  # forgets who holds none
