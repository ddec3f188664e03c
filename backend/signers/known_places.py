"""From where signers have signed in before: there their tries are counted apart (T-21), in memory.

1. Whoever guesses elsewhere makes nobody wait who signs in from where it went well before. What is
   wrong there counts for that place alone, by the same rules and with the same pauses (T-16).
2. A place is the network that an address counts for. So many of a signer are known and no more:
   each is one more place to guess from.
3. Signers that are remembered are bounded in number, and each process remembers for itself.
   Forgetting is safe: what is not known counts for the signer.
"""

import threading
from collections import OrderedDict
from datetime import datetime
from typing import Final, final
from uuid import UUID

import msgspec

from backend.errors import TooManyTries
from backend.signers.password import Tries

MOST_SIGNERS: Final = 10_000
MOST_PLACES: Final = 3
_NONE: Final = Tries(used=0, last_at=None)


@final
class KnownPlaces:
    """Of one application."""

    def __init__(self, *, most_signers: int = MOST_SIGNERS) -> None:
        """Remember the places of so many signers."""
        self._most = most_signers
        self._places: OrderedDict[UUID, OrderedDict[str, Tries]] = OrderedDict()
        self._lock = threading.Lock()

    def tries(self, signer: UUID, place: str) -> Tries | None:
        """The tries at a place; ``None``: it is not known."""
        with self._lock:
            return self._known(signer).get(place)

    def count(self, signer: UUID, place: str, tries: Tries, *, now: datetime) -> None:
        """Count a try before it is checked.

        Raises:
            TooManyTries: another try was counted there meanwhile.
        """
        counted = Tries(used=tries.still_counting(now) + 1, last_at=now)
        with self._lock:
            known = self._known(signer)
            if known.get(place) != tries:
                raise TooManyTries("another try is running", retry_after_seconds=1)
            known[place] = counted

    def give_back(self, signer: UUID, place: str) -> None:
        """Undo a count where nobody could check the password."""
        with self._lock:
            known = self._known(signer)
            if place in known:
                before = known[place]
                known[place] = msgspec.structs.replace(before, used=max(before.used - 1, 0))

    def remember(self, signer: UUID, place: str) -> None:
        """A signer has signed in there; what was wrong there before is forgotten."""
        with self._lock:
            known = self._places.setdefault(signer, OrderedDict())
            known[place] = _NONE
            known.move_to_end(place)
            self._places.move_to_end(signer)
            if len(known) > MOST_PLACES:
                known.popitem(last=False)
            if len(self._places) > self._most:
                self._places.popitem(last=False)

    def _known(self, signer: UUID) -> OrderedDict[str, Tries]:
        return self._places.get(signer, OrderedDict())
