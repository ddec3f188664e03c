"""A push service that fails in every way for a while loses no message (design, invariant 5)."""

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.delivery import shift
from backend.delivery.dispatch import Channels
from backend.delivery.endpoints import AllowedEndpoint, AllowedHost, parse_push_hosts
from backend.delivery.guarded_session import SECONDS, GuardedSession
from backend.delivery.lanes import FIRST_PLACES, SMALLEST_CLAIM
from backend.delivery.outbox import enqueue_push
from backend.delivery.web_push import VapidIdentity
from backend.errors import NotAnswered
from backend.model.tables import OutboxMessage, Transaction
from tests.world.clock import SettableClock
from tests.world.push_faults import Faults
from tests.world.push_phone import PushPhone
from tests.world.push_service import PushService, running_push_service
from tests.world.woken_phones import LIFE, PhoneKeys, add_cell, add_phone, add_transaction
from tests.world.worker import KEY, Gateway, eventually, make_worker, running

Sessions = sessionmaker[Session]
MESSAGES = 12

# What the database is makes no difference to these.
on_one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

FAULTS: dict[str, Callable[[Faults], object]] = {
    "500": lambda faults: faults.answer(500),
    "503 with Retry-After": lambda faults: faults.answer(503, retry_after="20"),
    "429 with Retry-After": lambda faults: faults.answer(429, retry_after="20"),
    "closes without a word": lambda faults: faults.close(),
    "garbage": lambda faults: faults.garble(),
    "byte by byte": lambda faults: faults.drip(),
    "redirect": lambda faults: faults.redirect("https://169.254.169.254/latest"),
    "10 MB": lambda faults: faults.answer(500, text="x" * 10_000_000),
}


class Wakes:
    """Transactions whose phones wait at the push service."""

    def __init__(self, sessions: Sessions, clock: SettableClock, channels: Channels) -> None:
        self.sessions = sessions
        self.clock = clock
        self.channels = channels
        self.worker = make_worker(sessions, channels, clock)

    def add(self, *, endpoint: str, keys: PhoneKeys | None = None) -> UUID:
        with self.sessions.begin() as session:
            cell = add_cell(session, now=self.clock())
            add_phone(session, cell, now=self.clock(), endpoint=endpoint, keys=keys)
            transaction = add_transaction(session, cell, now=self.clock())
            enqueue_push(
                session,
                transaction=transaction,
                cell=cell,
                now=self.clock(),
                expires_at=self.clock() + LIFE,
            )
        return transaction

    def delivered(self) -> set[UUID]:
        with self.sessions() as session:
            found = select(Transaction.id).where(Transaction.delivered_at.is_not(None))
            return set(session.scalars(found))

    def rows(self) -> list[OutboxMessage]:
        with self.sessions() as session:
            return list(session.scalars(select(OutboxMessage)))


@pytest.fixture
def wakes(
    session_factory: Sessions,
    clock: SettableClock,
    allowed_hosts: tuple[AllowedHost, ...],
    identity: VapidIdentity,
    gateway: Gateway,
) -> Wakes:
    channels = Channels(
        allowed_hosts=allowed_hosts,
        identity=identity,
        app_url="https://app.example.org",
        sms_key=KEY,
        sms_gateway=gateway,
    )
    return Wakes(session_factory, clock, channels)


@on_one_database
@pytest.mark.parametrize("fault", FAULTS)
def test_a_push_service_that_fails_for_a_while_loses_no_message(
    fault: str,
    wakes: Wakes,
    push_service: PushService,
    push_phone: PushPhone,
    connections_made: list[object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """T-19: and nothing goes anywhere else meanwhile."""
    if fault == "byte by byte":  # the one that only the clock ends
        monkeypatch.setattr(
            "backend.delivery.dispatch.GuardedSession",
            lambda endpoint: waiting(endpoint, 0.5 if push_service.faults.left else SECONDS),
        )
    for _ in range(MESSAGES):
        wakes.add(endpoint=push_phone.endpoint, keys=push_phone.keys)
    for _ in range(MESSAGES + 4):
        FAULTS[fault](push_service.faults)
    ids = {row.id.hex for row in wakes.rows()}
    wakes.worker.run_once()
    assert not any(row.sent_at for row in wakes.rows())
    while not all(row.sent_at for row in wakes.rows()):
        wakes.clock.advance(seconds=5)
        wakes.worker.run_once()
        assert not any(row.dead_at for row in wakes.rows())
    # Each is there once: what came twice came under one id, which is the topic.
    assert len(push_phone.read_all()) == MESSAGES
    assert {received.headers["topic"] for received in push_service.received} == ids
    assert len(wakes.delivered()) == MESSAGES
    (port,) = {address[1] for address in connections_made if isinstance(address, tuple)}
    assert push_service.base.endswith(f":{port}")


@pytest.mark.parametrize("is_dead", [False, True])
def test_a_gateway_that_hangs_delays_no_push(
    wakes: Wakes,
    push_service: PushService,
    push_phone: PushPhone,
    gateway: Gateway,
    add_texts: Callable[[int], None],
    is_dead: bool,  # noqa: FBT001  # one that is not even reached
) -> None:
    go_on = threading.Event()

    def hang(_text: str) -> None:
        if is_dead:
            raise NotAnswered("nothing there")
        go_on.wait()

    gateway.before = hang
    add_texts(30)
    for _ in range(MESSAGES):
        wakes.add(endpoint=push_phone.endpoint, keys=push_phone.keys)
    with running(wakes.worker):
        eventually(lambda: len(wakes.delivered()) == MESSAGES)
        assert gateway.taken == []
        gateway.before = lambda _text: None
        go_on.set()


def reach_also(wakes: Wakes, entry: str, host: str, push_service: PushService) -> None:
    """Let the worker send to one more host, reached as the entry says."""
    entry = entry.replace(push_service.host, host, 1)
    wakes.channels = Channels(
        allowed_hosts=(*wakes.channels.allowed_hosts, *parse_push_hosts([entry])),
        identity=wakes.channels.identity,
        app_url="https://app.example.org",
        sms_key=KEY,
        sms_gateway=wakes.channels.sms_gateway,
    )
    wakes.worker = make_worker(wakes.sessions, wakes.channels, wakes.clock)


def test_a_service_that_is_down_is_left_alone_and_loses_nothing(
    wakes: Wakes,
    push_service: PushService,
    push_phone: PushPhone,
    connections_made: list[object],
    tmp_path: Path,
) -> None:
    """Most of what waits for it is put back untried, without losing an attempt."""
    with running_push_service(ca_out=tmp_path / "down.pem") as down:
        entry = down.allow_list_entry
    reach_also(wakes, entry, "down.cellkey.test", push_service)
    for number in range(60):
        wakes.add(endpoint=f"https://down.cellkey.test/wpush/v2/{number}")
    alive = wakes.add(endpoint=push_phone.endpoint, keys=push_phone.keys)
    wakes.worker.run_once()
    assert wakes.delivered() == {alive}
    untried = [row for row in wakes.rows() if row.attempts == 0]
    assert len(untried) >= 40
    assert all(row.due_at > wakes.clock() for row in untried)
    assert len(connections_made) < 30


def test_a_host_that_hangs_delays_nobody_elses_message(
    wakes: Wakes,
    push_service: PushService,
    push_phone: PushPhone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hundred messages hang at one host; those behind them go to another."""
    monkeypatch.setattr(
        "backend.delivery.dispatch.GuardedSession", lambda endpoint: waiting(endpoint, 3600)
    )
    with socket.create_server(("127.0.0.1", 0), backlog=200) as silent:
        port = str(silent.getsockname()[1])
        entry = push_service.allow_list_entry.replace(push_service.base.rpartition(":")[2], port)
        reach_also(wakes, entry, "hangs.cellkey.test", push_service)
        for number in range(100):
            wakes.add(endpoint=f"https://hangs.cellkey.test/wpush/v2/{number}")
        wakes.clock.advance(seconds=1)
        alive = {wakes.add(endpoint=push_phone.endpoint, keys=push_phone.keys) for _ in range(30)}
        with running(wakes.worker):
            eventually(lambda: wakes.delivered() == alive)
            # What hangs, hangs still; what found no place there is not held by this worker.
            held = [row for row in wakes.rows() if row.leased_by and not row.sent_at]
            assert 0 < len(held) <= FIRST_PLACES + SMALLEST_CLAIM
            silent.close()


@on_one_database
def test_the_loop_looks_at_once_when_it_is_woken(
    wakes: Wakes, push_phone: PushPhone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour between two looks: only being woken can be why it was sent."""
    monkeypatch.setattr(shift, "POLL_SECONDS", 3600)
    monkeypatch.setattr(shift, "FIRST_REST_SECONDS", 3600)
    wakes.worker.wake()  # nobody works yet
    with running(wakes.worker) as stop:
        eventually(lambda: wakes.worker._shift is not None and wakes.worker._shift.turns > 0)
        woken = wakes.add(endpoint=push_phone.endpoint, keys=push_phone.keys)
        wakes.worker.wake()
        eventually(lambda: wakes.delivered() == {woken})
        stop.set()
        wakes.worker.wake()


def waiting(endpoint: AllowedEndpoint, seconds: float) -> GuardedSession:
    """The real one, which waits so long."""
    return GuardedSession(endpoint, seconds=seconds)
