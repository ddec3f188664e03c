"""What changed when: numbers by which a client that was away misses nothing.

1. Each word of the database has the next number. A cursor is the number at which it was handed
   out, and the boot that counted.
2. The client takes a cursor first, then reads, then waits after the cursor: what changed between
   is answered at once.
3. What cannot be said for certain is "changed": a cursor of another boot, one that is older than
   what is remembered, one from before a gap in what we heard.
"""

import re
from secrets import token_hex
from typing import Final, final

from backend.errors import MalformedMessage

MOST_REMEMBERED: Final = 100_000
"""Wait ids, each with the number of its last change."""
_CURSOR: Final = re.compile(r"([0-9a-f]{16})-(0|[1-9][0-9]{0,17})")


@final
class Memory:
    """Of one process, since its start."""

    def __init__(self, *, most: int = MOST_REMEMBERED) -> None:
        """Remember so many wait ids."""
        self._boot = token_hex(8)
        self._most = most
        self._number = 0
        self._forgotten = 0
        """Changes up to this number may not be remembered."""
        self._changes: dict[str, int] = {}
        """The longest unchanged first."""

    def cursor(self) -> str:
        """Give the cursor of this moment."""
        return f"{self._boot}-{self._number}"

    def keep(self, wait_id: str) -> None:
        """Keep that something changed now."""
        self._number += 1
        self._changes.pop(wait_id, None)
        self._changes[wait_id] = self._number
        if len(self._changes) > self._most:
            self._forgotten = self._changes.pop(next(iter(self._changes)))

    def keep_gap(self) -> None:
        """Keep that anything may have changed: for a while we did not hear."""
        self._number += 1
        self._forgotten = self._number
        self._changes.clear()

    def has_changed(self, wait_id: str, *, unverified_cursor: str) -> bool:
        """Tell whether something changed, or may have, after a cursor.

        Raises:
            MalformedMessage: it is not the form of a cursor.
        """
        found = _CURSOR.fullmatch(unverified_cursor)
        if found is None:
            raise MalformedMessage("the cursor is none that was given here")
        boot, since = found[1], int(found[2])
        if boot != self._boot or not self._forgotten <= since <= self._number:
            return True
        return self._changes.get(wait_id, 0) > since
