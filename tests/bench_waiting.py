"""Measures how many can wait at `cellkey wait`, and how soon they wake: ``make bench-waiting``.

A real PostgreSQL, the process as it is run, those who wait in processes of their own on the
loopback, from several of its addresses. Each change is a commit that adds a transaction of one
cell. Afterwards the connection that listens is ended once, and everybody must be woken.
``where_ms`` says where the time goes, as an onlooker sees it who is a process of its own; and how
late those were who say so, for that is no lateness of ours.
Figures go to ``var/bench-waiting.json``. Needs as many file descriptors as there are waiters, for
the server and once more for those who wait (``ulimit -Hn``).
"""

import argparse
import json
import random
import resource
import statistics
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from backend.model import schema
from backend.wiring import make_engine
from tests.world.asked_process import Moments
from tests.world.changing_rows import (
    add_cells,
    address_of,
    ask,
    connected,
    stop_listening,
    telling,
)
from tests.world.onlooker import Onlooker, View, looking_on
from tests.world.postgres import find_programs, running_postgres
from tests.world.wait_process import WaitProcess, running_wait
from tests.world.waiters import Everybody, Plan, waiting

REPORT = Path("var/bench-waiting.json")
SOURCES = 40
SPARE_FILES = 300
PATIENCE_SECONDS = 180.0
LOOK_SECONDS = 0.5

Commit = tuple[str, float]
"""Wait id of what changed, and when the commit was sent."""


def plans(names: Sequence[str], *, port: int, stream_share: float, processes: int) -> list[Plan]:
    """Divide those who wait among processes."""
    sources = tuple(f"127.0.1.{number + 1}" for number in range(SOURCES))
    made = []
    for part in (names[number::processes] for number in range(processes)):
        streams = round(len(part) * stream_share)
        made.append(
            Plan(
                port=port,
                streaming=tuple(part[:streams]),
                polling=tuple(part[streams:]),
                sources=sources,
            )
        )
    return made


def until(met: Callable[[], bool]) -> bool:
    """Wait for a condition; whether it came."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not met():
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_SECONDS)
    return True


def change(
    database_url: str, cells: Sequence[tuple[Any, str]], *, count: int, per_second: float
) -> list[Commit]:
    """Commit changes of cells, chosen at random, at a steady rate."""
    chosen = random.Random(count)  # noqa: S311  # a bench that can be repeated
    commits = []
    with connected(database_url) as connection:
        began = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, began + number / per_second - time.monotonic()))
            cell, name = chosen.choice(cells)
            commits.append((name, time.monotonic()))
            ask(connection, cell)
    return commits


def latencies(commits: Sequence[Commit], woken: dict[str, list[float]]) -> list[float | None]:
    """Seconds from each commit's sending to the first waking after it; ``None``: missed."""
    return [first_after(at, woken.get(name, [])) for name, at in commits]


def first_after(at: float, times: Sequence[float]) -> float | None:
    """Seconds until the first of these; ``None``: there is none."""
    first = bisect_left(times, at)
    return times[first] - at if first < len(times) else None


def where(
    commits: Sequence[Commit], everybody: Everybody, onlooker: Onlooker
) -> dict[str, dict[str, float]]:
    """Where the time goes, in milliseconds, from the first commit to the last waking."""
    told, woken = onlooker.told(), everybody.woken()
    until_told, since_told = [], []
    for name, at in commits:
        heard = first_after(at, told.get(name, []))
        felt = first_after(at, woken.get(name, []))
        if heard is not None and felt is not None:
            until_told.append(heard)
            since_told.append(max(0.0, felt - heard))
    began, ended = commits[0][1], max(times[-1] for times in woken.values() if times)

    def meanwhile(moments: Moments) -> list[float]:
        return [seconds for at, seconds in moments if began <= at <= ended]

    return {
        "from_commit_to_telling": percentiles(until_told),
        "from_telling_to_waking": percentiles(since_told),
        "server_answers": percentiles(meanwhile(onlooker.answered())),
        "onlooker_late": percentiles(meanwhile(onlooker.late())),
        "waiters_late": percentiles(meanwhile(everybody.late())),
    }


def all_latencies(commits: Sequence[Commit], everybody: Everybody) -> list[float | None]:
    """The latencies, once nobody is missing any more or patience is over."""
    until(lambda: None not in latencies(commits, everybody.woken()))
    return latencies(commits, everybody.woken())


def measure(
    database_url: str,
    folder: Path,
    *,
    waiters: int,
    changes: int,
    per_second: float,
    arriving: float,
) -> dict[str, Any]:
    """Let so many wait, wake them, and see."""
    with connected(database_url) as connection:
        cells = add_cells(connection, waiters)
    names = [name for _, name in cells]
    options = ("--most", str(waiters + 100), "--most-of-address", str(waiters // SOURCES + 100))
    with running_wait(database_url, folder, *options) as server:
        empty = server.memory_bytes()
        parts = [
            msgspec.structs.replace(part, arriving_seconds=arriving)
            for part in plans(names, port=server.port, stream_share=0.1, processes=2)
        ]
        view = View(address=address_of(database_url), port=server.port)
        with waiting(parts) as everybody, looking_on(view) as onlooker:
            if not until(lambda: everybody.parked() == waiters and onlooker.is_ready()):
                raise TimeoutError(f"{everybody.parked()} wait; {everybody.errors()[:3]}")
            held, computed = server.memory_bytes(), server.cpu_seconds()
            commits = change(database_url, cells, count=changes, per_second=per_second)
            found = all_latencies(commits, everybody)
            seconds = [each for each in found if each is not None]
            errors, spent = everybody.errors(), server.cpu_seconds() - computed
            found_where = where(commits, everybody, onlooker)
            all_woken = lose_connection(database_url, everybody, waiters)
            return {
                "waiters": waiters,
                "arriving_seconds": arriving,
                "streams": sum(len(part.streaming) for part in parts),
                "changes": len(commits),
                "changes_per_second": per_second,
                "missed": len(commits) - len(seconds),
                "errors": len(errors),
                "first_errors": errors[:3],
                "wake_ms": percentiles(seconds),
                "where_ms": found_where,
                "all_woken_after_a_lost_connection_seconds": round(all_woken, 2),
                "cpu_seconds": round(spent, 2),
                "memory_mib": memory(server, empty=empty, held=held),
            }


def memory(server: WaitProcess, *, empty: int, held: int) -> dict[str, float]:
    """Of the process: without waiters, with all of them, and the most it ever had."""
    found = {"empty": empty, "all_wait": held, "most": server.memory_bytes("VmHWM")}
    return {name: round(value / 2**20, 1) for name, value in found.items()}


def lose_connection(database_url: str, everybody: Everybody, waiters: int) -> float:
    """End the connection that listens; how long until everybody has been woken."""
    began = time.monotonic()
    with connected(database_url) as connection:
        stop_listening(connection)

    def all_woken() -> bool:
        times = everybody.woken().values()
        return len(times) == waiters and all(each and each[-1] > began for each in times)

    if not until(all_woken):
        raise TimeoutError(f"not everybody was woken; {everybody.errors()[:3]}")
    return max(next(at for at in each if at > began) for each in everybody.woken().values()) - began


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and the longest, in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    found = {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "max": max(seconds)}
    return {name: round(value * 1000, 1) for name, value in found.items()}


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--waiters", type=int, default=10_000)
    parser.add_argument("--changes", type=int, default=3000)
    parser.add_argument("--per-second", type=float, default=100.0)
    parser.add_argument(
        "--arriving", type=float, default=25.0, help="seconds over which they come; 0 for at once"
    )
    chosen = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < chosen.waiters + SPARE_FILES:
        sys.exit(f"{hard} file descriptors are too few (ulimit -Hn): {chosen.waiters} are to wait")
    programs = find_programs()
    if programs is None:
        sys.exit("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory() as folder, running_postgres(programs) as postgres:
        url = postgres.url(postgres.create_database())
        engine = make_engine(url)
        schema.upgrade(engine)
        engine.dispose()
        with telling(url):
            found = measure(
                url,
                Path(folder),
                waiters=chosen.waiters,
                changes=chosen.changes,
                per_second=chosen.per_second,
                arriving=chosen.arriving,
            )
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    print(json.dumps(found, indent=2))  # noqa: T201  # a program's answer


if __name__ == "__main__":
    main()
