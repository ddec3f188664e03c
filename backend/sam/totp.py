"""Seeds of authenticator apps (RFC 6238): made here, shown once, kept sealed, checked here.

1. A seed is sealed under KP and bound to its cell; who has the database has no code.
2. A code has eight digits and is good for its step of thirty seconds, one before and one after.
3. A step counts once (RFC 6238, 5.2): it, and every one before it, is refused from then on, by what
   the database says and by what this process remembers, whichever is later.
"""

import base64
import hmac
import threading
from typing import Final, final
from uuid import UUID

from pyotp import TOTP

from backend.errors import TooManyTries
from backend.hsm.protocol import Hsm
from backend.protocol.codes import DIGITS
from backend.protocol.encoding import Octets32, sha256, unb64u
from backend.protocol.locks import lock_raw, unlock_raw

SEED: Final = b"cell-totp-v1\0"
SEED_BYTES: Final = 20
"""As RFC 4226, 4 wants them; no padding in base32."""
STEP_SECONDS: Final = 30
STEPS_AROUND: Final = 1
MOST_REMEMBERED: Final = 100_000


def seed_hash(unverified_sealed: str) -> Octets32:
    """The hash by which a record names a seed.

    Raises:
        MalformedMessage: it is no sealed value.
    """
    return sha256(unb64u(unverified_sealed))


def _base32(seed: bytes) -> str:
    return base64.b32encode(seed).decode("ascii")


@final
class TotpSeeds:
    """Makes seeds, opens them, and says which step a code is of."""

    def __init__(self, hsm: Hsm) -> None:
        """Keep the HSM that holds KP."""
        self._hsm = hsm
        self._used: dict[UUID, int] = {}
        self._lock = threading.Lock()

    def make(self, cell: UUID) -> tuple[str, str]:
        """Make a seed: in base32, to be shown once, and sealed, to be kept."""
        seed = self._hsm.random(SEED_BYTES)
        return _base32(seed), lock_raw(seed, key=self._key(cell), label=cell.bytes)

    def find_step(self, unverified_code: str, *, cell: UUID, sealed: str, now: int) -> int | None:
        """Find the step of which a code is; ``None``: of none that is good now.

        Raises:
            MalformedMessage: the seed is not this cell's.
        """
        seed = unlock_raw(sealed, key=self._key(cell), label=cell.bytes)
        totp = TOTP(_base32(seed), digits=DIGITS, interval=STEP_SECONDS)
        given = unverified_code.encode("utf-8")
        current = now // STEP_SECONDS
        found = None
        for step in range(current - STEPS_AROUND, current + STEPS_AROUND + 1):
            if hmac.compare_digest(given, totp.generate_otp(step).encode("ascii")):
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

    def _key(self, cell: UUID) -> bytes:
        return self._hsm.pepper(SEED + cell.bytes)
