"""The worker in a thread, with a gateway that does as told."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import sleep
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec

from backend.delivery.desk import PeriodicJob, Sessions
from backend.delivery.dispatch import Channels
from backend.delivery.worker import Worker
from tests.world.clock import SettableClock

KEY = ec.generate_private_key(ec.SECP256R1())


class Gateway:
    """Takes texts, as told."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.asked = 0
        self.before: Callable[[str], None] = lambda _text: None
        self._lock = threading.Lock()

    def send(self, *, number: str, text: str, message_id: UUID) -> None:
        with self._lock:
            self.asked += 1
        self.before(text)
        with self._lock:
            self.taken.append(text)


def make_worker(
    sessions: Sessions, channels: Channels, clock: SettableClock, *jobs: PeriodicJob
) -> Worker:
    return Worker(sessions=sessions, channels=channels, jobs=jobs, clock=clock)


@contextmanager
def running(worker: Worker) -> Iterator[threading.Event]:
    """Run the loop in a thread, and see it end when told."""
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()


def eventually(claim: Callable[[], bool]) -> None:
    """Wait until something is so; the test's time limit is the only clock."""
    while not claim():
        sleep(0.01)
