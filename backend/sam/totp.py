"""Codes of authenticator apps that go by time (RFC 6238).

1. A seed is sealed under KP and bound to its cell (``seeds.py``).
2. A code has eight digits and is good for its step of thirty seconds, one before and one after.
3. A step counts once (RFC 6238, 5.2): it, and every one before it, is refused from then on, by what
   the database says and by what this process remembers, whichever is later.
"""

import hmac
import threading
from typing import Final, final
from uuid import UUID

from pyotp import HOTP

from backend.errors import TooManyTries
from backend.hsm.protocol import Hsm
from backend.protocol.codes import DIGITS
from backend.sam.seeds import SealedSeeds

SEED: Final = b"cell-totp-v1\0"
STEP_SECONDS: Final = 30
STEPS_AROUND: Final = 1
MOST_REMEMBERED: Final = 100_000


@final
class TotpSeeds:
    """Makes seeds, opens them, and says which step a code is of."""

    def __init__(self, hsm: Hsm) -> None:
        """Keep the HSM that holds KP."""
        self._seeds = SealedSeeds(hsm, label=SEED)
        self._used: dict[UUID, int] = {}
        self._lock = threading.Lock()

    def make(self, cell: UUID) -> tuple[str, str]:
        """Make a seed: in base32, to be shown once, and sealed, to be kept."""
        return self._seeds.make(cell)

    def find_step(self, unverified_code: str, *, cell: UUID, sealed: str, now: int) -> int | None:
        """Find the step of which a code is; ``None``: of none that is good now.

        Raises:
            MalformedMessage: the seed is not this cell's.
        """
        # The code of a step is that of a counter (RFC 6238, 4.2).
        app = HOTP(self._seeds.open(sealed, cell=cell), digits=DIGITS)
        given = unverified_code.encode("utf-8")
        current = now // STEP_SECONDS
        found = None
        for step in range(current - STEPS_AROUND, current + STEPS_AROUND + 1):
            if hmac.compare_digest(given, app.at(step).encode("ascii")):
                found = step
        return found

    def use_up(self, step: int, *, cell: UUID, used_step: int | None, now: int) -> bool:
        """Use a step up; ``False``: it, or a later one, is used up already.

        Args:
            step: of a code that is right.
            cell: whose.
            used_step: the last one that the database knows.
            now: the time.

        Raises:
            TooManyTries: nothing more can be remembered now.
        """
        with self._lock:
            last = max(self._used.get(cell, -1), -1 if used_step is None else used_step)
            if step <= last:
                return False
            self._make_room(now)
            self._used[cell] = step
            return True

    def _make_room(self, now: int) -> None:
        """Forget steps that no code is of any more."""
        if len(self._used) < MOST_REMEMBERED:
            return
        oldest = now // STEP_SECONDS - STEPS_AROUND
        self._used = {cell: step for cell, step in self._used.items() if step >= oldest}
        if len(self._used) >= MOST_REMEMBERED:
            raise TooManyTries("too many codes everywhere")
