"""Two installations that are made to be killed.

*Production*: PostgreSQL that keeps what it acknowledged, SoftHSM behind ``cellkey sam``, both
applications under gunicorn as docs/deployment.md has it, worker and clerk. *Embedded*: ``cellkey
serve``, which is all of it in one process on SQLite. The phones are virtual, so neither says that
it is production.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import urllib3

from backend.errors import CellkeyError
from backend.sam.client import SamClient
from tests.soak.parts import Part, Supervisor, Works
from tests.world.ports import free_port
from tests.world.postgres import Cluster, Postgres, find_programs
from tests.world.softhsm import SO_PIN, SoftHsm, Token

TRANSACTION_SECONDS = 8
USE_SECONDS = 12
"""Longer than a lease (``signing/reservation.py``): who takes over from the dead still collects."""
_MEMORY = Path("/dev/shm")  # noqa: S108  # only what nobody kills lies there: tokens and phones

_http = urllib3.PoolManager(retries=False)


@dataclass(frozen=True, kw_only=True)
class Installation:
    """A running service."""

    folder: Path
    environment: Mapping[str, str]
    supervisor: Supervisor
    database: str
    """Its URL for SQLAlchemy."""

    @property
    def authorization_server(self) -> str:
        """Address of the application for relying parties."""
        return self.environment["CELLKEY_AUTHORIZATION_SERVER_URL"]

    def cellkey(self, *arguments: str) -> Any:  # noqa: ANN401  # the command's JSON
        """A command's answer."""
        return _cellkey(self.environment, *arguments, "--json")

    def log(self, part: str) -> str:
        """What a part has written so far."""
        return (self.folder / f"{part}.log").read_text("utf-8")


@contextmanager
def production() -> Iterator[Installation]:
    """Every part a process of its own."""
    programs = find_programs()
    assert programs is not None, "PostgreSQL is not installed"
    with _folder() as folder, tempfile.TemporaryDirectory(prefix="cellkey-soak-pg-") as database:
        cluster = Cluster(programs, Path(database))
        sam = SamClient(folder / "sam.sock")
        server = Postgres(cluster.folder, pid=0)  # another at each start
        environment = _environment(
            folder,
            CELLKEY_SAM_SOCKET=str(folder / "sam.sock"),
            CELLKEY_DATABASE_URL=server.url("postgres"),
            **_token(folder).environment,
        )
        parts = [
            Part(
                name="postgresql",
                start=lambda: cluster.start({}),
                works=lambda since: _has_worked(server, None, since),
                needed_by=("backend", "mobile_api", "worker", "clerk"),
            ),
            *_processes(folder, environment, server, sam),
        ]
        with closing(sam):
            yield from _running(folder, environment, parts, database=server.url("postgres"))


@contextmanager
def embedded() -> Iterator[Installation]:
    """One process, SQLite, software cells."""
    with _folder() as folder:
        environment = _environment(folder)
        addresses = _addresses(environment)
        serve = Part(
            name="serve",
            start=lambda: _start(folder, environment, "serve", _program("cellkey"), "serve"),
            works=lambda _since: all(_is_ready(address) for address in addresses),
        )
        url = f"sqlite:///{folder / 'data' / 'cellkey.sqlite3'}"
        yield from _running(folder, environment, [serve], database=url)


@contextmanager
def gunicorn_alone() -> Iterator[str]:
    """The application for relying parties under gunicorn, for its HTTP; gives the address."""
    with _folder() as folder:
        environment = _environment(folder)
        address, _ = _addresses(environment)
        for arguments in (("hsm", "init"), ("worker", "keys"), ("db", "upgrade")):
            _cellkey(environment, *arguments)
        command = _gunicorn("backend.wsgi", address, threads=16)
        backend = Part(
            name="backend",
            start=lambda: _start(folder, environment, "backend", *command),
            works=lambda _since: _is_ready(address),
        )
        supervisor = Supervisor([backend])
        try:
            supervisor.up()
            yield address
        finally:
            supervisor.down()


def _processes(
    folder: Path, environment: dict[str, str], server: Postgres, sam: SamClient
) -> list[Part]:
    """What docs/deployment.md lists, in the order in which it starts."""
    here, for_phones = _addresses(environment)

    def process(name: str, works: Works, *command: str, needed_by: tuple[str, ...] = ()) -> Part:
        own = environment | {"CELLKEY_DATABASE_URL": _signed(server, name)}
        return Part(
            name=name,
            start=lambda: _start(folder, own, name, *command),
            works=works,
            needed_by=needed_by,
        )

    def answers(address: str) -> Works:
        return lambda _since: _is_ready(address)

    def writes(name: str) -> Works:
        return lambda since: _has_worked(server, name, since)

    cellkey = _program("cellkey")
    return [
        process("sam", lambda _since: _is_well(sam), cellkey, "sam", needed_by=("backend",)),
        process("backend", answers(here), *_gunicorn("backend.wsgi", here, threads=16)),
        process("mobile_api", answers(for_phones), *_gunicorn("mobile_api.wsgi", for_phones, 40)),
        process("worker", writes("worker"), cellkey, "worker"),
        process("clerk", writes("clerk"), cellkey, "clerk"),
    ]


def _gunicorn(application: str, address: str, threads: int) -> list[str]:
    options = ("--worker-class", "gthread", "--workers", "2", "--threads", str(threads))
    bind = ("--bind", urlsplit(address).netloc, "--log-level", "warning")
    loaded_once = ("--config", f"python:{application}")
    called = f"{application}:create_app_from_environment()"
    return [_program("gunicorn"), *loaded_once, *options, *bind, called]


def _running(
    folder: Path, environment: dict[str, str], parts: list[Part], *, database: str
) -> Iterator[Installation]:
    supervisor = Supervisor(parts)
    try:
        _make_ready(folder, environment, parts)
        supervisor.up()
        yield Installation(
            folder=folder, environment=environment, supervisor=supervisor, database=database
        )
    except TimeoutError as error:
        for log in folder.glob("*.log"):
            error.add_note(f"{log.name}: {log.read_text('utf-8')[-2000:]}")
        raise
    finally:
        supervisor.down()


def _make_ready(folder: Path, environment: dict[str, str], parts: list[Part]) -> None:
    """Keys and tables; for tables the database must be up."""
    so_pin = folder / "so-pin"
    so_pin.write_text(SO_PIN)
    # The SAM's socket is not there yet: this command opens the token itself.
    with_token = {name: value for name, value in environment.items() if "SAM_SOCKET" not in name}
    _cellkey(with_token, "hsm", "init", "--so-pin-file", str(so_pin))
    _cellkey(environment, "worker", "keys")
    if parts[0].name == "postgresql":
        Supervisor(parts[:1]).up()
    _cellkey(environment, "db", "upgrade")
    parts[0].kill()


@contextmanager
def _folder() -> Iterator[Path]:
    at = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="cellkey-soak-", dir=at) as name:
        yield Path(name)


def _token(folder: Path) -> Token:
    store = SoftHsm(folder)
    return Token(label="cellkey", pin_file=store.pin_file, folder=store.tokens, conf=store.conf)


def _environment(folder: Path, **changed: str) -> dict[str, str]:
    """Settings, and what programs need; what is killed measures no coverage, but may cache code."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if "COVERAGE" not in name and name != "PYTHONDONTWRITEBYTECODE"
    }
    return {
        **ours,
        "PYTHONWARNINGS": "ignore",  # software cells shout, and these logs are read
        "CELLKEY_DATA_DIR": str(folder / "data"),
        "CELLKEY_AUTHORIZATION_SERVER_URL": f"http://127.0.0.1:{free_port()}",
        "CELLKEY_MOBILE_API_URL": f"http://127.0.0.1:{free_port()}",
        "CELLKEY_APP_URL": f"http://localhost:{free_port()}",
        "CELLKEY_TRANSACTION_SECONDS": str(TRANSACTION_SECONDS),
        "CELLKEY_USE_SECONDS": str(USE_SECONDS),
        **changed,
    }


def _addresses(environment: Mapping[str, str]) -> tuple[str, str]:
    return (
        environment["CELLKEY_AUTHORIZATION_SERVER_URL"],
        environment["CELLKEY_MOBILE_API_URL"],
    )


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _start(
    folder: Path, environment: Mapping[str, str], name: str, *command: str
) -> subprocess.Popen[bytes]:
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def _cellkey(environment: Mapping[str, str], *arguments: str) -> Any:  # noqa: ANN401  # the command's JSON
    done = subprocess.run(
        [_program("cellkey"), *arguments], env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout) if "--json" in arguments else None


# --- whether a part works -------------------------------------------------------


def _is_ready(address: str) -> bool:
    try:
        return _http.request("GET", f"{address}/readyz", timeout=2).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def _is_well(sam: SamClient) -> bool:
    try:
        sam.health()
    except CellkeyError:
        return False
    return True


def _has_worked(server: Postgres, name: str | None, since: float) -> bool:
    """Whether a part, or without a name anybody, has asked the database something since then."""
    look = (
        "SELECT 1 FROM pg_stat_activity"
        " WHERE application_name = coalesce(%s, application_name)"
        " AND query_start > to_timestamp(%s)"
    )
    try:
        with server.connect() as connection:
            return connection.execute(look, (name, since)).fetchone() is not None
    except psycopg.OperationalError:
        return False


def _signed(server: Postgres, name: str) -> str:
    """The database's URL of a part whose statements bear its name."""
    return f"{server.url('postgres')}&application_name={name}"
