"""backend/delivery/worker.py: the loop, in a thread as in `cellkey serve`."""

import threading
from collections.abc import Callable
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.delivery.claiming import ClaimedMessage, claim
from backend.delivery.dispatch import Channels
from backend.delivery.lanes import SMS_PLACES as AT_ONCE
from backend.model.tables import OutboxMessage
from tests.world.clock import SettableClock
from tests.world.worker import Gateway, eventually, make_worker, running


def test_once_sends_everything_that_is_due(
    session_factory: sessionmaker[Session],
    channels: Channels,
    gateway: Gateway,
    clock: SettableClock,
    add_texts: Callable[[int], None],
) -> None:
    add_texts(3 * AT_ONCE + 1)
    assert make_worker(session_factory, channels, clock).run_once() == 3 * AT_ONCE + 1
    assert sorted(gateway.taken) == sorted(f"text {number}" for number in range(3 * AT_ONCE + 1))
    assert make_worker(session_factory, channels, clock).run_once() == 0


def test_the_loop_sends_what_comes_while_it_runs(
    session_factory: sessionmaker[Session],
    channels: Channels,
    gateway: Gateway,
    clock: SettableClock,
    add_texts: Callable[[int], None],
) -> None:
    with running(make_worker(session_factory, channels, clock)):
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
    with running(make_worker(session_factory, channels, clock)):
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
    with running(make_worker(session_factory, channels, clock)):
        eventually(lambda: gateway.asked == AT_ONCE)
        left: list[ClaimedMessage] = []

        def is_left() -> bool:
            with session_factory.begin() as session:
                left.extend(claim(session, worker=uuid4(), now=clock(), limit=100, lease_seconds=1))
            return len(left) == 3

        eventually(is_left)
        go_on.set()
    assert {message.attempts for message in left} == {1}


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
    with running(make_worker(session_factory, channels, clock)) as stop:
        eventually(lambda: gateway.asked == 1)
        stop.set()
        go_on.set()
    with session_factory() as session:
        assert session.scalar(select(OutboxMessage.sent_at)) == clock()
