"""A PostgreSQL server of our own, from the system's programs, for the length of a test run.

It listens on a unix socket in a folder that only it and root can enter, and forgets durability to
be fast, unless it is told to be as durable as in production. PostgreSQL refuses to run as root, so
root lends it the user ``nobody``; nothing outside its folder is touched.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic, sleep

import psycopg

NOBODY = 65534
START_SECONDS = 120

_OPTIONS = {"listen_addresses": "", "max_connections": "100", "shared_buffers": "32MB"}
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
DURABLE = {
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "shared_preload_libraries": "pg_stat_statements",
}
"""As in production; and it counts statements."""


def find_programs() -> Path | None:
    """Find the folder of the newest ``postgres`` and ``initdb``; ``None`` where there is none."""
    debian = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda found: int(found.parts[-3])
    )
    found = debian[-1] if debian else shutil.which("initdb")
    return Path(found).resolve().parent if found else None


class Postgres:
    """A running server. Each database that it gives is a new one."""

    def __init__(self, folder: Path, *, pid: int) -> None:
        self._folder = folder
        self.pid = pid
        self._numbers = count(1)

    def url(self, database: str) -> str:
        """Address of a database for SQLAlchemy."""
        return f"postgresql+psycopg://cellkey@/{database}?host={self._folder}"

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """Connect to the server's own database, each statement a transaction."""
        return psycopg.connect(
            host=str(self._folder), user="cellkey", dbname="postgres", autocommit=True
        )

    def create_database(self, *, like: str = "template0") -> str:
        """Make a database as a copy of another; gives its name."""
        name = f"test_{next(self._numbers)}"
        # To copy files is a third of the work of writing each page to the log.
        copy = f'CREATE DATABASE "{name}" TEMPLATE "{like}" STRATEGY FILE_COPY'
        with self.connect() as connection:
            connection.execute(copy.encode())
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is still connected to it."""
        with self.connect() as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


class Cluster:
    """A server's folder, made by ``initdb``, and how it is started there."""

    def __init__(self, programs: Path, folder: Path) -> None:
        """Make it in an empty folder."""
        self.folder = folder
        self._programs = programs
        self._user = NOBODY if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(folder, self._user, self._user)
        options = ["-U", "cellkey", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(
            [programs / "initdb", "-D", folder / "data", *options],
            check=True,
            capture_output=True,
            cwd=folder,
            user=self._user,
            group=self._user,
            extra_groups=None if self._user is None else [],
        )

    def start(self, options: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start the server; without ``FORGETFUL`` it loses nothing acknowledged, if killed."""
        chosen = [f"--{name}={value}" for name, value in {**_OPTIONS, **options}.items()]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [
                    self._programs / "postgres",
                    "-D",
                    self.folder / "data",
                    "-k",
                    self.folder,
                    *chosen,
                ],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                user=self._user,
                group=self._user,
                extra_groups=None if self._user is None else [],
            )


@contextmanager
def running_postgres(
    programs: Path, *, options: Mapping[str, str] = FORGETFUL
) -> Iterator[Postgres]:
    """Start a server, stop it in the end and leave nothing."""
    folder = Path(mkdtemp(prefix="cellkey-pg-"))
    try:
        with _running_server(Cluster(programs, folder), options) as server:
            yield server
    finally:
        shutil.rmtree(folder)


@contextmanager
def _running_server(cluster: Cluster, options: Mapping[str, str]) -> Iterator[Postgres]:
    process = cluster.start(options)
    try:
        server = Postgres(cluster.folder, pid=process.pid)
        _wait_until_it_answers(server, process)
        yield server
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait()


def _wait_until_it_answers(server: Postgres, process: subprocess.Popen[bytes]) -> None:
    deadline = monotonic() + START_SECONDS
    while True:
        try:
            server.connect().close()
        except psycopg.OperationalError:
            if process.poll() is not None or monotonic() > deadline:
                raise
            sleep(0.05)
        else:
            return
