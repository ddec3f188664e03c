"""The loop that empties the outbox, and does what the clock asks for.

1. Several messages are under way at once, so that a push service that hangs holds up nobody else's.
   Only as many are claimed as can be sent at once.
2. A failure ends nothing but itself: it is logged, what was claimed is claimed again when its lease
   is over, and while the database does not answer the loop waits longer each time.
3. Told to stop, it claims no more and finishes what is under way, which takes seconds.
"""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from functools import partial
from random import SystemRandom
from threading import Event
from typing import Final, TypeVar, final
from uuid import uuid4

import msgspec
from sqlalchemy.orm import Session

from backend.delivery.back_off import pause_seconds
from backend.delivery.dispatch import Channels, Clock, Sessions, dispatch
from backend.delivery.outbox import ClaimedMessage, bury, claim

log = logging.getLogger(__name__)

AT_ONCE: Final = 8
LEASE_SECONDS: Final = 30
"""Longer than a message can take; how long a dead worker's messages wait."""
POLL_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 30.0

_RANDOM: Final = SystemRandom()

Result = TypeVar("Result")


@final
class PeriodicJob(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the clock asks for; a use case with its own commit."""

    name: str
    every_seconds: float
    run: Callable[[Session, datetime], object]


@final
class Worker:
    """Runs in a process of its own (``cellkey worker``) or in a thread of ``cellkey serve``."""

    def __init__(
        self, *, sessions: Sessions, channels: Channels, jobs: Sequence[PeriodicJob], clock: Clock
    ) -> None:
        """Take what it works with; nothing is done yet."""
        self._id = uuid4()
        self._sessions = sessions
        self._channels = channels
        self._jobs = jobs
        self._job_due_at: dict[str, datetime] = {}
        self._clock = clock

    def run(self, stop: Event) -> None:
        """Work until ``stop`` is set."""
        failures = 0
        under_way: set[Future[None]] = set()
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="delivery") as pool:
            while not stop.is_set():
                self._run_jobs()
                claimed = _outlive("claiming", partial(self._claim, AT_ONCE - len(under_way)))
                if claimed is None:
                    failures += 1
                    stop.wait(_outage_pause_seconds(failures))
                    continue
                failures = 0
                under_way |= {pool.submit(self._deliver, message) for message in claimed}
                under_way = _rest(under_way, idle=not claimed, stop=stop)

    def run_once(self) -> int:
        """Do and send what is due now; give the number of messages that were taken up."""
        self._run_jobs()
        count = 0
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="delivery") as pool:
            while claimed := self._claim(AT_ONCE):
                count += len(list(pool.map(self._deliver, claimed)))
        return count

    def _run_jobs(self) -> None:
        """Run the jobs that are due; one that fails is due again after its time."""
        now = self._clock()
        for job in self._jobs:
            if self._job_due_at.get(job.name, now) <= now:
                self._job_due_at[job.name] = now + timedelta(seconds=job.every_seconds)
                _outlive(job.name, partial(self._run_job, job))

    def _run_job(self, job: PeriodicJob) -> None:
        with self._sessions() as session:
            job.run(session, self._clock())

    def _claim(self, limit: int) -> list[ClaimedMessage]:
        if limit == 0:
            return []
        now = self._clock()
        with self._sessions() as session:
            buried = bury(session, now=now)
            claimed = claim(
                session, worker=self._id, now=now, limit=limit, lease_seconds=LEASE_SECONDS
            )
            session.commit()
        if buried:
            log.info("buried what was too late or over: %d", buried)
        return claimed

    def _deliver(self, message: ClaimedMessage) -> None:
        with_these = partial(
            dispatch, sessions=self._sessions, channels=self._channels, clock=self._clock
        )
        _outlive("delivering", partial(with_these, message))


def _rest(under_way: set[Future[None]], *, idle: bool, stop: Event) -> set[Future[None]]:
    """Wait for work, or for a hand that is free; give what is still under way."""
    if idle and len(under_way) < AT_ONCE:
        stop.wait(POLL_SECONDS)
    elif len(under_way) == AT_ONCE:
        wait(under_way, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
    return {future for future in under_way if not future.done()}


def _outage_pause_seconds(failures: int) -> float:
    pause = pause_seconds(failures, jitter=_RANDOM.random(), retry_after_seconds=None)
    return min(LONGEST_PAUSE_SECONDS, pause)


def _outlive(what: str, action: Callable[[], Result]) -> Result | None:
    """Run one piece of work at the process's outer edge; ``None`` if it failed."""
    try:
        return action()
    except Exception:
        log.exception("%s failed", what)
        return None
