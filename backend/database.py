"""The engine of every process, and its sessions.

* On SQLite a transaction takes the write lock when it begins, so one that reads first and writes
  then cannot fail half-way. Keep transactions short, and hold none while waiting for anything.
* What is committed is on the disk, and what is erased is overwritten.

No web framework is loaded here: worker, clerk and SAM have none, and start the sooner.
"""

import sqlite3
from functools import partial
from time import monotonic, sleep
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

from backend.model.engines import EACH_STATEMENT, with_transactions

_SQLITE_PRAGMAS: tuple[str, ...] = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA synchronous = FULL",
    # An erased `sealed` must not stay readable in a free page (design, invariant 6).
    "PRAGMA secure_delete = ON",
)

_SQLITE_BUSY_SECONDS = 30
_SQLITE_LOOK_SECONDS = 0.01

_CONNECT_SECONDS = 5
_POOL_SECONDS = 10
_REST_SECONDS = 1.0
_RESTS_SINCE = "rests since"

_POSTGRES_OPTIONS = "-c timezone=UTC -c lock_timeout=10s -c idle_in_transaction_session_timeout=60s"


def make_engine(url: str) -> Engine:
    """Make the engine of a process that is no web application."""
    engine = with_transactions(create_engine(url, **engine_options(url)))
    prepare_engine(engine)
    return engine


def make_session_factory(engine: Engine) -> sessionmaker[Session]:
    """Make sessions whose rows stay readable after the commit."""
    return sessionmaker(engine, expire_on_commit=False)


def engine_options(url: str) -> dict[str, Any]:
    """Choose the engine's options; parameters of statements never reach an error's text."""
    if make_url(url).get_backend_name() == "sqlite":
        return {"hide_parameters": True, "connect_args": {"timeout": _SQLITE_BUSY_SECONDS}}
    return {
        "hide_parameters": True,
        "pool_size": 10,
        "max_overflow": 10,
        "pool_timeout": _POOL_SECONDS,
        **EACH_STATEMENT,
        "connect_args": {"connect_timeout": _CONNECT_SECONDS, "options": _POSTGRES_OPTIONS},
    }


def prepare_engine(engine: Engine) -> None:
    """Have each of its connections begin, and rest, as our rules want it."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_immediate)
    else:
        event.listen(engine, "connect", partial(_send_lists_as_they_are, engine))
        event.listen(engine, "checkin", _remember_rest)
        event.listen(engine, "checkout", partial(_wake, engine))


def _send_lists_as_they_are(engine: Engine, connection: Any, _record: object) -> None:  # noqa: ANN401  # psycopg's, which is not there without PostgreSQL
    """Send lists in PostgreSQL's binary form: as text each quote of 10 000 items is sought."""
    psycopg: Any = engine.dialect.loaded_dbapi
    connection.adapters.register_dumper(list, psycopg.types.array.ListBinaryDumper)


def _remember_rest(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info[_RESTS_SINCE] = monotonic()


def _wake(
    engine: Engine, connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object
) -> None:
    """Ask a connection that rested whether it is still there; under load none does.

    Raises:
        DisconnectionError: it is not; the pool takes another.
    """
    since = record.info.get(_RESTS_SINCE)
    if since is None or monotonic() - since < _REST_SECONDS:
        return
    try:
        alive = engine.dialect.do_ping(connection)
    except engine.dialect.loaded_dbapi.Error as error:
        raise DisconnectionError from error
    if not alive:
        raise DisconnectionError


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    """Take over transactions from the driver, which would begin them only at the first write."""
    connection.isolation_level = None
    for pragma in _SQLITE_PRAGMAS:
        connection.execute(pragma)
    until = monotonic() + _SQLITE_BUSY_SECONDS
    while not _writes_ahead(connection, until=until):
        sleep(_SQLITE_LOOK_SECONDS)


def _writes_ahead(connection: sqlite3.Connection, *, until: float) -> bool:
    """Keep the log in a file beside, for good; whoever opens a new database first turns it on.

    SQLite does not wait here for somebody who writes, which another that opens it may do.

    Raises:
        sqlite3.OperationalError: it is locked until then, or cannot be read or written.
    """
    try:
        if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or monotonic() >= until:
            raise
        return False
    return True


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
