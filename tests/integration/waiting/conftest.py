"""`cellkey wait` on a database with cells to wait for; one of each for a file of tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world.changing_rows import Connection, connected, telling
from tests.world.postgres import Postgres
from tests.world.wait_process import WaitProcess, running_wait


@pytest.fixture(scope="module")
def shared_url(postgres: Postgres, postgres_template: str) -> Iterator[str]:
    name = postgres.create_database(like=postgres_template)
    with telling(postgres.url(name)):
        yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture(scope="module")
def shared_server(
    shared_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WaitProcess]:
    with running_wait(shared_url, tmp_path_factory.mktemp("wait")) as process:
        yield process


@pytest.fixture
def server(shared_server: WaitProcess) -> WaitProcess:
    """A process that may lose its connection, but not end."""
    while not shared_server.is_ready():
        pass
    return shared_server


@pytest.fixture
def own_server(shared_url: str, tmp_path: Path) -> Iterator[WaitProcess]:
    """One for this test alone."""
    with running_wait(shared_url, tmp_path) as process:
        yield process


@pytest.fixture
def rows(shared_url: str) -> Iterator[Connection]:
    """Changes rows; each statement is a commit."""
    with connected(shared_url) as connection:
        yield connection
