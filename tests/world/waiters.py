"""Many who wait at `cellkey wait`, in processes of their own: long polls and event streams.

Each notes when it was woken, by the clock that all processes of a machine share.
"""

import asyncio
import json
import resource
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from time import monotonic
from typing import Any

import msgspec

from tests.world.asked_process import Moments, answer, ask, processes

AT_ONCE = 100
"""Connections that are opened at once; a server's queue is no longer."""
START_SECONDS = 120


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What one process does."""

    port: int
    polling: tuple[str, ...]
    """Wait ids, each of one long poll."""
    streaming: tuple[str, ...]
    """Wait ids, each of one event stream."""
    sources: tuple[str, ...]
    """Our addresses, in turn: a server lets so many of one address wait."""
    arriving_seconds: float = 0.0
    """They come evenly over so long; who comes at once comes back at once."""


class Waiters:
    """Those of one process."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._opening = asyncio.Semaphore(AT_ONCE)
        self.parked = 0
        self.woken: defaultdict[str, list[float]] = defaultdict(list)
        self.errors: list[str] = []

    def start(self) -> list[asyncio.Task[None]]:
        """Let everybody wait."""
        jobs = [(name, self._poll) for name in self._plan.polling]
        jobs += [(name, self._stream) for name in self._plan.streaming]
        return [
            asyncio.create_task(self._wait(job, name, number=number))
            for number, (name, job) in enumerate(jobs)
        ]

    async def _wait(self, job: Any, name: str, *, number: int) -> None:  # noqa: ANN401  # one of the two
        address = self._plan.sources[number % len(self._plan.sources)]
        every = self._plan.arriving_seconds / len(self._plan.polling + self._plan.streaming)
        await asyncio.sleep(number * every)
        try:
            async with self._opening:
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", self._plan.port, local_addr=(address, 0)
                )
            await job(name, reader, writer)
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            self.errors.append(f"{type(error).__name__}: {error}")

    async def _poll(
        self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        cursor: str | None = None
        while True:
            query = "" if cursor is None else f"?cursor={cursor}"
            writer.write(f"GET /wait/{name}{query} HTTP/1.1\r\nHost: wait\r\n\r\n".encode())
            if cursor is not None and name not in self.woken:
                self.parked += 1
                self.woken[name] = []
            body = await read_answer(reader)
            if cursor is not None and body["changed"]:
                self.woken[name].append(monotonic())
            cursor = body["cursor"]

    async def _stream(
        self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(f"GET /wait/{name}/events HTTP/1.1\r\nHost: wait\r\n\r\n".encode())
        while line := await reader.readline():
            if line == b"data: changed\n":
                if name in self.woken:
                    self.woken[name].append(monotonic())
                else:
                    self.parked += 1
                    self.woken[name] = []
        raise ValueError("the stream ended")


async def read_answer(reader: asyncio.StreamReader) -> Any:  # noqa: ANN401  # JSON
    """Read an answer of the server; it is well."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    if not head.startswith("HTTP/1.1 200 "):
        raise ValueError(head.partition("\r\n")[0])
    (length,) = (
        line.partition(":")[2]
        for line in head.split("\r\n")
        if line.lower().startswith("content-length:")
    )
    return json.loads(await reader.readexactly(int(length)))


def run(plan: Plan, controls: Connection) -> None:
    """Be one process, until the other side hangs up."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(_run(plan, controls))


async def _run(plan: Plan, controls: Connection) -> None:
    waiters = Waiters(plan)
    told = {
        "parked": lambda: waiters.parked,
        "woken": lambda: dict(waiters.woken),
        "errors": lambda: waiters.errors,
    }
    await answer(controls, told, waiters.start())


class Everybody:
    """All processes of waiters together."""

    def __init__(self, controls: Sequence[Connection]) -> None:
        self._controls = controls

    def parked(self) -> int:
        """How many wait, or have waited."""
        return sum(ask(self._controls, "parked"))

    def errors(self) -> list[str]:
        """What went wrong."""
        return [error for errors in ask(self._controls, "errors") for error in errors]

    def woken(self) -> dict[str, list[float]]:
        """When each was woken."""
        parts = ask(self._controls, "woken")
        return {name: times for part in parts for name, times in part.items()}

    def late(self) -> Moments:
        """How late the processes themselves were."""
        return [moment for part in ask(self._controls, "late") for moment in part]


@contextmanager
def waiting(plans: Sequence[Plan]) -> Iterator[Everybody]:
    """Start a process for each plan; they end with the block."""
    with processes(run, plans) as controls:
        yield Everybody(controls)
