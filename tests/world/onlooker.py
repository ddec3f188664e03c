"""Looks on as others wait: when the database told a change, and how soon the server answers.

So one sees where the time goes between a commit and a waking: before the word is told, in the
server, or in those who wait.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from time import monotonic
from typing import Any

import msgspec
import psycopg

from backend.model.changes import CHANNEL
from tests.world.asked_process import Moments, all_due, answer, ask, processes
from tests.world.waiters import read_answer

EVERY_SECONDS = 0.02


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked at."""

    address: str
    """Of the database, as libpq has it."""
    port: int
    """Of the server."""


class Onlooker:
    """The process, from outside."""

    def __init__(self, controls: Connection) -> None:
        self._controls = [controls]

    def is_ready(self) -> bool:
        """Whether it hears the database."""
        return bool(self._ask("listens"))

    def told(self) -> dict[str, list[float]]:
        """When the database told that each changed."""
        return dict(self._ask("told"))

    def answered(self) -> Moments:
        """When the server was asked whether it lives, and how long the answer took."""
        return list(self._ask("answered"))

    def late(self) -> Moments:
        """How late the onlooker itself was."""
        return list(self._ask("late"))

    def _ask(self, what: str) -> Any:  # noqa: ANN401  # as the process has it
        (found,) = ask(self._controls, what)
        return found


class _Ear:
    """Hears the database, beside the server."""

    def __init__(self) -> None:
        self.listens = False
        self.told: defaultdict[str, list[float]] = defaultdict(list)

    async def listen(self, address: str) -> None:
        async with await psycopg.AsyncConnection.connect(address, autocommit=True) as connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            # Who ends all that listen, by their last statement, does not mean us.
            await connection.execute("SELECT 1")
            self.listens = True
            async for notice in connection.notifies():
                self.told[notice.payload].append(monotonic())


async def _ask(port: int, answered: Moments) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    due = monotonic()
    while True:
        due += EVERY_SECONDS
        await asyncio.sleep(due - monotonic())
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: wait\r\n\r\n")
        await read_answer(reader)
        answered += all_due(due, EVERY_SECONDS, monotonic())
        due = answered[-1][0]


async def _look_on(view: View, controls: Connection) -> None:
    ear, answered = _Ear(), Moments()
    tasks = [
        asyncio.create_task(ear.listen(view.address)),
        asyncio.create_task(_ask(view.port, answered)),
    ]
    told = {
        "listens": lambda: ear.listens,
        "told": lambda: dict(ear.told),
        "answered": lambda: answered,
    }
    await answer(controls, told, tasks)


def run(view: View, controls: Connection) -> None:
    """Be the process."""
    asyncio.run(_look_on(view, controls))


@contextmanager
def looking_on(view: View) -> Iterator[Onlooker]:
    """Start it; it ends with the block."""
    with processes(run, [view]) as (controls,):
        yield Onlooker(controls)
