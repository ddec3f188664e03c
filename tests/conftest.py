"""What all tests share: databases on both engines, a clock, no SMS, and that CI skips nothing."""

import os
import shutil
from collections.abc import Generator, Iterator
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import pytest
from argon2.low_level import hash_secret_raw
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from backend import database
from backend.garbage import keep_what_is_loaded
from backend.model import schema
from backend.wiring import make_engine, make_session_factory
from tests.world.clock import SettableClock
from tests.world.compiled_once import compile_routes_once, compile_statements_once
from tests.world.newest import newest_sqlite
from tests.world.no_texts import without_texts
from tests.world.postgres import FORGETFUL, Postgres, find_programs, running_postgres
from tests.world.watched import Watch

# No test asserts a wall-clock time, Hypothesis neither. Its examples are the same in each run, so
# that a run says whether what was changed is right; `--hypothesis-profile explore` tries others.
settings.register_profile(
    "explore", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile(
    "cellkey", settings.get_profile("explore"), derandomize=True, database=None
)
settings.load_profile("cellkey")

# A hundred threads at the database of a busy machine are no outage.
database._CONNECT_SECONDS = database._POOL_SECONDS = database._SQLITE_BUSY_SECONDS = 120
# Nor is it a push service, or an SMS gateway, that hangs.
pytest.MonkeyPatch().setattr("backend.delivery.guarded_session.SECONDS", 120.0)
pytest.MonkeyPatch().setattr("backend.delivery.dispatch.SMS_SECONDS", 120.0)
# Processes are killed here, and no machines: nobody waits for the disk. Each commit of SQLite, and
# each software cell, is many times as fast. What the product says is tried in test_wiring.py.
database._SQLITE_PRAGMAS = (*database._SQLITE_PRAGMAS, "PRAGMA synchronous = OFF")
os.fsync = lambda fd: None

compile_routes_once(pytest.MonkeyPatch())
compile_statements_once(pytest.MonkeyPatch())

ENGINES = ("sqlite", "postgresql")
WATCH = pytest.StashKey[Watch]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which tests coverage watches; all, unless it is said."""
    parser.addoption("--watched", action="append", metavar="PATH", help="let coverage watch these")


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Look away before tests are collected."""
    if names := session.config.getoption("watched"):
        watch = session.config.stash[WATCH] = Watch(names)
        watch.load_rooms()
        watch.look_away()


def pytest_collection_finish(session: pytest.Session) -> None:
    """The collector need not look at ten thousand tests and all modules again and again."""
    keep_what_is_loaded()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test is a failure: it proved nothing."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter and reporter.stats.get("skipped"):
        reporter.write_line("CI: a skipped test is a failure", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """SMS is switched off, for a test and its fixtures, unless it has the mark ``sms``."""
    if watch := item.config.stash.get(WATCH, None):
        watch.look_at(item)
    with nullcontext() if item.get_closest_marker("sms") else without_texts():
        return (yield)


@pytest.fixture(scope="session", autouse=True)
def _argon2_of_the_same_once() -> Iterator[None]:
    """Argon2 of one password and salt is computed once a process: it was half of all work."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("backend.signers.password.hash_secret_raw", cache(hash_secret_raw))
        yield


@pytest.fixture
def clock() -> SettableClock:
    """A clock that the test sets."""
    return SettableClock()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The run's PostgreSQL server."""
    programs = find_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    # Nobody but the tests connects to a database, which may be one that is copied or dropped.
    with running_postgres(programs, options={**FORGETFUL, "autovacuum": "off"}) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(postgres: Postgres) -> str:
    """Name of a database at the newest version, to be copied."""
    name = postgres.create_database()
    _upgrade(postgres.url(name))
    return name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file at the newest version, to be copied."""
    path = tmp_path_factory.mktemp("template") / "cellkey.sqlite3"
    path.write_bytes(newest_sqlite())
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """Address of a database file at the newest version."""
    path = tmp_path / "cellkey.sqlite3"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgresql_url(postgres: Postgres, postgres_template: str) -> Iterator[str]:
    """Address of a PostgreSQL database at the newest version."""
    yield from _copy_of(postgres_template, postgres)


@pytest.fixture(params=ENGINES)
def database_url(request: pytest.FixtureRequest) -> str:
    """Address of a database at the newest version; each test runs on both engines."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=ENGINES)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of a database without tables; each test runs on both engines."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.sqlite3'}"
    else:
        yield from _copy_of("template0", request.getfixturevalue("postgres"))


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """The engine as our processes make it."""
    made = make_engine(database_url)
    yield made
    made.dispose()


@pytest.fixture
def session_factory(engine: Engine) -> sessionmaker[Session]:
    """Sessions as our processes make them."""
    return make_session_factory(engine)


def _copy_of(template: str, server: Postgres) -> Iterator[str]:
    name = server.create_database(like=template)
    yield server.url(name)
    server.drop_database(name)


def _upgrade(url: str) -> None:
    made = make_engine(url)
    schema.upgrade(made)
    made.dispose()
