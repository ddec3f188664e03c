"""A signing world on each of the two databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.wiring import make_engine, make_session_factory
from tests.world.clock import SettableClock
from tests.world.sam import SamWorld, open_sam_world, software_hsm
from tests.world.signing_world import SigningWorld, open_signing_world


@pytest.fixture
def sam_world(tmp_path: Path, clock: SettableClock) -> SamWorld:
    return open_sam_world(software_hsm(tmp_path / "vault"), clock)


@pytest.fixture
def world(
    sam_world: SamWorld, session_factory: sessionmaker[Session], clock: SettableClock
) -> SigningWorld:
    return open_signing_world(sam_world, session_factory, clock)


@pytest.fixture
def world_on_sqlite(
    sam_world: SamWorld, sqlite_url: str, clock: SettableClock
) -> Iterator[SigningWorld]:
    """Where the database is not what is tried."""
    engine = make_engine(sqlite_url)
    yield open_signing_world(sam_world, make_session_factory(engine), clock)
    engine.dispose()


@pytest.fixture
def uncertified(
    sam_world: SamWorld, session_factory: sessionmaker[Session], clock: SettableClock
) -> SigningWorld:
    """A signer whose phone is paired, before the certificate."""
    return open_signing_world(sam_world, session_factory, clock, certified=False)
