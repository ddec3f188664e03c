"""backend/delivery/worker.py: the loop, in a thread as in `cellkey serve`."""

import io
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from time import sleep
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from backend.delivery import worker as worker_module
from backend.delivery.dispatch import Channels, Sessions
from backend.delivery.outbox import claim, enqueue_sms
from backend.delivery.sms import ConsoleGateway
from backend.delivery.web_push import VapidIdentity
from backend.delivery.worker import AT_ONCE, LEASE_SECONDS, PeriodicJob, Worker
from backend.errors import DeliveryFailed
from backend.model.tables import OutboxMessage
from backend.protocol.jose import PublicJwk
from backend.protocol.sms import Sms, seal_sms
from tests.world.clock import SettableClock
from tests.world.woken_phones import LIFE, add_cell, add_transaction

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


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def channels(identity: VapidIdentity, gateway: Gateway) -> Channels:
    return Channels(
        allowed_hosts=(), identity=identity, app_url="", sms_key=KEY, sms_gateway=gateway
    )


@pytest.fixture
def transaction(session_factory: sessionmaker[Session], clock: SettableClock) -> UUID:
    with session_factory.begin() as session:
        return add_transaction(session, add_cell(session, now=clock()), now=clock())


@pytest.fixture
def add_texts(
    session_factory: sessionmaker[Session], transaction: UUID, clock: SettableClock
) -> Callable[[int], None]:
    def add(count: int) -> None:
        with session_factory.begin() as session:
            for number in range(count):
                sms = Sms(number="+79001234567", text=f"text {number}")
                enqueue_sms(
                    session,
                    transaction=transaction,
                    sealed_sms=seal_sms(sms, PublicJwk.of(KEY.public_key())),
                    now=clock(),
                    expires_at=clock() + LIFE,
                )

    return add


def make(
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


def test_once_sends_everything_that_is_due(
    session_factory: sessionmaker[Session],
    channels: Channels,
    gateway: Gateway,
    clock: SettableClock,
    add_texts: Callable[[int], None],
) -> None:
    add_texts(3 * AT_ONCE + 1)
    assert make(session_factory, channels, clock).run_once() == 3 * AT_ONCE + 1
    assert sorted(gateway.taken) == sorted(f"text {number}" for number in range(3 * AT_ONCE + 1))
    assert make(session_factory, channels, clock).run_once() == 0


def test_the_loop_sends_what_comes_while_it_runs(
    session_factory: sessionmaker[Session],
    channels: Channels,
    gateway: Gateway,
    clock: SettableClock,
    add_texts: Callable[[int], None],
) -> None:
    with running(make(session_factory, channels, clock)):
        add_texts(1)
        eventually(lambda: len(gateway.taken) == 1)
        add_texts(2)
        eventually(lambda: len(gateway.taken) == 3)


def test_one_that_hangs_holds_up_nobody_else(
    session_factory: sessionmaker[Session],
    channels: Channels,
    gateway: Gateway,
    clock: SettableClock,
    add_texts: Callable[[int], None],
) -> None:
    go_on = threading.Event()
    gateway.before = lambda text: None if text != "text 0" else _wait(go_on)
    add_texts(3 * AT_ONCE)
    with running(make(session_factory, channels, clock)):
        eventually(lambda: len(gateway.taken) == 3 * AT_ONCE - 1)
        assert "text 0" not in gateway.taken
        go_on.set()
        eventually(lambda: "text 0" in gateway.taken)


def _wait(event: threading.Event) -> None:
    event.wait()


def test_no_more_is_claimed_than_is_sent_at_once(
    session_factory: sessionmaker[Session],
    channels: Channels,
    gateway: Gateway,
    clock: SettableClock,
    add_texts: Callable[[int], None],
) -> None:
    """What a busy worker cannot send now, another one may."""
    go_on = threading.Event()
    gateway.before = lambda _text: _wait(go_on)
    add_texts(AT_ONCE + 3)
    with running(make(session_factory, channels, clock)):
        eventually(lambda: gateway.asked == AT_ONCE)
        with session_factory.begin() as session:
            left = claim(session, worker=uuid4(), now=clock(), limit=100, lease_seconds=1)
        go_on.set()
    assert len(left) == 3


def test_told_to_stop_it_finishes_what_is_under_way(
    session_factory: sessionmaker[Session],
    channels: Channels,
    gateway: Gateway,
    clock: SettableClock,
    add_texts: Callable[[int], None],
) -> None:
    add_texts(1)
    go_on = threading.Event()
    gateway.before = lambda _text: _wait(go_on)
    with running(make(session_factory, channels, clock)) as stop:
        eventually(lambda: gateway.asked == 1)
        stop.set()
        go_on.set()
    with session_factory() as session:
        assert session.scalar(select(OutboxMessage.sent_at)) == clock()


def test_an_error_nobody_thought_of_costs_one_attempt_and_not_the_worker(
    session_factory: sessionmaker[Session],
    channels: Channels,
    gateway: Gateway,
    clock: SettableClock,
    add_texts: Callable[[int], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def burst(text: str) -> None:
        if text == "text 1":
            raise ZeroDivisionError

    gateway.before = burst
    add_texts(3)
    worker = make(session_factory, channels, clock)
    with caplog.at_level(logging.ERROR):
        assert worker.run_once() == 3
    assert sorted(gateway.taken) == ["text 0", "text 2"]
    assert "delivering failed" in caplog.text
    gateway.before = lambda _text: None
    clock.advance(seconds=LEASE_SECONDS)
    assert worker.run_once() == 1
    assert gateway.taken[-1] == "text 1"


def test_an_outage_of_the_database_is_survived(
    session_factory: sessionmaker[Session],
    channels: Channels,
    gateway: Gateway,
    clock: SettableClock,
    add_texts: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It waits longer each time, and goes on when the database is back."""
    monkeypatch.setattr(worker_module, "LONGEST_PAUSE_SECONDS", 0.01)
    outage = threading.Event()
    outage.set()
    tried = threading.Semaphore(0)

    def sessions() -> Session:
        if outage.is_set():
            tried.release()
            raise OperationalError("connect", None, ConnectionRefusedError())
        return session_factory()

    add_texts(1)
    with running(make(sessions, channels, clock)), caplog.at_level(logging.ERROR):
        for _ in range(3):
            tried.acquire()
        assert gateway.taken == []
        outage.clear()
        eventually(lambda: gateway.taken == ["text 0"])
    assert "claiming failed" in caplog.text


def test_pauses_in_an_outage_are_bounded() -> None:
    for failures in (1, 5, 100, 1_000_000):
        pause = worker_module._outage_pause_seconds(failures)
        assert 0 < pause <= worker_module.LONGEST_PAUSE_SECONDS


def test_jobs_run_when_their_time_has_come(
    session_factory: sessionmaker[Session], channels: Channels, clock: SettableClock
) -> None:
    runs: list[datetime] = []

    def job(session: Session, now: datetime) -> None:
        assert session.scalars(select(OutboxMessage)).all() == []
        runs.append(now)

    worker = make(
        session_factory, channels, clock, PeriodicJob(name="job", every_seconds=10, run=job)
    )
    start = clock()
    for _ in range(3):
        worker.run_once()
    clock.advance(seconds=9)
    worker.run_once()
    assert runs == [start]
    again = clock.advance(seconds=1)
    worker.run_once()
    assert runs == [start, again]


def test_a_job_that_fails_stops_neither_the_others_nor_delivery(
    session_factory: sessionmaker[Session],
    channels: Channels,
    gateway: Gateway,
    clock: SettableClock,
    add_texts: Callable[[int], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    ran: list[str] = []

    def broken(_session: Session, _now: datetime) -> None:
        ran.append("broken")
        raise DeliveryFailed("a job broke")

    jobs = [
        PeriodicJob(name="broken", every_seconds=1, run=broken),
        PeriodicJob(name="sound", every_seconds=1, run=lambda _s, _n: ran.append("sound")),
    ]
    add_texts(1)
    with caplog.at_level(logging.ERROR):
        assert make(session_factory, channels, clock, *jobs).run_once() == 1
    assert ran == ["broken", "sound"]
    assert gateway.taken == ["text 0"]
    assert "broken failed" in caplog.text


def test_blocks_of_the_console_do_not_mix(
    session_factory: sessionmaker[Session],
    channels: Channels,
    clock: SettableClock,
    add_texts: Callable[[int], None],
) -> None:
    stream = io.StringIO()
    shown = Channels(
        allowed_hosts=(),
        identity=channels.identity,
        app_url="",
        sms_key=KEY,
        sms_gateway=ConsoleGateway(stream),
    )
    add_texts(20)
    make(session_factory, shown, clock).run_once()
    lines = stream.getvalue().splitlines()
    assert [line[:2] for line in lines] == ["+-", "| ", "+-"] * 20
