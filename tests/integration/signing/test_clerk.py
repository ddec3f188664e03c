"""The clerk finds what is left to be done, and outlives what fails."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from threading import Event, Thread
from uuid import UUID, uuid4

import pytest
from click.testing import CliRunner
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from backend.clerk import Clerk, Duty
from backend.cli.clerk import make_clerk
from backend.cli.main import main
from backend.errors import AlreadyThere, SamUnavailable
from backend.model.tables import Cell, Device, OutboxMessage, Record, Transaction
from backend.wiring import make_engine, make_session_factory, utc_now
from tests.world.clock import SettableClock
from tests.world.sam import SamWorld
from tests.world.service import open_service
from tests.world.signing_world import SETTINGS, SigningWorld, open_signing_world


@pytest.fixture
def new(
    sam_world: SamWorld, session_factory: sessionmaker[Session], clock: SettableClock
) -> SigningWorld:
    """A signer with a phone, and no certificate yet."""
    return open_signing_world(sam_world, session_factory, clock, certified=False)


def clerk(world: SigningWorld) -> Clerk:
    return make_clerk(SETTINGS, world.sessions, world.sam.sam, clock=world.clock)


def request_of(world: SigningWorld) -> UUID:
    with world.sessions() as session:
        return session.scalars(select(Transaction.id)).one()


# --- what it does -------------------------------------------------------------------


def test_a_confirmed_phone_is_asked_and_its_approval_gives_a_certificate(
    new: SigningWorld,
) -> None:
    assert clerk(new).run_once() == 1
    transaction = request_of(new)
    with new.sessions() as session:
        assert session.scalars(select(OutboxMessage.kid)).one() == new.cell.phone.kid
    assert clerk(new).run_once() == 0  # the phone has not answered

    new.approve(transaction)
    assert clerk(new).run_once() == 1
    with new.sessions() as session:
        cell = session.scalars(select(Cell)).one()
        epochs = session.scalars(select(Record.epoch).order_by(Record.epoch)).all()
    assert cell.certificate is not None
    assert list(epochs) == [2, 3]
    assert clerk(new).run_once() == 0


def test_a_frozen_signer_waits_until_two_people_lift_it(new: SigningWorld) -> None:
    clerk(new).run_once()
    new.approve(request_of(new))
    new.freeze()
    assert clerk(new).run_once() == 0


def test_an_approval_whose_time_is_over_is_left_alone(new: SigningWorld) -> None:
    clerk(new).run_once()
    transaction = request_of(new)
    new.approve(transaction)
    new.clock.set(new.transaction(transaction).use_by)
    assert clerk(new).run_once() == 0


def test_a_phone_whose_removal_was_asked_leaves_the_record(new: SigningWorld) -> None:
    """T-37."""
    now = new.clock()
    new.overwrite(lambda session: session.execute(update(Device).values(removal_asked_at=now)))
    assert clerk(new).run_once() == 1
    with new.sessions() as session:
        assert session.scalars(select(Device.removed_at)).one() == now
        assert session.scalars(select(Cell.epoch)).one() == 3
    assert clerk(new).run_once() == 0


def test_two_clerks_at_once_ask_once(new: SigningWorld) -> None:
    clerks = [Thread(target=clerk(new).run_once) for _ in range(4)]
    for each in clerks:
        each.start()
    for each in clerks:
        each.join()
    request_of(new)


@pytest.fixture
def sqlite_sessions(sqlite_url: str) -> Iterator[sessionmaker[Session]]:
    """Where the database is not what is tried."""
    engine = make_engine(sqlite_url)
    yield make_session_factory(engine)
    engine.dispose()


@pytest.mark.filterwarnings("ignore::backend.hsm.software.SoftwareCellsWarning")
def test_the_command_does_what_is_left_once(tmp_path: Path) -> None:
    service = open_service(tmp_path / "service", clock=utc_now)
    environment = {
        "CELLKEY_DATA_DIR": str(service.settings.data_dir),
        "CELLKEY_CA_NAME": service.settings.ca_name,
    }
    service.close()
    done = CliRunner().invoke(main, ["clerk", "--once"], env=environment)
    assert done.exit_code == 0, done.output
    assert "0 tasks were done." in done.stderr


# --- what fails ---------------------------------------------------------------------


class Errands:
    """A duty with tasks of which one can be told to fail."""

    def __init__(self) -> None:
        self.left: list[UUID] = [uuid4(), uuid4()]
        self.failing: dict[UUID, Exception] = {}
        self.tried: list[UUID] = []

    def find(self, _session: Session, _now: datetime) -> Sequence[UUID]:
        return list(self.left)

    def do(self, _session: Session, task: UUID, _now: datetime) -> None:
        self.tried.append(task)
        if task in self.failing:
            raise self.failing[task]
        self.left.remove(task)

    def clerk(self, sessions: sessionmaker[Session], clock: SettableClock) -> Clerk:
        duty = Duty(name="errand", find=self.find, do=self.do)
        return Clerk(sessions=sessions, duties=[duty], clock=clock)


@pytest.mark.parametrize("error", [SamUnavailable("no"), ZeroDivisionError()])
def test_a_task_that_fails_delays_only_itself_and_each_time_longer(
    sqlite_sessions: sessionmaker[Session],
    clock: SettableClock,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    errands = Errands()
    first, second = errands.left
    errands.failing[first] = error
    clerk = errands.clerk(sqlite_sessions, clock)

    assert clerk.run_once() == 1
    assert errands.tried == [first, second]
    assert "errand failed" in caplog.text
    assert clerk.run_once() == 0
    assert errands.tried == [first, second]

    pauses = []
    for _ in range(4):
        began, tries = clock(), len(errands.tried)
        while len(errands.tried) == tries:
            clock.advance(seconds=0.25)
            clerk.run_once()
        pauses.append(clock() - began)
    assert pauses[-1] > pauses[0]
    errands.failing.clear()
    clock.advance(hours=1)
    assert clerk.run_once() == 1

    # What is done has no past: another failure begins with a short pause.
    errands.left, errands.failing = [first], {first: error}
    clerk.run_once()
    clock.advance(seconds=1)
    errands.failing.clear()
    assert clerk.run_once() == 1


def test_what_somebody_else_did_is_done(
    sqlite_sessions: sessionmaker[Session], clock: SettableClock
) -> None:
    errands = Errands()
    errands.failing = dict.fromkeys(errands.left, AlreadyThere("done"))
    assert errands.clerk(sqlite_sessions, clock).run_once() == 2


def test_a_database_that_does_not_answer_ends_nothing(
    sqlite_sessions: sessionmaker[Session],
    clock: SettableClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def find(_session: Session, _now: datetime) -> Sequence[UUID]:
        raise OSError

    errands = Errands()
    broken = Duty(name="broken", find=find, do=errands.do)
    working = Duty(name="working", find=errands.find, do=errands.do)
    clerk = Clerk(sessions=sqlite_sessions, duties=[broken, working], clock=clock)
    assert clerk.run_once() == 2
    assert "broken: cannot tell what is left" in caplog.text


def test_it_stops_when_it_is_told_to(
    sqlite_sessions: sessionmaker[Session], clock: SettableClock
) -> None:
    errands = Errands()
    stop, worked = Event(), Event()

    def find(session: Session, now: datetime) -> Sequence[UUID]:
        worked.set()
        return errands.find(session, now)

    clerk = Clerk(
        sessions=sqlite_sessions,
        duties=[Duty(name="errand", find=find, do=errands.do)],
        clock=clock,
    )
    thread = Thread(target=clerk.run, args=[stop])
    thread.start()
    assert worked.wait(timeout=60)
    stop.set()
    thread.join(timeout=60)
    assert not thread.is_alive()
    assert errands.left == []
