"""Nothing lost (design, invariant 5): workers race, and are killed at the worst moments."""

import multiprocessing
import signal
from collections import Counter
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.delivery.outbox import enqueue_sms
from backend.model.tables import OutboxMessage
from tests.world.clock import SettableClock
from tests.world.doomed_worker import AT_ONCE, LEASE_SECONDS, work
from tests.world.woken_phones import LIFE, add_cell, add_transaction

MESSAGES = 100
KILLED = -signal.SIGKILL

# Each worker is a process of its own; what they load is loaded once.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.world.doomed_worker"])


def test_workers_that_race_and_are_killed_lose_nothing(
    database_url: str,
    session_factory: sessionmaker[Session],
    clock: SettableClock,
    tmp_path: Path,
) -> None:
    with session_factory.begin() as session:
        transaction = add_transaction(session, add_cell(session, now=clock()), now=clock())
        for number in range(MESSAGES):
            enqueue_sms(
                session,
                transaction=transaction,
                sealed_sms=f"sealed {number}",
                now=clock(),
                expires_at=clock() + LIFE,
            )
    sent = tmp_path / "sent"

    def run(*dooms: str, now: datetime) -> list[int | None]:
        workers = [
            PROCESSES.Process(target=work, args=(database_url, sent, now, doom)) for doom in dooms
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return [worker.exitcode for worker in workers]

    # Two race until each is killed, two more race for what is left.
    assert run("before-sending", "after-sending", now=clock()) == [KILLED, KILLED]
    assert run("none", "none", now=clock()) == [0, 0]
    # What the dead held waits for their leases to end, and nothing else does.
    assert 2 <= len(_unsent(session_factory)) <= 2 * AT_ONCE
    assert run("none", now=clock.advance(seconds=LEASE_SECONDS)) == [0]

    assert _unsent(session_factory) == []
    with session_factory() as session:
        expected = {str(message) for message in session.scalars(select(OutboxMessage.id))}
    times = Counter(sent.read_text().split())
    assert set(times) == expected
    assert len(expected) == MESSAGES
    # Twice went only what was sent by the one who could not say so any more.
    assert sorted(times.values())[-2:] == [1, 2]


def _unsent(session_factory: sessionmaker[Session]) -> list[OutboxMessage]:
    with session_factory() as session:
        return list(session.scalars(select(OutboxMessage).where(OutboxMessage.sent_at.is_(None))))
