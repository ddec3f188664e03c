"""Passwords: their rules, their hash, and how often one may be tried.

1. Rules of ASVS 6.2: 8 to 128 characters of any kind, no composition rules, no expiry; common
   passwords, the login and the envelope's password are refused.
2. Here a password becomes A (docs/phone-protocol.md, 5); A goes to the SAM and is never stored.
   Without the SAM nobody can test a guess, not even with the whole database.
3. A try is counted and committed before it is checked, so that parallel guesses are counted too
   (T-16). After five, pauses double up to a quarter of an hour: nobody is locked out for good, and
   who cannot name the signer's envelope is never heard at all (T-21).
4. Argon2 takes 64 MiB a time; only so many run at once (T-39). What is computed for nobody, so that
   it takes as long (T-17), has one place of its own: a flood of it keeps no signer out (T-21). Who
   finds that place taken waits as long as a hash took last, and is answered like the others.
"""

import unicodedata
from datetime import datetime, timedelta
from math import ceil
from threading import BoundedSemaphore, Semaphore
from time import monotonic, sleep
from typing import Final, final
from uuid import UUID

import msgspec
from argon2.low_level import Type, hash_secret_raw
from sqlalchemy import update
from sqlalchemy.orm import Session

from backend.errors import NothingTried, PasswordUnfit, TooManyTries
from backend.model.tables import Signer
from backend.sam.cells import Cells, ChangedPassword, ChangePassword, CheckPassword, PasswordLock
from backend.signers.blocklist import is_common

SHORTEST: Final = 8
LONGEST: Final = 128
SALT_BYTES: Final = 16
AT_ONCE: Final = 4
LONGEST_WAIT_SECONDS: Final = 5

FREE_TRIES: Final = 5
LONGEST_PAUSE_SECONDS: Final = 900
FORGOTTEN_AFTER: Final = timedelta(days=1)

_places = BoundedSemaphore(AT_ONCE)
_nobodys_place = BoundedSemaphore(1)
_lasted: Final = {"seconds": 0.1}
"""How long the last hash took."""


def check_rules(password: str, *, login: str) -> None:
    """Check a new password.

    Raises:
        PasswordUnfit: it does not keep the rules; the message says which.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise PasswordUnfit(f"a password has {SHORTEST} to {LONGEST} characters", rule="length")
    if login.casefold() in password.casefold():
        raise PasswordUnfit("a password must not contain the login", rule="login")
    if is_common(password):
        raise PasswordUnfit("this password is among the first that are guessed", rule="common")


def argon2_hash(password: str, salt: bytes) -> bytes:
    """A: Argon2id, 64 MiB, t = 3, p = 1, 32 bytes, over UTF-8 in NFKC (SP 800-63B, 3.1.1.2).

    Raises:
        NothingTried: too many are being computed; nothing was tried.
    """
    return _argon2(password, salt, places=_places, wait_seconds=LONGEST_WAIT_SECONDS)


def argon2_for_nobody(password: str) -> None:
    """Take as long as :func:`argon2_hash`, for a login or an envelope that we do not know."""
    try:
        _argon2(password, bytes(SALT_BYTES), places=_nobodys_place, wait_seconds=0)
    except NothingTried:
        sleep(_lasted["seconds"])


def _argon2(password: str, salt: bytes, *, places: Semaphore, wait_seconds: float) -> bytes:
    # One character more than any password has: what is too long is hashed, cheaply, and is wrong.
    bounded = unicodedata.normalize("NFKC", password[: LONGEST + 1])
    secret = bounded.encode(errors="surrogatepass")
    if not places.acquire(timeout=wait_seconds):
        raise NothingTried("too many people sign in now", retry_after_seconds=2)
    began = monotonic()
    try:
        return hash_secret_raw(
            secret,
            salt,
            time_cost=3,
            memory_cost=64 * 1024,
            parallelism=1,
            hash_len=32,
            type=Type.ID,
        )
    finally:
        _lasted["seconds"] = monotonic() - began
        places.release()


def check(
    cells: Cells, *, signer: UUID, password_hash: bytes, verifier: bytes, ask: str | None
) -> str | None:
    """Check a password by the SAM; the proof for an enrol ask, if one is named.

    Raises:
        WrongPassword: it is wrong.
        TooManyTries: too many wrong ones for this signer, for now.
    """
    asked = CheckPassword(signer=signer, password_hash=password_hash, verifier=verifier, ask=ask)
    return cells.check_password(asked).proof


def change(
    cells: Cells,
    *,
    signer: UUID,
    old_hash: bytes,
    new_hash: bytes,
    verifier: bytes,
    locks: tuple[PasswordLock, ...],
) -> ChangedPassword:
    """Have the SAM seal every lock of the signer under a new password; key and cell stay (R-015).

    Raises:
        WrongPassword: the old one is wrong.
        TooManyTries: too many wrong ones for this signer, for now.
    """
    return cells.change_password(
        ChangePassword(
            signer=signer,
            old_password_hash=old_hash,
            new_password_hash=new_hash,
            verifier=verifier,
            locks=locks,
        )
    )


# --- tries --------------------------------------------------------------------


@final
class Tries(msgspec.Struct, frozen=True, kw_only=True):
    """``password_tries`` and ``password_tried_at`` as the caller has just read them."""

    used: int
    last_at: datetime | None

    def still_counting(self, now: datetime) -> int:
        """How many count now: a day later all are forgotten."""
        if self.last_at is None or now - self.last_at >= FORGOTTEN_AFTER:
            return 0
        return self.used


def refuse_paused(tries: Tries, *, now: datetime) -> None:
    """Go no further before the pause after the last try is over.

    Raises:
        TooManyTries: it is not.
    """
    pause = timedelta(seconds=pause_seconds(tries.still_counting(now)))
    if tries.last_at is not None and now < tries.last_at + pause:
        left = tries.last_at + pause - now
        raise TooManyTries(
            "too many wrong passwords", retry_after_seconds=ceil(left.total_seconds())
        )


def count_try(session: Session, *, signer: UUID, tries: Tries, now: datetime) -> None:
    """Count a try before it is checked. Commits, so that a crash does not forget it.

    Raises:
        NothingTried: another try of this signer was counted meanwhile.
    """
    counted = session.execute(
        update(Signer)
        .where(Signer.id == signer, Signer.password_tries == tries.used)
        .values(password_tries=tries.still_counting(now) + 1, password_tried_at=now)
        .returning(Signer.id)
    ).first()
    session.commit()
    if counted is None:
        raise NothingTried("another try is running")


def give_try_back(session: Session, *, signer: UUID) -> None:
    """Undo a count where nobody could check the password. Commits."""
    session.execute(
        update(Signer)
        .where(Signer.id == signer, Signer.password_tries > 0)
        .values(password_tries=Signer.password_tries - 1)
    )
    session.commit()


def forget_tries(session: Session, *, signer: UUID) -> None:
    """Forget the tries of a signer whose password was right. Commits."""
    session.execute(
        update(Signer)
        .where(Signer.id == signer)
        .values(password_tries=0)
        .execution_options(synchronize_session=False)
    )
    session.commit()


def pause_seconds(tries: int) -> int:
    """Say how long after the last of so many tries the next one is heard."""
    if tries < FREE_TRIES:
        return 0
    return int(min(LONGEST_PAUSE_SECONDS, 2 ** min(tries - FREE_TRIES, 10)))
