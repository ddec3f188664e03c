"""Stages of pairing, made once; each test gets its own database on each engine."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy.orm import Session, sessionmaker

from backend.hsm.protocol import Hsm
from backend.wiring import make_engine, make_session_factory
from tests.world.clock import SettableClock
from tests.world.counter import APPLICANT, Counter, Stage, put, settings_for, take
from tests.world.first_approval import ask, issue, say_yes
from tests.world.sam import open_sam_world, software_hsm


@pytest.fixture(scope="session")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> Hsm:
    return software_hsm(tmp_path_factory.mktemp("vault"))


@pytest.fixture(scope="session")
def stages(
    hsm: Hsm, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Stage]]:
    """Printed, begun, enrolled, paired; made step by step on one database."""
    path = tmp_path_factory.mktemp("stages") / "cellkey.sqlite3"
    shutil.copyfile(sqlite_template, path)
    engine = make_engine(f"sqlite:///{path}")
    counter = new_counter(make_session_factory(engine), hsm, SettableClock(), path.parent)
    counter.register()
    made = {"printed": take(counter)}
    counter.sign_in()
    made["begun"] = take(counter)
    counter.present(*counter.enrolment())
    made["enrolled"] = take(counter)
    counter.confirm(counter.send_code())
    made["paired"] = take(counter)
    yield made
    engine.dispose()


@pytest.fixture
def counter(
    session_factory: sessionmaker[Session], hsm: Hsm, clock: SettableClock, tmp_path: Path
) -> Counter:
    """A counter where nobody came yet."""
    return new_counter(session_factory, hsm, clock, tmp_path)


@pytest.fixture
def printed(counter: Counter, stages: dict[str, Stage]) -> Counter:
    """The envelope is printed."""
    return put(counter, stages["printed"])


@pytest.fixture
def begun(counter: Counter, stages: dict[str, Stage]) -> Counter:
    """The signer signed in, chose a password and has a ticket."""
    return put(counter, stages["begun"])


@pytest.fixture
def enrolled(counter: Counter, stages: dict[str, Stage]) -> Counter:
    """A phone presented itself; nobody confirmed it."""
    return put(counter, stages["enrolled"])


@pytest.fixture
def paired(counter: Counter, stages: dict[str, Stage]) -> Counter:
    """The phone is paired; there is no certificate yet."""
    return put(counter, stages["paired"])


@pytest.fixture
def approved(paired: Counter) -> tuple[Counter, UUID]:
    """The signer said yes to the name in the certificate."""
    root = x509.load_der_x509_certificate(paired.world.root)
    paired.settings.root_certificate_path.write_bytes(root.public_bytes(Encoding.PEM))
    transaction = ask(paired)
    say_yes(paired, transaction)
    return paired, transaction


@pytest.fixture
def certified(approved: tuple[Counter, UUID]) -> Counter:
    """The certificate is issued."""
    counter, transaction = approved
    issue(counter, transaction)
    return counter


@pytest.fixture
def waiting(counter: Counter) -> tuple[Counter, str]:
    """A signer without a number, whose phone waits for an operator; and its 12 characters."""
    counter.register(msgspec.structs.replace(APPLICANT, number=None))
    counter.sign_in()
    return counter, counter.present(*counter.enrolment()).twelve


def new_counter(
    session_factory: sessionmaker[Session], hsm: Hsm, clock: SettableClock, folder: Path
) -> Counter:
    world = open_sam_world(hsm, clock)
    return Counter(
        session_factory=session_factory,
        world=world,
        settings=settings_for(folder),
        clock=clock,
        public_keys=world.public_keys,
    )
