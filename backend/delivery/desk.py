"""What the worker does in the database: a turn is one commit.

It writes down what became of messages and takes the next ones. Once a second it buries what nobody
shall send. Jobs have commits of their own.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeVar, final
from uuid import uuid4

import msgspec
from sqlalchemy.orm import Session

from backend.delivery.claiming import ClaimedMessage, bury, claim
from backend.delivery.dispatch import Clock
from backend.delivery.lanes import Room
from backend.delivery.outcomes import Ended, NoPlace, Taken
from backend.delivery.recording import record
from backend.delivery.sms_budgets import SmsCounter

log = logging.getLogger(__name__)

LEASE_SECONDS: Final = 30
"""Longer than a message can take; how long a dead worker's messages wait."""
BURY_SECONDS: Final = 1

Sessions = Callable[[], Session]
Result = TypeVar("Result")


@final
class PeriodicJob(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the clock asks for; a use case with its own commit."""

    name: str
    every_seconds: float
    run: Callable[[Session, datetime], object]


@final
class Desk:
    """One worker's place at the outbox; used by one thread at a time."""

    def __init__(
        self,
        sessions: Sessions,
        *,
        jobs: Sequence[PeriodicJob],
        clock: Clock,
        counter: SmsCounter | None = None,
    ) -> None:
        """Take what it works with; nothing is done yet. ``counter``: where texts can be sent."""
        self._id = uuid4()
        self._sessions = sessions
        self._jobs = (
            *jobs,
            PeriodicJob(name="burying", every_seconds=BURY_SECONDS, run=_bury),
        )
        self._job_due_at: dict[str, datetime] = {}
        self._clock = clock
        self._counter = counter

    def turn(self, ended: Sequence[Ended], room: Room) -> list[ClaimedMessage]:
        """Record what ended and claim what there is room for, in one commit."""
        self._run_jobs()
        now = self._clock()
        with self._sessions() as session:
            record(session, ended, now=now)
            claimed = (
                claim(
                    session,
                    worker=self._id,
                    now=now,
                    limit=room.limit,
                    lease_seconds=LEASE_SECONDS,
                    full=room.full,
                )
                if room.limit
                else []
            )
            if self._counter is not None:
                claimed = self._counter.count_texts(session, claimed, now=now)
            session.commit()
        for each in ended:
            _report(each)
        return claimed

    def still_ours(self, ended: Sequence[Ended]) -> list[Ended]:
        """Leave out what another worker may have taken over: it sends it under the same id."""
        now = self._clock()
        return [each for each in ended if each.message.lease_until > now]

    def _run_jobs(self) -> None:
        """Run the jobs that are due; one that fails is due again after its time."""
        now = self._clock()
        for job in self._jobs:
            if self._job_due_at.get(job.name, now) <= now:
                self._job_due_at[job.name] = now + timedelta(seconds=job.every_seconds)
                outlive(job.name, partial(self._run_job, job))

    def _run_job(self, job: PeriodicJob) -> None:
        with self._sessions() as session:
            job.run(session, self._clock())


def _bury(session: Session, now: datetime) -> None:
    buried = bury(session, now=now)
    session.commit()
    if buried:
        log.info("buried what was too late or over: %d", buried)


def _report(ended: Ended) -> None:
    message, outcome = ended.message, ended.outcome
    if isinstance(outcome, NoPlace):
        return
    seen: dict[str, object] = {
        "transaction_id": message.transaction_id,
        "channel": message.channel,
        "attempts": message.attempts,
    }
    if isinstance(outcome, Taken):
        log.info("sent", extra=seen)
    else:
        log.warning("not sent", extra=seen | {"reason": outcome.reason})


def outlive(what: str, action: Callable[[], Result]) -> Result | None:
    """Run one piece of work at the process's outer edge; ``None`` if it failed."""
    try:
        return action()
    except Exception:
        log.exception("%s failed", what)
        return None
