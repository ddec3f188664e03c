"""Processes with an event loop each, which do something and answer what is asked about it.

Each also notes how late its loop was: what it says happened at some time may be so much earlier.
"""

import asyncio
import gc
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import floor
from multiprocessing.connection import Connection
from time import monotonic
from typing import Any

TICK_SECONDS = 0.01

Moments = list[tuple[float, float]]
"""When, by the clock that all processes of a machine share, and how many seconds something took."""


def all_due(due: float, every_seconds: float, now: float) -> Moments:
    """How late each moment was that came due from ``due`` to now, so that a long pause counts."""
    missed = max(0, floor((now - due) / every_seconds))
    moments = (due + number * every_seconds for number in range(missed + 1))
    return [(moment, now - moment) for moment in moments]


async def note_lateness(found: Moments) -> None:
    """Note how late this loop is, until cancelled."""
    due = monotonic()
    while True:
        due += TICK_SECONDS
        await asyncio.sleep(due - monotonic())
        found += all_due(due, TICK_SECONDS, monotonic())
        due = found[-1][0]


async def answer(
    controls: Connection, told: Mapping[str, Callable[[], Any]], tasks: Sequence[asyncio.Task[Any]]
) -> None:
    """Answer what is asked until the other side hangs up; then end the tasks."""
    loop = asyncio.get_running_loop()
    late: Moments = []
    tasks = [*tasks, loop.create_task(note_lateness(late))]
    # Such a process lives for some minutes, and no look for garbage may be taken for the server's.
    gc.disable()
    while True:
        try:
            wanted = await loop.run_in_executor(None, controls.recv)
        except EOFError:
            break
        controls.send(late if wanted == "late" else told[wanted]())
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def ask(controls: Sequence[Connection], what: str) -> list[Any]:
    """Ask processes, at the same time."""
    for control in controls:
        control.send(what)
    return [control.recv() for control in controls]


@contextmanager
def processes(
    run: Callable[[Any, Connection], None], plans: Sequence[object]
) -> Iterator[list[Connection]]:
    """Start a process for each plan; they end with the block."""
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in plans]
    started = [
        context.Process(target=run, args=(plan, theirs))
        for plan, (_, theirs) in zip(plans, pipes, strict=True)
    ]
    for process, (_, theirs) in zip(started, pipes, strict=True):
        process.start()
        theirs.close()
    try:
        yield [ours for ours, _ in pipes]
    finally:
        for process, (ours, _) in zip(started, pipes, strict=True):
            ours.close()
            process.join()
