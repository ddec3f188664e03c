"""Who waits for a row, in a thread of our own processes."""

from collections.abc import Iterator
from threading import Event, Thread
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.pool import QueuePool

from backend.model import changes
from backend.model.changes import Listener, look_often, watch_changes
from backend.model.telling import tell_once
from backend.wiring import make_engine
from tests.world.changing_rows import Connection, add_cells, ask, connected, stop_listening, telling

LONG_SECONDS = 120
"""Longer than any word takes."""


@pytest.fixture(autouse=True)
def nobody_looks_or_asks_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a word, or a connection that is lost, can be why somebody looks."""
    monkeypatch.setattr(changes, "LOOK_SECONDS", 3600)
    monkeypatch.setattr(changes, "PROBE_SECONDS", 3600)


@pytest.fixture
def rows(postgresql_url: str) -> Iterator[Connection]:
    with telling(postgresql_url), connected(postgresql_url) as connection:
        yield connection


@pytest.fixture
def pg_engine(postgresql_url: str) -> Iterator[Engine]:
    made = make_engine(postgresql_url)
    yield made
    made.dispose()


@pytest.fixture
def stop() -> Event:
    return Event()


@pytest.fixture
def listener(pg_engine: Engine, stop: Event) -> Iterator[Listener]:
    made = Listener(pg_engine, stop=stop, pauses_seconds=(0.05,))
    yield made
    stop.set()
    made.join()


def cell_of(rows: Connection) -> tuple[Any, UUID]:
    ((cell, wait_id),) = add_cells(rows, 1)
    return cell, UUID(wait_id)


def listens(listener: Listener, rows: Connection) -> None:
    """Wait until it hears: a first word came through."""
    cell, wait_id = cell_of(rows)
    with listener.watching(wait_id) as watch:
        looks = watch(LONG_SECONDS)
        assert next(looks)
        ask(rows, cell)
        assert any(looks)


def test_who_waits_looks_at_once_and_then_when_something_changed(
    listener: Listener, rows: Connection
) -> None:
    """The first look is for what changed before one was known."""
    listens(listener, rows)
    cell, wait_id = cell_of(rows)
    other, _ = cell_of(rows)
    with listener.watching(wait_id) as watch:
        looks = watch(2)
        first = next(looks)
        ask(rows, other)
        of_another = any(looks)
        looks = watch(LONG_SECONDS)
        next(looks)
        ask(rows, cell)
        of_its_own = any(looks)

    assert (first, of_another, of_its_own) == (True, False, True)
    assert not listener._waiting


def test_what_changes_between_the_look_and_the_wait_is_not_missed(
    listener: Listener, rows: Connection
) -> None:
    listens(listener, rows)
    cell, wait_id = cell_of(rows)
    with listener.watching(wait_id) as watch:
        ask(rows, cell)
        looks = watch(LONG_SECONDS)

        assert next(looks)
        assert any(looks)


def test_after_a_lost_connection_everybody_looks(listener: Listener, rows: Connection) -> None:
    listens(listener, rows)
    _, wait_id = cell_of(rows)
    with listener.watching(wait_id) as watch:
        looks = watch(LONG_SECONDS)
        next(looks)
        lost = stop_listening(rows)

        assert any(looks)
    assert lost == 1
    listens(listener, rows)


def test_who_waits_holds_no_connection_of_the_pool(
    listener: Listener, rows: Connection, pg_engine: Engine
) -> None:
    listens(listener, rows)
    with listener.watching(uuid4()) as watch:
        next(watch(60))
        pool = pg_engine.pool
        assert isinstance(pool, QueuePool)

        assert pool.checkedout() == 0


def test_a_thread_that_waits_ends_with_the_process_and_with_its_time(
    listener: Listener, rows: Connection, stop: Event
) -> None:
    listens(listener, rows)
    with listener.watching(uuid4()) as watch:
        assert list(watch(0.01))
        looks = watch(600)
        next(looks)
        ending = Thread(target=stop.set)
        ending.start()

        assert True not in list(looks)
        ending.join()


def test_what_was_told_is_told_once_and_what_was_not_told_stays(
    pg_engine: Engine, postgresql_url: str
) -> None:
    """Whoever tells, and however often he is killed before his commit."""
    with connected(postgresql_url) as rows, connected(postgresql_url) as heard:
        heard.execute("LISTEN cellkey_changed")
        cell, wait_id = cell_of(rows)
        ask(rows, cell)
        ask(rows, cell)
        before = rows.execute("SELECT count(*) FROM changes").fetchone()
        tell_once(pg_engine)
        tell_once(pg_engine)
        after = rows.execute("SELECT count(*) FROM changes").fetchone()
        rows.execute("NOTIFY cellkey_changed, 'the end'")
        told = [notice.payload for notice in heard.notifies(timeout=LONG_SECONDS, stop_after=2)]

    assert (before, after) == ((2,), (0,))
    assert told == [str(wait_id), "the end"]


def test_a_connection_that_told_commits_to_the_disk_again(pg_engine: Engine) -> None:
    """Invariant 5: who tells needs no disk, everybody else does."""
    with pg_engine.begin() as connection:
        connection.execute(text("SET synchronous_commit = on"))
    tell_once(pg_engine)
    with pg_engine.connect() as connection:
        assert connection.scalar(text("SHOW synchronous_commit")) == "on"


def test_who_tells_goes_on_after_the_database_was_away(postgresql_url: str) -> None:
    with telling(postgresql_url), connected(postgresql_url) as rows:
        cell, _ = cell_of(rows)
        rows.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        ask(rows, cell)
        while rows.execute("SELECT count(*) FROM changes").fetchone() != (0,):
            pass


def test_on_sqlite_one_looks_four_times_a_second_until_the_end(sqlite_url: str) -> None:
    engine, stop = make_engine(sqlite_url), Event()
    stop.set()
    paused: list[float] = []
    with look_often(paused.append)(uuid4()) as watch:
        assert list(watch(2)) == [True] * 8
    with watch_changes(engine, stop=stop)(uuid4()) as watch:
        assert not list(watch(25))
    engine.dispose()

    assert paused == [0.25] * 8
