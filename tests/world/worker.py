"""The worker in a thread, with a gateway that does as told."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import sleep

from cryptography.hazmat.primitives.asymmetric import ec

from backend.delivery.desk import PeriodicJob, Sessions
from backend.delivery.dispatch import Channels
from backend.delivery.sms import OutgoingSms, SilentGateway
from backend.delivery.sms_budgets import SmsRules
from backend.delivery.worker import Worker
from tests.world.clock import SettableClock

UNBOUNDED = SmsRules(
    prefixes=("+",),
    per_number=10**6,
    per_neighbourhood=10**6,
    per_relying_party=10**6,
    per_day=10**6,
)
"""For what is not about budgets."""
KEY = ec.generate_private_key(ec.SECP256R1())


class Gateway(SilentGateway):
    """Takes texts, as told; ``before`` is called in a thread, and may wait."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.asked = 0
        self.before: Callable[[str], None] = lambda _text: None
        self._lock = threading.Lock()

    async def send(self, sms: OutgoingSms) -> tuple[str, ...]:
        with self._lock:
            self.asked += 1
        await asyncio.to_thread(self.before, sms.text)
        with self._lock:
            self.taken.append(sms.text)
        return ()


def make_worker(
    sessions: Sessions, channels: Channels, clock: SettableClock, *jobs: PeriodicJob
) -> Worker:
    return Worker(sessions=sessions, channels=channels, jobs=jobs, clock=clock)


@contextmanager
def running(worker: Worker) -> Iterator[threading.Event]:
    """Run the loop in a thread, and see it end when told, however long that takes."""
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join()


def eventually(claim: Callable[[], bool]) -> None:
    """Wait until something is so; the test's time limit is the only clock."""
    while not claim():
        sleep(0.01)
