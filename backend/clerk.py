"""The clerk: does what follows from phones' answers. No listener, no way out.

1. Nobody tells the clerk what to do: each round it asks the database what is left. So a crash loses
   nothing, and several clerks may work beside each other.
2. A duty is a use case that may be repeated: what is done is not done twice.
3. A task that fails is logged and tried again later, each time later; it delays only itself.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from random import SystemRandom
from threading import Event
from typing import Any, Final, final
from uuid import UUID

import msgspec
from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from backend.delivery.back_off import pause_seconds
from backend.errors import AlreadyThere
from backend.model.tables import CERTIFICATE_REQUEST, Cell, Transaction, TransactionState
from backend.signers.freeze import not_frozen
from backend.signing.askable import needs_certificate

log = logging.getLogger(__name__)

ROUND_SECONDS: Final = 0.5

_RANDOM: Final = SystemRandom()

Task = UUID | bytes
"""Id of what something is to be done with."""


@final
class Duty(msgspec.Struct, frozen=True, kw_only=True):
    """Something that follows from an answer."""

    name: str
    find: Callable[[Session, datetime], Sequence[Task]]
    """Tells what is left to be done."""
    do: Callable[[Session, Any, datetime], object]
    """Does it for one of them; commits."""


@final
class _Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A task that waits."""

    times: int
    again_at: datetime


@final
class Clerk:
    """Runs in a process of its own (``cellkey clerk``) or in a thread of ``cellkey serve``."""

    def __init__(
        self,
        *,
        sessions: Callable[[], Session],
        duties: Sequence[Duty],
        clock: Callable[[], datetime],
    ) -> None:
        """Take what it works with; nothing is done yet."""
        self._sessions = sessions
        self._duties = duties
        self._clock = clock
        self._failures: dict[tuple[str, Task], _Failure] = {}

    def run(self, stop: Event) -> None:
        """Work until ``stop`` is set."""
        while not stop.is_set():
            self.run_once()
            stop.wait(ROUND_SECONDS)

    def run_once(self) -> int:
        """Do what is left to be done now; give the number of tasks that were done."""
        return sum(self._attempt(duty, task) for duty in self._duties for task in self._find(duty))

    def _find(self, duty: Duty) -> Sequence[Task]:
        now = self._clock()
        try:
            with self._sessions() as session:
                found = duty.find(session, now)
                session.commit()
        except Exception:  # the outer edge of the process: nothing may end the clerk
            log.exception("%s: cannot tell what is left", duty.name)
            return ()
        waiting = {
            task
            for (name, task), failure in self._failures.items()
            if name == duty.name and failure.again_at > now
        }
        return [task for task in found if task not in waiting]

    def _attempt(self, duty: Duty, task: Task) -> bool:
        try:
            with self._sessions() as session:
                duty.do(session, task, self._clock())
        except AlreadyThere:
            log.info("%s: somebody else was faster", duty.name)
        except Exception:  # the outer edge of the process: nothing may end the clerk
            log.exception("%s failed", duty.name)
            self._put_off(duty, task)
            return False
        self._failures.pop((duty.name, task), None)
        return True

    def _put_off(self, duty: Duty, task: Task) -> None:
        failed = self._failures.get((duty.name, task))
        times = 1 if failed is None else failed.times + 1
        pause = pause_seconds(times, jitter=_RANDOM.random(), retry_after_seconds=None)
        again_at = self._clock() + timedelta(seconds=pause)
        self._failures[duty.name, task] = _Failure(times=times, again_at=again_at)


# --- what is left to be done --------------------------------------------------------


def cells_to_certify(session: Session, _now: datetime) -> Sequence[UUID]:
    """Name cells with a phone whose signers are to be asked for the first approval."""
    return session.scalars(
        select(Cell.id)
        .where(needs_certificate(), not_frozen(Cell.signer_id))
        .order_by(Cell.created_at)
    ).all()


def approved_requests(session: Session, now: datetime) -> Sequence[UUID]:
    """Name certificate requests that were approved, and whose certificates are not there yet.

    A request that is redeemed was signed by the cell; only the certificate is missing then, and no
    clock stands against it.
    """
    in_time = or_(
        Transaction.state == TransactionState.REDEEMED,
        and_(Transaction.state == TransactionState.APPROVED, Transaction.use_by > now),
    )
    return session.scalars(
        select(Transaction.id)
        .join(Cell, Cell.id == Transaction.cell_id)
        .where(
            Transaction.kind == CERTIFICATE_REQUEST,
            in_time,
            Cell.certificate.is_(None),
            not_frozen(Transaction.signer_id),
        )
        .order_by(Transaction.created_at)
    ).all()
