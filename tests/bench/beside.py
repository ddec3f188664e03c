"""Two services side by side, one with old transactions: which step is slower for them, and by what?

A machine's speed drifts by more than what is looked for, so the two are never measured one after
the other. Short stretches alternate (ABBA…), each pair of neighbours gives one ratio for a step,
and the median of the ratios is told with the interval in which it lies (95 %, by their order
alone). Processor time is read of each service's own processes, over all stretches.
"""

import math
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, Final, NamedTuple
from uuid import uuid4

import psycopg

from tests.bench.cost import cpu_seconds
from tests.bench.flow import STEPS, Flow, Times, get_token
from tests.bench.stage import Signing, Stage, new_relying_party, new_signers

WARMING: Final = 2
"""Pairs of stretches that are not counted."""
NORMAL_95: Final = 1.96


class Side(NamedTuple):
    """A service, with a flow for each signer."""

    stage: Stage
    flows: list[Flow]


class Stretch(NamedTuple):
    """What one side did while the other had nothing to do."""

    times: list[Times]
    cpu: dict[str, float]
    """Seconds by part."""


def open_side(stage: Stage, *, concurrency: int, until: ExitStack) -> Side:
    """Make signers and who asks them; connections are closed when the stack ends."""
    party = new_relying_party(stage)
    address = stage.settings.authorization_server_url
    token = get_token(address, party.client_id, party.client_secret)

    def flow(signer: Signing) -> Flow:
        url = str(stage.engine.url.set(drivername="postgresql"))
        return Flow(
            address=address,
            token=token,
            credential=signer.credential,
            phone=signer.phone,
            database=until.enter_context(psycopg.connect(url, autocommit=True)),
        )

    return Side(stage=stage, flows=[flow(signer) for signer in new_signers(stage, concurrency)])


def compare(empty: Side, old: Side, *, pairs: int, seconds: float) -> dict[str, Any]:
    """Alternate stretches of so many seconds; figures of both sides, and the old one's ratios."""
    measured: tuple[list[Stretch], list[Stretch]] = ([], [])
    for number in range(WARMING + pairs):
        # ABBA: what changes evenly over time falls on both alike.
        order = ((empty, 0), (old, 1)) if number % 2 else ((old, 1), (empty, 0))
        for side, place in order:
            stretch = _stretch(side, seconds)
            if number >= WARMING:
                measured[place].append(stretch)
    return {
        "at_once": len(empty.flows),
        "pairs": pairs,
        "empty": _figures(measured[0]),
        "old": _figures(measured[1]),
        "ratio": {step: _ratio(measured, step) for step in (*STEPS, "flow")},
        "cpu_ratio": {
            part: round(_cpu(measured[1], part) / max(_cpu(measured[0], part), 0.001), 3)
            for part in measured[0][0].cpu
        },
    }


def _stretch(side: Side, seconds: float) -> Stretch:
    before, began = cpu_seconds(side.stage), time.perf_counter()

    def run(flow: Flow) -> list[Times]:
        done = [flow.run(uuid4().hex)]
        while time.perf_counter() - began < seconds:
            done.append(flow.run(uuid4().hex))
        return done

    with ThreadPoolExecutor(len(side.flows)) as threads:
        times = [one for done in threads.map(run, side.flows) for one in done]
    after = cpu_seconds(side.stage)
    return Stretch(times=times, cpu={part: after[part] - before[part] for part in after})


def _figures(stretches: Sequence[Stretch]) -> dict[str, Any]:
    flows = sum(len(stretch.times) for stretch in stretches)
    return {
        "flows": flows,
        "milliseconds_p50": {
            step: round(statistics.median(t[step] for s in stretches for t in s.times), 2)
            for step in (*STEPS, "flow")
        },
        "cpu_ms_per_flow": {part: round(_cpu(stretches, part), 2) for part in stretches[0].cpu},
    }


def _cpu(stretches: Sequence[Stretch], part: str) -> float:
    """Milliseconds a flow."""
    spent = sum(stretch.cpu[part] for stretch in stretches)
    return 1000 * spent / sum(len(stretch.times) for stretch in stretches)


def _ratio(measured: tuple[list[Stretch], list[Stretch]], step: str) -> dict[str, float]:
    """The median of the pairs' ratios; it lies between ``low`` and ``high`` in 95 of 100 runs."""
    ratios = sorted(
        statistics.median(t[step] for t in old.times)
        / statistics.median(t[step] for t in empty.times)
        for empty, old in zip(*measured, strict=True)
    )
    count = len(ratios)
    # Order statistics: how many of the pairs lie below the median is binomial.
    outside = max(math.floor((count - NORMAL_95 * math.sqrt(count)) / 2), 0)
    return {
        "median": round(statistics.median(ratios), 3),
        "low": round(ratios[outside], 3),
        "high": round(ratios[count - 1 - outside], 3),
    }
