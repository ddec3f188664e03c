"""The production form on one machine: SAM, two applications, worker and clerk, each a process.

As docs/deployment.md has it, but all under one user. The database and the token that they stand on
are the caller's.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import requests

from backend.model import schema
from backend.settings import Settings, read_settings
from backend.wiring import make_engine
from tests.world.ports import free_port
from tests.world.softhsm import Token

BIN: Final = Path(sys.executable).parent
SECONDS: Final = 120
LOOK_SECONDS: Final = 10


class Servers(NamedTuple):
    """How many processes and threads each application has."""

    processes: int
    threads: int


class Process(NamedTuple):
    """A part of the service."""

    name: str
    process: subprocess.Popen[bytes]


def new_environment(folder: Path, *, database: str, token: Token) -> dict[str, str]:
    """What every part has in its environment."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "CELLKEY_DATA_DIR": str(folder / "data"),
        "CELLKEY_DATABASE_URL": database,
        "CELLKEY_AUTHORIZATION_SERVER_URL": f"http://127.0.0.1:{free_port()}",
        "CELLKEY_MOBILE_API_URL": f"http://127.0.0.1:{free_port()}",
        "CELLKEY_SAM_SOCKET": str(folder / "sam.sock"),
        **token.environment,
    }


@contextmanager
def running_parts(
    folder: Path, environment: Mapping[str, str], *, servers: Servers, server: str
) -> Iterator[list[Process]]:
    """Make keys and tables, start each part, and stop it in the end; logs lie in the folder.

    Args:
        folder: an empty one.
        environment: as :func:`new_environment` makes it.
        servers: how large the two applications are.
        server: what serves them, of ``WEB_SERVERS``.
    """
    settings = read_settings(environment)
    engine = make_engine(settings.database)
    schema.upgrade(engine)
    engine.dispose()
    for words in (("hsm", "init", "--if-missing"), ("worker", "keys")):
        command(environment, *words)
    with ExitStack() as stack:
        processes = [
            stack.enter_context(_running(name, words, environment, folder))
            for name, words in _parts(settings, servers, server).items()
        ]
        wait_for(lambda: _is_ready(settings.authorization_server_url))
        wait_for(lambda: _is_ready(settings.mobile_api_url))
        yield processes
        for each in processes:
            each.process.terminate()


def command(environment: Mapping[str, str], *words: str) -> None:
    """Run a command of ours, which must succeed."""
    subprocess.run([BIN / "cellkey", *words], env=environment, check=True, capture_output=True)


def wait_for(condition: Callable[[], object]) -> None:
    """Wait for what must come.

    Raises:
        TimeoutError: it did not.
    """
    end = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("what must come did not; the logs of the parts say why")
        time.sleep(0.05)


def _parts(settings: Settings, servers: Servers, server: str) -> dict[str, list[str]]:
    """The SAM first: the others ask it whether it is there."""
    applications = {
        "backend": ("backend.wsgi", settings.authorization_server_url),
        "mobile_api": ("mobile_api.wsgi", settings.mobile_api_url),
    }
    return {
        "sam": [str(BIN / "cellkey"), "sam"],
        **{
            name: WEB_SERVERS[server](module, address, servers)
            for name, (module, address) in applications.items()
        },
        "worker": [str(BIN / "cellkey"), "worker"],
        "clerk": [str(BIN / "cellkey"), "clerk"],
    }


def _gunicorn(module: str, address: str, servers: Servers) -> list[str]:
    return [
        str(BIN / "gunicorn"),
        f"--config=python:{module}",
        "--worker-class=gthread",
        f"--workers={servers.processes}",
        f"--threads={servers.threads}",
        "--keep-alive=60",
        f"--bind={address.removeprefix('http://')}",
        f"{module}:create_app_from_environment()",
    ]


def _granian(module: str, address: str, servers: Servers) -> list[str]:
    host, _, port = address.removeprefix("http://").partition(":")
    return [
        str(BIN / "granian"),
        "--interface=wsgi",
        f"--workers={servers.processes}",
        f"--blocking-threads={servers.threads}",
        "--log-level=warning",
        "--no-ws",
        f"--host={host}",
        f"--port={port}",
        "--factory",
        f"{module}:create_app_from_environment",
    ]


WEB_SERVERS: Final = {"gunicorn": _gunicorn, "granian": _granian}


@contextmanager
def _running(
    name: str, words: list[str], environment: Mapping[str, str], folder: Path
) -> Iterator[Process]:
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(words, env=environment, stdout=log, stderr=log, cwd=Path.cwd())
    try:
        if name == "sam":
            wait_for((folder / "sam.sock").exists)
        yield Process(name=name, process=process)
    finally:
        process.terminate()
        process.wait()


def _is_ready(address: str) -> bool:
    try:
        return requests.get(f"{address}/readyz", timeout=LOOK_SECONDS).ok
    except (requests.ConnectionError, requests.Timeout):
        return False
