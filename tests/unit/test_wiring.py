"""Engine, sessions and health of every process."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, timedelta
from pathlib import Path
from sqlite3 import connect
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Connection, insert, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError, StatementError
from sqlalchemy.orm import Session, sessionmaker

from backend import database
from backend.errors import SamUnavailable
from backend.model.tables import RequestProof, Signer
from backend.wiring import Check, connect_database, db, health, make_engine, utc_now, watch_requests
from tests.world.clock import START, SettableClock

ADDRESS = "sqlite:////nowhere/at/all/cellkey.sqlite3"


@pytest.fixture
def client(database_url: str) -> Iterator[FlaskClient]:
    app = _application(database_url)
    yield app.test_client()
    with app.app_context():
        db.engine.dispose()


def test_the_clock_tells_utc() -> None:
    assert utc_now().tzinfo is UTC


def test_the_tests_clock_goes_on_only_when_told(clock: SettableClock) -> None:
    assert clock() == clock() == START
    assert clock.advance(minutes=1) == clock() == START + timedelta(minutes=1)
    with pytest.raises(ValueError, match="time zone"):
        clock.set(START.replace(tzinfo=None))


# --- database -----------------------------------------------------------------


def test_sqlite_keeps_what_is_committed_and_overwrites_what_is_erased(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without the last, by which tests/conftest.py makes all others faster.
    monkeypatch.setattr(database, "_SQLITE_PRAGMAS", database._SQLITE_PRAGMAS[:-1])
    with _connection(sqlite_url) as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("foreign_keys", "synchronous", "secure_delete", "journal_mode")
        }

    assert pragmas == {
        "foreign_keys": 1,
        "synchronous": 2,
        "secure_delete": 1,
        "journal_mode": "wal",
    }


def test_who_opens_a_new_sqlite_while_another_writes_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite itself gives up at once here; two `cellkey db upgrade` at once met it."""
    path = tmp_path / "new.sqlite3"
    other = connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    looks = []

    def look(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 2:
            other.execute("ROLLBACK")

    monkeypatch.setattr(database, "sleep", look)
    engine = make_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    engine.dispose()
    other.close()
    assert len(looks) == 2


def test_who_opens_what_stays_locked_gives_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new.sqlite3"
    monkeypatch.setattr(database, "_SQLITE_BUSY_SECONDS", 0)
    with closing(connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        engine = make_engine(f"sqlite:///{path}")
        with pytest.raises(OperationalError, match="locked"):
            engine.connect()


def test_postgresql_speaks_utc_and_does_not_wait_for_ever(postgresql_url: str) -> None:
    with _connection(postgresql_url) as connection:
        settings = [
            connection.execute(text(f"SHOW {name}")).scalar_one()
            for name in ("timezone", "lock_timeout", "idle_in_transaction_session_timeout")
        ]

    assert settings == ["UTC", "10s", "1min"]


def test_two_that_read_and_then_write_do_not_lose_a_write(
    session_factory: sessionmaker[Session],
) -> None:
    """On SQLite a transaction that began by reading would fail here with SQLITE_BUSY."""
    with session_factory() as session:
        session.execute(insert(Signer).values(_signer("0")))
        session.commit()

    def add_one(_turn: int) -> None:
        with session_factory() as session:
            row = session.execute(select(Signer).with_for_update()).scalar_one()
            row.name = str(int(row.name) + 1)
            session.commit()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add_one, range(20)))

    with session_factory() as session:
        assert session.execute(select(Signer.name)).scalar_one() == "20"


def test_what_is_rolled_back_never_was(session_factory: sessionmaker[Session]) -> None:
    with session_factory() as session:
        session.execute(insert(Signer).values(_signer("Anna")))
        session.rollback()
        assert session.execute(select(Signer)).first() is None


def test_rows_stay_readable_after_the_commit(session_factory: sessionmaker[Session]) -> None:
    with session_factory() as session:
        session.execute(insert(Signer).values(_signer("Anna")))
        row = session.execute(select(Signer)).scalar_one()
        session.commit()

    assert row.name == "Anna"
    assert row.registered_at == START


def test_an_instant_without_a_zone_is_not_stored(session_factory: sessionmaker[Session]) -> None:
    naive = START.replace(tzinfo=None)
    with session_factory() as session, pytest.raises(StatementError, match="time zone"):
        session.execute(insert(RequestProof).values(jti=uuid4(), expires_at=naive))


def test_an_error_of_the_database_does_not_tell_the_statements_values(
    session_factory: sessionmaker[Session],
) -> None:
    values = _signer("Anna") | {"password_verifier": b"hunter2"}
    with session_factory() as session:
        session.execute(insert(Signer).values(values))
        with pytest.raises(IntegrityError) as caught:
            session.execute(insert(Signer).values(values))

    assert "hunter2" not in str(caught.value)


# --- web ----------------------------------------------------------------------


def test_a_request_has_a_session_on_the_database(client: FlaskClient) -> None:
    with client.application.app_context():
        db.session.execute(insert(Signer).values(_signer("Anna")))
        db.session.commit()
    with client.application.app_context():
        db.session.execute(update(Signer).values(name="Olga"))
    with client.application.app_context():
        assert db.session.execute(select(Signer.name)).scalar_one() == "Anna"


def test_a_live_process_says_so_even_without_its_database() -> None:
    answer = _application(ADDRESS).test_client().get("/healthz")

    assert (answer.status_code, answer.json) == (200, {"status": "alive"})


def test_a_process_is_ready_when_every_check_passes(client: FlaskClient) -> None:
    answer = client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json == {"ready": True, "checks": {"database": True, "sam": True}}


def test_a_process_without_its_database_is_not_ready_and_does_not_say_why() -> None:
    answer = _application(ADDRESS).test_client().get("/readyz")

    assert answer.status_code == 503
    assert answer.json == {"ready": False, "checks": {"database": False, "sam": True}}
    assert "nowhere" not in answer.text


def test_a_process_is_not_ready_on_a_database_of_another_version(empty_database_url: str) -> None:
    app = _application(empty_database_url)
    assert app.test_client().get("/readyz").status_code == 503
    with app.app_context():
        db.engine.dispose()


def test_a_process_is_not_ready_without_its_sam(sqlite_url: str) -> None:
    def no_answer() -> None:
        raise SamUnavailable("no answer on the socket")

    app = _application(sqlite_url, no_answer)
    answer = app.test_client().get("/readyz")

    assert answer.status_code == 503
    assert answer.json == {"ready": False, "checks": {"database": True, "sam": False}}
    with app.app_context():
        db.engine.dispose()


def test_who_waits_for_a_check_holds_no_lock_of_the_database(sqlite_url: str) -> None:
    def slow() -> None:
        with connect(sqlite_url.removeprefix("sqlite:///"), timeout=0) as other:
            other.execute("BEGIN IMMEDIATE")

    app = _application(sqlite_url, slow)

    assert app.test_client().get("/readyz").status_code == 200
    with app.app_context():
        db.engine.dispose()


def test_each_answer_names_its_own_request(client: FlaskClient) -> None:
    names = {client.get("/healthz").headers["X-Request-Id"] for _ in range(3)}

    assert len(names) == 3


@contextmanager
def _connection(url: str) -> Iterator[Connection]:
    engine = make_engine(url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def _application(url: str, sam: Check = lambda: None) -> Flask:
    app = Flask("cellkey")
    connect_database(app, url)
    watch_requests(app)
    app.register_blueprint(health({"sam": sam}))
    return app


def _signer(name: str) -> dict[str, object]:
    return {
        "id": uuid4(),
        "login": "anna",
        "name": name,
        "subject": b"",
        "lang": "en",
        "password_salt": b"",
        "password_change_due": False,
        "registered_by": "operator",
        "registered_at": START,
    }
