"""Nothing lost (design, invariant 5): workers race, and are killed at the worst moments."""

import multiprocessing
import signal
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.delivery.desk import LEASE_SECONDS
from backend.delivery.lanes import FIRST_PLACES, SMS_PLACES
from backend.delivery.outbox import enqueue_sms
from backend.model.tables import OutboxMessage
from backend.protocol.jose import PublicJwk
from backend.protocol.sms import Sms, seal_sms
from tests.world.clock import SettableClock
from tests.world.doomed_worker import DOOMED_AT, KEY, work
from tests.world.woken_phones import LIFE, add_cell, add_transaction

MESSAGES = 100
KILLED = -signal.SIGKILL
HELD = FIRST_PLACES + SMS_PLACES
"""Most that one worker has claimed and not yet written down."""

# Each worker is a process of its own; what they load is loaded once.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.world.doomed_worker"])


@pytest.mark.parametrize("moment", ["sending", "recording"])
def test_workers_that_race_and_are_killed_lose_nothing(
    database_url: str,
    session_factory: sessionmaker[Session],
    clock: SettableClock,
    tmp_path: Path,
    moment: str,
) -> None:
    """What was sent and not written down is sent again under the same id."""
    with session_factory.begin() as session:
        transaction = add_transaction(session, add_cell(session, now=clock()), now=clock())
        sealed = seal_sms(Sms(number="+79001234567", text="x"), PublicJwk.of(KEY.public_key()))
        for _ in range(MESSAGES):
            enqueue_sms(
                session,
                transaction=transaction,
                sealed_sms=sealed,
                now=clock(),
                expires_at=clock() + LIFE,
            )
    sent = tmp_path / "sent"
    sent.touch()

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
    assert run(f"before-{moment}", f"after-{moment}", now=clock()) == [KILLED, KILLED]
    before = Counter(sent.read_text().split())
    assert set(before.values()) == {1}
    assert sum(before.values()) >= 2 * DOOMED_AT - 1
    assert run("none", "none", now=clock()) == [0, 0]
    # What the dead held waits for their leases to end, and nothing else does.
    held = {str(row.id) for row in _unsent(session_factory)}
    assert 2 <= len(held) <= 2 * HELD
    assert run("none", now=clock.advance(seconds=LEASE_SECONDS)) == [0]

    assert _unsent(session_factory) == []
    with session_factory() as session:
        expected = {str(message) for message in session.scalars(select(OutboxMessage.id))}
    times = Counter(sent.read_text().split())
    assert set(times) == expected
    assert len(expected) == MESSAGES
    # Twice went only what was sent by those who could not say so any more.
    assert {message for message, count in times.items() if count > 1} == held & set(before)
    assert max(times.values()) == 2


def _unsent(session_factory: sessionmaker[Session]) -> list[OutboxMessage]:
    with session_factory() as session:
        return list(session.scalars(select(OutboxMessage).where(OutboxMessage.sent_at.is_(None))))
