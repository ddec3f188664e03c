"""``make soak`` in short: nothing that was acknowledged is lost, whatever dies.

A minute, in which each process is killed two or three times, in another order each time: a second
kill meets what the first one left. It waits more than it works, so beside the other tests a minute
costs hardly more than the twenty seconds before. SQLite has one process to kill, and less time.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import pytest

from tests.soak.installation import Installation, embedded, production
from tests.soak.people import make_lanes
from tests.soak.run import Outcome, Plan, soak
from tests.world.postgres import find_programs

LANES = 2


def run(form: AbstractContextManager[Installation], *, seconds: float) -> tuple[Outcome, set[str]]:
    """A short run; what came of it, and everything that could be killed."""
    plan = Plan(seconds=seconds, flows_per_second=4, pauses_seconds=(0.5, 2.5), seed="short")
    with form as installation, ThreadPoolExecutor() as pool:
        lanes = make_lanes(installation, LANES, seed=plan.seed)
        outcome = soak(installation, [lanes], plan, pool=pool)
        return outcome, set(installation.supervisor.parts)


def killed(outcome: Outcome) -> Sequence[str]:
    return [kill.part for kill in outcome.kills]


@pytest.mark.sms
@pytest.mark.timeout(900)  # on a machine with much else to do each start takes its time
def test_nothing_acknowledged_is_lost_whichever_process_is_killed() -> None:
    """PostgreSQL, SoftHSM behind ``cellkey sam``, gunicorn, worker, clerk; invariants 4 and 5."""
    if find_programs() is None:
        pytest.skip("PostgreSQL is not installed")

    outcome, parts = run(production(), seconds=60)

    assert outcome.violations == []
    assert set(killed(outcome)) == parts
    assert len(killed(outcome)) > len(parts)
    assert outcome.ends["redeemed"] > 0


@pytest.mark.sms
@pytest.mark.timeout(900)
def test_nothing_acknowledged_is_lost_where_all_is_one_process() -> None:
    """``cellkey serve`` on SQLite; invariants 4 and 5."""
    outcome, _ = run(embedded(), seconds=20)

    assert outcome.violations == []
    assert killed(outcome)
    assert outcome.ends["redeemed"] > 0
