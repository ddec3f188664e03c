"""What every process shares: engine, sessions, clock, logs, health. Never the SAM, never an HSM.

Rules:

* On SQLite a transaction takes the write lock when it begins, so one that reads first and writes
  then cannot fail half-way. Keep transactions short, and hold none while waiting for anything.
* What is committed is on the disk, and what is erased is overwritten.
* A log line is one JSON object. Of ``extra`` only ``FIELDS`` reach it. Of an exception only what
  kind it was and where: its text may hold anything, unless it is an error of ours.
* ``/healthz`` says that the process lives, ``/readyz`` whether it can work. Why not: in the log.
"""

import logging
import sqlite3
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import partial
from time import monotonic, sleep
from traceback import extract_tb
from types import MappingProxyType
from typing import Any, TextIO
from uuid import uuid4

import msgspec
from flask import Blueprint, Flask, Response, g, jsonify, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry
from werkzeug.middleware.proxy_fix import ProxyFix

from backend.errors import CellkeyError, HsmNotReady, MalformedMessage
from backend.model.engines import EACH_STATEMENT, with_transactions
from backend.model.version import check_version
from backend.protocol.public_keys import PublicKeys, read_public_keys
from backend.settings import Settings

log = logging.getLogger(__name__)

# --- clock --------------------------------------------------------------------

Clock = Callable[[], datetime]
"""Tells the time: an aware UTC instant."""


def utc_now() -> datetime:
    """Tell the machine's time."""
    return datetime.now(UTC)


# --- database -----------------------------------------------------------------

_SQLITE_PRAGMAS = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA synchronous = FULL",
    # An erased `sealed` must not stay readable in a free page (design, invariant 6).
    "PRAGMA secure_delete = ON",
)

_SQLITE_BUSY_SECONDS = 30
_SQLITE_LOOK_SECONDS = 0.01

_REST_SECONDS = 1.0
_RESTS_SINCE = "rests since"

_POSTGRES_OPTIONS = "-c timezone=UTC -c lock_timeout=10s -c idle_in_transaction_session_timeout=60s"


class _SQLAlchemy(SQLAlchemy):
    def _make_engine(self, *given: Any, **named: Any) -> Engine:  # noqa: ANN401  # Flask-SQLAlchemy's
        return with_transactions(super()._make_engine(*given, **named))


db = _SQLAlchemy(session_options={"expire_on_commit": False})
"""The session of a web request, for the two Flask applications; its ``Model`` is not used."""


def make_engine(url: str) -> Engine:
    """Make the engine of a process that is no web application."""
    engine = with_transactions(create_engine(url, **_engine_options(url)))
    _prepare(engine)
    return engine


def make_session_factory(engine: Engine) -> sessionmaker[Session]:
    """Make sessions whose rows stay readable after the commit."""
    return sessionmaker(engine, expire_on_commit=False)


def connect_database(app: Flask, url: str) -> None:
    """Give a Flask application ``db.session`` on this database."""
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = _engine_options(url)
    db.init_app(app)
    with app.app_context():
        _prepare(db.engine)


def _engine_options(url: str) -> dict[str, Any]:
    """Choose the engine's options; parameters of statements never reach an error's text."""
    if make_url(url).get_backend_name() == "sqlite":
        return {"hide_parameters": True, "connect_args": {"timeout": _SQLITE_BUSY_SECONDS}}
    return {
        "hide_parameters": True,
        "pool_size": 10,
        "max_overflow": 10,
        "pool_timeout": 10,
        **EACH_STATEMENT,
        "connect_args": {"connect_timeout": 5, "options": _POSTGRES_OPTIONS},
    }


def _prepare(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_immediate)
    else:
        event.listen(engine, "checkin", _remember_rest)
        event.listen(engine, "checkout", partial(_wake, engine))


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


# --- keys ---------------------------------------------------------------------


def read_public_keys_file(settings: Settings) -> PublicKeys:
    """Read which KS and KA to believe; from a file, which no row can replace.

    Raises:
        HsmNotReady: ``cellkey hsm init`` did not write it.
    """
    path = settings.public_keys_path
    try:
        return read_public_keys(path.read_bytes())
    except (OSError, MalformedMessage) as error:
        raise HsmNotReady(f"no public keys at {path}: run `cellkey hsm init`") from error


# --- logs ---------------------------------------------------------------------

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Id of the web request that is being answered; stands in each of its log lines."""

FIELDS = frozenset(
    {
        "attempts",
        "cell_id",
        "channel",
        "client_id",
        "duration_ms",
        "event_name",
        "method",
        "operator",
        "pairing_id",
        "reason",
        "route",
        "rule",
        "signer_id",
        "state",
        "status",
        "transaction_id",
        "uid",
    }
)
"""What ``extra`` may carry into a log line. Ids and states; no names, numbers, keys or codes."""


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record; a line break in any value is escaped."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id.get(),
        }
        line |= {name: value for name, value in vars(record).items() if name in FIELDS}
        if record.exc_info and record.exc_info[1]:
            line["error"] = _describe(record.exc_info[1])
        return msgspec.json.encode(line, enc_hook=str).decode()


class PlainLines(logging.Formatter):
    """The same for a person at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record on one line."""
        error = record.exc_info[1] if record.exc_info else None
        parts = [record.levelname.lower(), record.name, record.getMessage()]
        parts += [f"{name}={value}" for name, value in vars(record).items() if name in FIELDS]
        return " ".join(parts if error is None else [*parts, str(_describe(error))])


def configure_logging(stream: TextIO, *, json: bool = True) -> None:
    """Send the log of the whole process to ``stream``, and nothing of it elsewhere."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines() if json else PlainLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # It says twice at each look at the version that it looks.
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _describe(error: BaseException) -> dict[str, object]:
    """Say what kind of error it was and where, without values."""
    frames = [f"{frame.filename}:{frame.lineno}" for frame in extract_tb(error.__traceback__)]
    ours = {"text": str(error)} if isinstance(error, CellkeyError) else {}
    return {"kind": type(error).__qualname__, "where": frames[-8:], **ours}


# --- web ----------------------------------------------------------------------

Check = Callable[[], object]
"""Raises when something is not well."""


def watch_requests(app: Flask) -> None:
    """Give each request an id and a line in the log: the route, never the address's values."""
    app.before_request(_begin_request)
    app.after_request(_end_request)


def trust_proxies(app: Flask, settings: Settings) -> None:
    """Take the caller's address from so many proxies as stand before us, and nothing else.

    What further proxies, or the caller, wrote into ``X-Forwarded-For`` is not believed.
    """
    count = settings.proxies
    app.wsgi_app = ProxyFix(  # type: ignore[method-assign]  # Flask's documented way
        app.wsgi_app, x_for=count, x_proto=0, x_host=0, x_port=0, x_prefix=0
    )


def _begin_request() -> None:
    g.began = monotonic()
    request_id.set(uuid4().hex)


def _end_request(response: Response) -> Response:
    response.headers["X-Request-Id"] = request_id.get() or ""
    seen = {
        "method": request.method,
        "route": request.url_rule.rule if request.url_rule else None,
        "status": response.status_code,
        "duration_ms": round((monotonic() - g.began) * 1000),
    }
    log.info("request", extra=seen)
    return response


def health(checks: Mapping[str, Check]) -> Blueprint:
    """Make ``/healthz`` and ``/readyz``; the database and its version are always checked."""
    blueprint = Blueprint("health", __name__)
    every = MappingProxyType({"database": _check_database, **checks})

    @blueprint.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="alive")

    @blueprint.get("/readyz")
    def readyz() -> tuple[Response, int]:
        results = {name: _passes(name, check) for name, check in every.items()}
        return jsonify(ready=all(results.values()), checks=results), (
            200 if all(results.values()) else 503
        )

    return blueprint


def _check_database() -> None:
    try:
        check_version(db.session.connection())
    finally:
        db.session.rollback()  # the next check may wait for somebody


def _passes(name: str, check: Check) -> bool:
    try:
        check()
    except (CellkeyError, SQLAlchemyError, OSError):
        log.warning("not ready: %s", name, exc_info=True)
        return False
    return True
