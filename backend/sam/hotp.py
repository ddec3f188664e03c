"""Codes of authenticator apps that count (RFC 4226).

1. A seed is sealed under KP and bound to its cell (``seeds.py``).
2. A code has eight digits and is good for the next counter and the two after it: an app is ahead by
   each code that it showed and nobody took.
3. An app that is further ahead is found by two codes in a row, typed together, within the next
   fifty (RFC 4226, 7.4).
4. A counter counts once: it, and every one before it, is refused from then on, by what the cell's
   record says and by what this process remembers, whichever is later. What was remembered longest
   is forgotten first: the record says it, as after a restart.
"""

import hmac
import threading
from typing import Final, final
from uuid import UUID

from pyotp import HOTP

from backend.hsm.protocol import Hsm
from backend.protocol.codes import DIGITS
from backend.sam.seeds import SealedSeeds, seed_hash

SEED: Final = b"cell-hotp-v1\0"
LOOK_AHEAD: Final = 3
"""Counters of which a code is good: 20 guesses a day at 10**8 codes find one by 6e-7 (T-15)."""
LOOK_AHEAD_OF_TWO: Final = 50
"""Counters of which two codes in a row are good: a guess finds them by 5e-15."""
MOST_REMEMBERED: Final = 100_000


@final
class HotpSeeds:
    """Makes seeds, opens them, and says how far an app has counted by its code."""

    def __init__(self, hsm: Hsm) -> None:
        """Keep the HSM that holds KP."""
        self._seeds = SealedSeeds(hsm, label=SEED)
        self._next: dict[bytes, int] = {}
        self._lock = threading.Lock()

    def make(self, cell: UUID) -> tuple[str, str]:
        """Make a seed: in base32, to be shown once, and sealed, to be kept."""
        return self._seeds.make(cell)

    def first_counter(self, unverified_code: str, *, cell: UUID, sealed: str) -> int | None:
        """Find the counter after a first code; ``None``: the code is wrong. Nothing is used up.

        Raises:
            MalformedMessage: the seed is not this cell's.
        """
        return _after(unverified_code, HOTP(self._seeds.open(sealed, cell=cell), digits=DIGITS), 0)

    def use_up(self, unverified_code: str, *, cell: UUID, sealed: str, counter: int) -> int | None:
        """Use a code up; gives the counter after it. ``None``: the code is wrong, or was used.

        Args:
            unverified_code: one, or two in a row.
            cell: whose.
            sealed: the seed.
            counter: of the next code, as the record has it.

        Raises:
            MalformedMessage: the seed is not this cell's.
        """
        app, name = HOTP(self._seeds.open(sealed, cell=cell), digits=DIGITS), seed_hash(sealed)
        with self._lock:
            after = _after(unverified_code, app, max(counter, self._next.get(name, 0)))
            if after is None:
                return None
            self._next.pop(name, None)
            self._next[name] = after
            if len(self._next) > MOST_REMEMBERED:
                del self._next[next(iter(self._next))]
            return after


def _after(unverified_code: str, app: HOTP, counter: int) -> int | None:
    """The counter after a code, or after two in a row; the nearest, if several fit."""
    in_a_row = 1 if len(unverified_code) == DIGITS else 2
    ahead = LOOK_AHEAD if in_a_row == 1 else LOOK_AHEAD_OF_TWO
    given = unverified_code.encode("utf-8")
    found = None
    for first in reversed(range(counter, counter + ahead)):
        codes = "".join(app.at(first + place) for place in range(in_a_row))
        if hmac.compare_digest(given, codes.encode("ascii")):
            found = first + in_a_row
    return found
