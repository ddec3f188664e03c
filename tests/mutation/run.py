"""A plugin of pytest: it collects once, then tries each mutant in a process forked from there.

mutmut's own runner starts pytest anew for each mutant, which costs more than the tests, and takes a
test whose id it cannot write for a mutant that timed out. Here a mutant meets the very items that
were collected: those whose run called its function, the likeliest killers first, until one fails.
"""

import gc
import json
import multiprocessing
import os
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from itertools import zip_longest
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

import hypothesis
import msgspec
import pytest
from mutmut.mutation import trampoline

from tests.mutation.tree import Mutant

SIDE_BY_SIDE: Final = 2
PATIENCE_SECONDS: Final = 120
"""For a mutant, beyond four times what its tests take; a single test has its own limit."""
PLAN: Final = Path("plan.json")
RESULTS: Final = Path("results.jsonl")
FORK: Final = multiprocessing.get_context("fork")


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a mutant.

    Attributes:
        mutant: it.
        tests: how many tests call its function.
        killer: the test that failed; ``None`` if none did.
        hung: it, or the test that failed, had to be ended: only time has noticed it.
        seconds: how long it took.
    """

    mutant: Mutant
    tests: int
    killer: str | None
    hung: bool
    seconds: float

    @property
    def is_killed(self) -> bool:
        """Whether somebody noticed it."""
        return self.hung or self.killer is not None


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """What the tests do without a mutant: seconds of each, and the functions that it calls."""

    failed: bool
    seconds: dict[str, float]
    calls: dict[str, list[str]]


_active = ""
_called: set[str] = set()
# mutmut looks into the environment at each call, and walks the stack.
trampoline.get_mutant_under_test = lambda: _active
trampoline.record_trampoline_hit = lambda name, caller: _called.add(name)


def _activate(mutant: str) -> None:
    global _active  # noqa: PLW0603  # the trampolines are functions of a module
    _active = mutant
    os.environ["MUTANT_UNDER_TEST"] = mutant  # for processes that a test starts


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    """The same examples each time, none remembered, no failing one made smaller."""
    hypothesis.settings.register_profile(
        "mutants",
        hypothesis.settings.get_profile("cellkey"),
        database=None,
        derandomize=True,
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
    )
    hypothesis.settings.load_profile("mutants")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    """Run the tests once as they are, then for each mutant of the plan."""
    # One folder for all processes; pytest keeps the factory for its fixtures.
    session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  # as said
    baseline = _baseline(session)
    if baseline.failed:
        raise session.Failed("the tests fail without a mutant")
    plan = msgspec.json.decode(PLAN.read_bytes(), type=list[Mutant])
    trial = _Trial(session, baseline)
    gc.freeze()  # what is here is not looked at, and so not copied, in each process
    with RESULTS.open("ab", buffering=0) as results:
        for result in trial.results(plan):
            results.write(msgspec.json.encode(result) + b"\n")
    return True


def _baseline(session: pytest.Session) -> Baseline:
    ours, theirs = FORK.Pipe(duplex=False)
    process = FORK.Process(target=_run_once, args=(session, theirs))
    process.start()
    theirs.close()
    answer: bytes = ours.recv_bytes()
    process.join()
    return msgspec.json.decode(answer, type=Baseline)


def _run_once(session: pytest.Session, answer: Connection) -> None:
    _activate("stats")
    seconds: dict[str, float] = {}
    calls: dict[str, list[str]] = {}
    for item, following in zip_longest(session.items, session.items[1:]):
        _called.clear()
        start = time.monotonic()
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        seconds[item.nodeid] = time.monotonic() - start
        calls[item.nodeid] = sorted(_called)
    baseline = Baseline(failed=bool(session.testsfailed), seconds=seconds, calls=calls)
    answer.send_bytes(msgspec.json.encode(baseline))


class _Running(msgspec.Struct, frozen=True, kw_only=True):
    """A mutant whose tests run, and when they began and must have ended, of the monotonic clock."""

    mutant: Mutant
    process: BaseProcess
    start: float
    deadline: float


class _Trial:
    """Tries mutants side by side."""

    def __init__(self, session: pytest.Session, baseline: Baseline) -> None:
        self._session = session
        self._seconds = baseline.seconds
        self._items = {item.nodeid: item for item in session.items}
        self._callers: dict[str, list[str]] = defaultdict(list)
        for test, functions in baseline.calls.items():
            for function in functions:
                self._callers[function].append(test)
        self._killers: dict[str, list[str]] = defaultdict(list)

    def results(self, plan: list[Mutant]) -> Iterator[Result]:
        """Try each mutant of the plan."""
        waiting = list(reversed(plan))
        running: dict[Connection, _Running] = {}
        while waiting or running:
            while waiting and len(running) < SIDE_BY_SIDE:
                answer, entry = self._start(waiting.pop())
                running[answer] = entry
            ready = wait(list(running), timeout=1.0)
            for answer, entry in list(running.items()):
                if answer in ready:
                    del running[answer]
                    yield self._ended(entry, answer)
                elif time.monotonic() > entry.deadline:
                    del running[answer]
                    yield self._result(entry, killer=None, hung=True)

    def _tests(self, mutant: Mutant) -> list[str]:
        """Those that call the function, likely killers first.

        Killers of its other mutants, tests of its own file, the first parameters of each test,
        then the quick.
        """
        callers, killers = self._callers[mutant.trampoline], self._killers[mutant.trampoline]
        near = f"/test_{Path(mutant.file).stem}"
        first = {test.split("[")[0]: test for test in reversed(callers)}
        return sorted(
            callers,
            key=lambda test: (
                -killers.index(test) if test in killers else 1,
                near not in test,
                first[test.split("[")[0]] != test,
                self._seconds[test],
            ),
        )

    def _start(self, mutant: Mutant) -> tuple[Connection, _Running]:
        tests = self._tests(mutant)
        ours, theirs = FORK.Pipe(duplex=False)
        items = [self._items[test] for test in tests]
        process = FORK.Process(target=_try, args=(self._session, mutant, items, theirs))
        process.start()
        theirs.close()
        start = time.monotonic()
        deadline = start + PATIENCE_SECONDS + 4 * sum(self._seconds[test] for test in tests)
        return ours, _Running(mutant=mutant, process=process, start=start, deadline=deadline)

    def _ended(self, entry: _Running, answer: Connection) -> Result:
        try:
            killer, hung = json.loads(answer.recv_bytes())
        except EOFError:
            killer, hung = "the end of the process", False
        killers = self._killers[entry.mutant.trampoline]
        if killer in killers:
            killers.remove(killer)
        if killer is not None:
            killers.append(killer)
        return self._result(entry, killer=killer, hung=hung)

    def _result(self, entry: _Running, *, killer: str | None, hung: bool) -> Result:
        """End the process and what it started, whatever it does."""
        if entry.process.pid:
            with suppress(ProcessLookupError):
                os.killpg(entry.process.pid, signal.SIGKILL)
        entry.process.join()
        return Result(
            mutant=entry.mutant,
            tests=len(self._callers[entry.mutant.trampoline]),
            killer=killer,
            hung=hung,
            seconds=round(time.monotonic() - entry.start, 2),
        )


def _try(
    session: pytest.Session, mutant: Mutant, items: list[pytest.Item], answer: Connection
) -> None:
    os.setpgrp()  # of the same session, so that it stays as nice as its parent
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    _activate(mutant.name)
    killer, hung = None, False
    for item, following in zip_longest(items, items[1:]):
        start = time.monotonic()
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            killer = item.nodeid
            hung = time.monotonic() - start >= session.config.getoption("timeout")
            break
    answer.send_bytes(json.dumps([killer, hung]).encode())
    os._exit(0)  # whatever threads a mutant left behind
