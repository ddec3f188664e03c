"""Stages of pairing, made once; each test gets its own database on each engine."""

import shutil
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


Stages = dict[str, Stage]


@pytest.fixture(scope="session")
def stages_without_sms(
    hsm: Hsm, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Stages:
    """Printed, begun, enrolled, paired; made step by step on one database."""
    return _stages(hsm, sqlite_template, tmp_path_factory.mktemp("stages"), sms=False)


@pytest.fixture(scope="session")
def stages_with_sms(
    hsm: Hsm, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Stages:
    """The same where texts can be sent: a code confirms the phone."""
    return _stages(hsm, sqlite_template, tmp_path_factory.mktemp("stages"), sms=True)


def _stages(hsm: Hsm, template: Path, folder: Path, *, sms: bool) -> Stages:
    path = folder / "cellkey.sqlite3"
    shutil.copyfile(template, path)
    engine = make_engine(f"sqlite:///{path}")
    counter = new_counter(make_session_factory(engine), hsm, SettableClock(), folder, sms=sms)
    counter.register()
    made = {"printed": take(counter)}
    counter.sign_in()
    made["begun"] = take(counter)
    counter.present(*counter.enrolment())
    made["enrolled"] = take(counter)
    counter.confirm(counter.send_code()) if sms else counter.confirm_by_operator()
    made["paired"] = take(counter)
    engine.dispose()
    return made


@pytest.fixture
def sms(request: pytest.FixtureRequest) -> bool:
    """Whether texts can be sent: by the mark ``sms``."""
    return request.node.get_closest_marker("sms") is not None


@pytest.fixture
def stages(request: pytest.FixtureRequest, *, sms: bool) -> Stages:
    made: Stages = request.getfixturevalue("stages_with_sms" if sms else "stages_without_sms")
    return made


@pytest.fixture
def counter(
    session_factory: sessionmaker[Session],
    hsm: Hsm,
    clock: SettableClock,
    tmp_path: Path,
    *,
    sms: bool,
) -> Counter:
    """A counter where nobody came yet."""
    return new_counter(session_factory, hsm, clock, tmp_path, sms=sms)


@pytest.fixture
def printed(counter: Counter, stages: Stages) -> Counter:
    """The envelope is printed."""
    return put(counter, stages["printed"])


@pytest.fixture
def begun(counter: Counter, stages: Stages) -> Counter:
    """The signer signed in, chose a password and has a ticket."""
    return put(counter, stages["begun"])


@pytest.fixture
def enrolled(counter: Counter, stages: Stages) -> Counter:
    """A phone presented itself; nobody confirmed it."""
    return put(counter, stages["enrolled"])


@pytest.fixture
def paired(counter: Counter, stages: Stages) -> Counter:
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
    session_factory: sessionmaker[Session],
    hsm: Hsm,
    clock: SettableClock,
    folder: Path,
    *,
    sms: bool = False,
) -> Counter:
    world = open_sam_world(hsm, clock)
    return Counter(
        session_factory=session_factory,
        world=world,
        settings=settings_for(folder, sms=sms),
        clock=clock,
        public_keys=world.public_keys,
    )
