"""``make soak``: flows for minutes, while ``kill -9`` meets every process, one after the other.

PostgreSQL and SoftHSM with each part a process of its own, then SQLite with ``cellkey serve`` for a
fifth of the time. The rate is half of what ``make bench`` measured here, if it did. Progress is
shown; the figures go to ``var/soak.json``. The exit code is 1 where the service broke its word, or
a part took longer than two seconds from its restart to its first answer.
"""

import argparse
import json
import multiprocessing
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from time import strftime
from typing import Any, NamedTuple

from tests.soak.installation import Installation, embedded, production
from tests.soak.parts import Kill
from tests.soak.people import make_lanes
from tests.soak.run import Outcome, Plan, soak

BENCH = Path("var/bench.json")
REPORT = Path("var/soak.json")
RECOVERY_SECONDS = 2.0
WITHOUT_BENCH = 10.0
"""Flows a second, where nothing was measured."""
EMBEDDED_SHARE = 0.2
SHORTEST_LANE_SECONDS = 0.5
"""A lane begins no flow before the last one is over; half a second is enough for one."""


class Chosen(NamedTuple):
    """On the command line."""

    minutes: float
    rate: float
    processes: int
    seed: str


def main() -> int:
    """Run, report, and say by the exit code whether all is well."""
    chosen = _chosen()
    forms = {
        "postgresql": (production(), chosen.minutes * 60),
        "sqlite": (embedded(), chosen.minutes * 60 * EMBEDDED_SHARE),
    }
    reports = {name: _run(name, form, seconds, chosen) for name, (form, seconds) in forms.items()}
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps({"seed": chosen.seed, **reports}, indent=2) + "\n", "utf-8")
    tell(f"Every kill and what came of it: {REPORT}")
    return int(any(report["broken"] or report["slow"] for report in reports.values()))


def tell(line: str) -> None:
    """Show how it goes."""
    print(f"{strftime('%H:%M:%S')} {line}", flush=True)  # noqa: T201  # a program's answer


def _chosen() -> Chosen:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=_half_of_measured(), help="flows a second")
    parser.add_argument("--processes", type=int, default=2, help="of the load generator")
    parser.add_argument("--seed", default="1", help="chooses what is killed when")
    return Chosen(**vars(parser.parse_args()))


def _half_of_measured() -> float:
    """Half of the best rate in the benchmark's report, whatever else stands there."""
    if not BENCH.exists():
        return WITHOUT_BENCH
    return max(_rates(json.loads(BENCH.read_text("utf-8"))), default=2 * WITHOUT_BENCH) / 2


def _rates(found: Any) -> Iterator[float]:  # noqa: ANN401  # JSON
    if isinstance(found, list):
        for each in found:
            yield from _rates(each)
    elif isinstance(found, dict):
        rate = found.get("flows_per_second")
        if isinstance(rate, float | int):
            yield rate
        yield from _rates(list(found.values()))


def _run(
    name: str, form: AbstractContextManager[Installation], seconds: float, chosen: Chosen
) -> dict[str, Any]:
    count = max(4, round(chosen.rate * SHORTEST_LANE_SECONDS))
    plan = Plan(
        seconds=seconds,
        flows_per_second=chosen.rate,
        pauses_seconds=(2.0, 10.0),
        seed=chosen.seed,
    )
    tell(f"{name}: {chosen.rate} flows/s of {count} signers for {seconds:.0f} s")
    with form as installation:
        lanes = make_lanes(installation, count, seed=chosen.seed)
        groups = [lanes[start :: chosen.processes] for start in range(chosen.processes)]
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(chosen.processes, mp_context=context) as pool:
            outcome = soak(installation, groups, plan, pool=pool, tell=tell)
    return _report(outcome, plan)


def _report(outcome: Outcome, plan: Plan) -> dict[str, Any]:
    flows = outcome.ledger.flows
    recovery = _recovery(outcome.kills)
    slow = sorted(name for name, each in recovery.items() if each["most"] > RECOVERY_SECONDS)
    report = {
        "seconds": plan.seconds,
        "flows_per_second": round(len(flows) / plan.seconds, 1),
        "flows": len(flows),
        "acknowledged": sum(flow.handle is not None for flow in flows),
        "signatures_handed_out": sum(flow.signature is not None for flow in flows),
        "answers_of_phones": len(outcome.ledger.answers),
        "transactions": outcome.ends,
        "kills": len(outcome.kills),
        "recovery_seconds": recovery,
        "slowest_call_seconds": round(max((flow.slowest_call for flow in flows), default=0), 3),
        "broken": outcome.violations,
        "slow": slow,
        "every_kill": [asdict(kill) for kill in outcome.kills],
    }
    tell(f"{report['flows']} flows, {report['kills']} kills, {outcome.ends}")
    for name, each in recovery.items():
        tell(f"{name}: first answer {each['median']} s after its restart, at most {each['most']} s")
    tell(f"slowest call, with its repetitions: {report['slowest_call_seconds']} s")
    for violation in outcome.violations:
        tell(f"BROKEN: {violation}")
    if slow:
        tell(f"SLOW: more than {RECOVERY_SECONDS} s: {', '.join(slow)}")
    return report


def _recovery(kills: list[Kill]) -> dict[str, dict[str, float]]:
    """By what was killed: seconds until all that it had stopped worked again."""
    seconds = defaultdict(list)
    for kill in kills:
        seconds[kill.part].append(max(kill.recovered.values(), default=float("inf")))
    return {
        part: {"kills": len(each), "median": statistics.median(each), "most": max(each)}
        for part, each in sorted(seconds.items())
    }


if __name__ == "__main__":
    sys.exit(main())
