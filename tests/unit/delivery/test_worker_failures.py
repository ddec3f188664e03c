"""backend/delivery/worker.py: what it outlives."""

import io
import logging
import threading
from collections.abc import Callable
from datetime import datetime

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from backend.delivery import worker as worker_module
from backend.delivery.desk import LEASE_SECONDS, PeriodicJob
from backend.delivery.dispatch import Channels
from backend.delivery.sms import ConsoleGateway
from backend.errors import DeliveryFailed
from backend.model.tables import OutboxMessage
from tests.world.clock import SettableClock
from tests.world.worker import KEY, Gateway, eventually, make_worker, running


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
    worker = make_worker(session_factory, channels, clock)
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
    with running(make_worker(sessions, channels, clock)), caplog.at_level(logging.ERROR):
        for _ in range(3):
            tried.acquire()
        assert gateway.taken == []
        outage.clear()
        eventually(lambda: gateway.taken == ["text 0"])
    assert "claiming failed" in caplog.text


def test_what_was_sent_in_an_outage_of_the_database_is_written_down_after_it(
    session_factory: sessionmaker[Session],
    channels: Channels,
    gateway: Gateway,
    clock: SettableClock,
    add_texts: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The clock stands still, so no lease ends: nobody sends it a second time."""
    monkeypatch.setattr(worker_module, "LONGEST_PAUSE_SECONDS", 0.01)
    outage = threading.Event()
    tried = threading.Semaphore(0)

    def sessions() -> Session:
        if outage.is_set():
            tried.release()
            raise OperationalError("connect", None, ConnectionRefusedError())
        return session_factory()

    gateway.before = lambda _text: outage.set()
    add_texts(1)
    with running(make_worker(sessions, channels, clock)):
        for _ in range(5):
            tried.acquire()
        assert gateway.taken == ["text 0"]
        outage.clear()
        eventually(lambda: _sent_at(session_factory) == clock())
    assert gateway.taken == ["text 0"]


def _sent_at(sessions: sessionmaker[Session]) -> datetime | None:
    with sessions() as session:
        return session.scalar(select(OutboxMessage.sent_at))


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

    worker = make_worker(
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
        assert make_worker(session_factory, channels, clock, *jobs).run_once() == 1
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
    make_worker(session_factory, shown, clock).run_once()
    lines = stream.getvalue().splitlines()
    assert [line[:2] for line in lines] == ["+-", "| ", "+-"] * 20
