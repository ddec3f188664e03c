"""The loop that empties the outbox, and does what the clock asks for.

1. Many messages are under way at once, each on its lane (``lanes.py``): a destination that hangs
   holds up nobody else's. What is claimed is sent at once or given back.
2. What ended within ``GATHER_SECONDS`` is written down together, in the commit that claims more.
3. A failure ends nothing but itself: it is logged, what was claimed is claimed again when its lease
   is over, and while the database does not answer the loop waits longer each time. What was sent
   meanwhile is remembered until it can be written down, as long as its lease lasts.
4. Told to stop, it claims no more and finishes what is under way, which takes seconds.

One thread sends, by an event loop; one thread at a time talks to the database; what may block
(resolvers) has threads of its own.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from random import SystemRandom
from threading import Event
from typing import Final, final

from backend.delivery.back_off import pause_seconds
from backend.delivery.desk import Desk, PeriodicJob, Sessions
from backend.delivery.dispatch import Channels, Clock, Sender
from backend.delivery.lanes import Lanes
from backend.delivery.shift import Shift
from backend.delivery.sms_budgets import SmsCounter

log = logging.getLogger(__name__)

LONGEST_PAUSE_SECONDS: Final = 30.0
BLOCKING_THREADS: Final = 32

_RANDOM: Final = SystemRandom()


@final
class Worker:
    """Runs in a process of its own (``cellkey worker``) or in a thread of ``cellkey serve``."""

    def __init__(
        self, *, sessions: Sessions, channels: Channels, jobs: Sequence[PeriodicJob], clock: Clock
    ) -> None:
        """Take what it works with; nothing is done yet."""
        self._desk = Desk(sessions, jobs=jobs, clock=clock, counter=_counter(channels))
        self._channels = channels
        self._lanes = Lanes()
        self._clock = clock
        self._shift: Shift | None = None

    def run(self, stop: Event) -> None:
        """Work until ``stop`` is set."""
        asyncio.run(self._run(stop))

    def run_once(self) -> int:
        """Do and send what is due now; give the number of messages that were taken up."""
        return asyncio.run(self._run_once())

    def wake(self) -> None:
        """Say that something may be due, so that the loop looks at once. From any thread."""
        shift = self._shift
        if shift is not None:
            shift.wake()

    async def _run(self, stop: Event) -> None:
        failures = 0
        async with self._new_shift() as shift:
            while not stop.is_set():
                try:
                    await shift.turn()
                except Exception:
                    log.exception("claiming failed")
                    failures += 1
                    await _wait_for(stop, seconds=_outage_pause_seconds(failures))
                else:
                    failures = 0
                    await shift.rest()
            await shift.finish()

    async def _run_once(self) -> int:
        async with self._new_shift() as shift:
            while True:
                await shift.turn()
                if shift.is_over():
                    return shift.taken_up
                await shift.wait_for_an_end()

    @asynccontextmanager
    async def _new_shift(self) -> AsyncIterator[Shift]:
        blocking = ThreadPoolExecutor(BLOCKING_THREADS, "delivery")
        asyncio.get_running_loop().set_default_executor(blocking)
        sender = Sender(self._channels, clock=self._clock)
        await sender.open()
        with ThreadPoolExecutor(1, "delivery-database") as database:
            self._shift = Shift(
                desk=self._desk,
                database=database,
                sender=sender,
                channels=self._channels,
                lanes=self._lanes,
                clock=self._clock,
            )
            try:
                yield self._shift
            finally:
                self._shift = None
                await sender.close()


def _counter(channels: Channels) -> SmsCounter | None:
    gateway = channels.sms_gateway
    if gateway is None:
        return None
    return SmsCounter(channels.sms_key, rules=channels.sms_rules, reports=gateway.reports)


async def _wait_for(stop: Event, *, seconds: float) -> None:
    await asyncio.get_running_loop().run_in_executor(None, stop.wait, seconds)


def _outage_pause_seconds(failures: int) -> float:
    pause = pause_seconds(failures, jitter=_RANDOM.random(), retry_after_seconds=None)
    return min(LONGEST_PAUSE_SECONDS, pause)
