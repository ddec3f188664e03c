"""A run: flows on one side, ``kill -9`` on the other, and the verdict."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from random import Random
from time import monotonic, sleep, time
from typing import NamedTuple

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from backend.wiring import make_engine
from tests.soak.clients import Lane, run_lane
from tests.soak.installation import TRANSACTION_SECONDS, USE_SECONDS, Installation
from tests.soak.ledger import Ledger
from tests.soak.parts import Kill
from tests.soak.verdict import ends, open_transactions, violations

LATE_SECONDS = 60
"""How much later than its time a transaction may end, before it counts as stuck."""

Tell = Callable[[str], None]


class Plan(NamedTuple):
    """What is done, and for how long."""

    seconds: float
    flows_per_second: float
    pauses_seconds: tuple[float, float]
    """Shortest and longest between two kills."""
    seed: str


class Outcome(NamedTuple):
    """What came of it."""

    ledger: Ledger
    kills: list[Kill]
    ends: dict[str, int]
    violations: list[str]


def soak(
    installation: Installation,
    groups: Sequence[Sequence[Lane]],
    plan: Plan,
    *,
    pool: Executor,
    tell: Tell = lambda _line: None,
) -> Outcome:
    """Run flows and kill processes meanwhile; each part once, then again in another order.

    Args:
        installation: runs.
        groups: lanes; those of a group share a task of the pool.
        plan: how much of it.
        pool: where the clients run.
        tell: hears how it goes.
    """
    until = time() + plan.seconds
    lanes = sum(map(len, groups))
    interval = lanes / plan.flows_per_second
    working = [pool.submit(run_lanes, group, until, interval) for group in groups]
    kills = _kill(installation, plan, until=until, tell=tell)
    ledger = _ledger(installation, working)
    tell(f"{len(ledger.flows)} flows were begun; the last transactions come to their end")
    engine = make_engine(installation.database)
    try:
        found = [] if _wait_for_ends(engine) else ["transactions are neither signed nor over"]
        if not any(flow.signature for flow in ledger.flows):
            found.append("nothing was signed, so nothing was proved")
        found += violations(engine, ledger, installation.folder / "data" / "public-keys.json")
        found += [f"{name} ended by itself" for name in installation.supervisor.ended_by_themselves]
        found += [
            f"after the kill of {kill.part} {name} did not come back"
            for kill in kills
            for name in installation.supervisor.stopped_by(kill.part)
            if name not in kill.recovered
        ]
        return Outcome(ledger=ledger, kills=kills, ends=ends(engine), violations=found)
    finally:
        engine.dispose()


def run_lanes(lanes: Sequence[Lane], until: float, interval_seconds: float) -> Ledger:
    """Run lanes beside each other; what all of them were told."""
    ledger = Ledger()
    with ThreadPoolExecutor(len(lanes)) as pool:
        tasks = [
            pool.submit(run_lane, lane, until=until, interval_seconds=interval_seconds)
            for lane in lanes
        ]
        for task in tasks:
            ledger.add(task.result())
    return ledger


def _kill(installation: Installation, plan: Plan, *, until: float, tell: Tell) -> list[Kill]:
    """Kill each part once, then again in another order, until the time is over.

    On the slowest machine, too, one is killed again: it meets what the first kill left.
    """
    chance = Random(plan.seed)  # noqa: S311  # a seed repeats a run
    supervisor = installation.supervisor
    kills: list[Kill] = []
    while True:
        for name in chance.sample(sorted(supervisor.parts), len(supervisor.parts)):
            if len(kills) > len(supervisor.parts) and time() >= until:
                return kills
            sleep(chance.uniform(*plan.pauses_seconds))
            supervisor.restart_ended()
            kills.append(supervisor.kill(name))
            left = round(max(until - time(), 0))
            tell(f"{left:4} s left: kill -9 {name}, working again after {kills[-1].recovered}")


def _ledger(installation: Installation, working: Sequence[Future[Ledger]]) -> Ledger:
    ledger = Ledger()
    for task in working:
        ledger.add(task.result())
    installation.supervisor.restart_ended()
    return ledger


def _wait_for_ends(engine: Engine) -> bool:
    end = monotonic() + TRANSACTION_SECONDS + USE_SECONDS + LATE_SECONDS
    while monotonic() < end:
        try:
            if not open_transactions(engine):
                return True
        except OperationalError:
            pass
        sleep(0.2)
    return False
