"""Closed-loop load: so many flows at once, each signer's one after the other, in own processes."""

import multiprocessing
import resource
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple
from uuid import uuid4

import psycopg

from tests.bench.cost import cost
from tests.bench.flow import STEPS, Flow, Times, get_token
from tests.bench.stage import Signing, Stage

MOST_GENERATORS: Final = 2


class Job(NamedTuple):
    """What one process of the generator does."""

    address: str
    client: tuple[str, str]
    database: str
    signers: list[Signing]
    seconds: float


class Done(NamedTuple):
    """What came of it."""

    times: list[Times]
    cpu_seconds: float
    seconds: float


def measure(
    stage: Stage,
    client: tuple[str, str],
    signers: Sequence[Signing],
    *,
    concurrency: int,
    seconds: float,
) -> dict[str, Any]:
    """Run flows for so many seconds; figures per second, by step and by cost."""
    processes = min(concurrency, MOST_GENERATORS)
    jobs = [
        Job(
            address=stage.settings.authorization_server_url,
            client=client,
            database=str(stage.engine.url.set(drivername="postgresql")),
            signers=list(signers[number:concurrency:processes]),
            seconds=seconds,
        )
        for number in range(processes)
    ]
    before = cost(stage)
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        done = pool.map(_generate, jobs)
    spent = cost(stage).since(before)
    times = [each for one in done for each in one.times]
    elapsed = max(one.seconds for one in done)
    cpu = spent.cpu | {"generator": sum(one.cpu_seconds for one in done)}
    return {
        "concurrency": concurrency,
        "flows": len(times),
        "flows_per_second": round(len(times) / elapsed, 1),
        "milliseconds": {
            step: percentiles([each[step] for each in times]) for step in (*STEPS, "flow")
        },
        "cpu_ms_per_flow": {
            name: round(used * 1000 / len(times), 2) for name, used in sorted(cpu.items())
        },
        "statements_per_flow": round(
            sum(c for c in spent.statements.values() if c > len(times) / 4) / len(times), 2
        ),
        "commits_per_flow": round(spent.commits / len(times), 2),
        "statements": {
            text: round(calls / len(times), 2)
            for text, calls in spent.statements.items()
            if calls > len(times) / 10
        },
    }


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99."""
    cuts = statistics.quantiles(values, n=100)
    return {"p50": round(cuts[49], 1), "p95": round(cuts[94], 1), "p99": round(cuts[98], 1)}


def _generate(job: Job) -> Done:
    token = get_token(job.address, *job.client)
    began_cpu = _own_cpu()
    with ThreadPoolExecutor(len(job.signers)) as threads:
        flows = list(threads.map(lambda signer: _flow(job, token, signer), job.signers))
        began = time.perf_counter()
        end = began + job.seconds
        found = list(threads.map(lambda flow: _until(flow, end), flows))
    return Done(
        times=[each for times in found for each in times],
        cpu_seconds=_own_cpu() - began_cpu,
        seconds=time.perf_counter() - began,
    )


def _flow(job: Job, token: str, signer: Signing) -> Flow:
    return Flow(
        address=job.address,
        token=token,
        credential=signer.credential,
        phone=signer.phone,
        database=psycopg.connect(job.database, autocommit=True),
    )


def _until(flow: Flow, end: float) -> list[Times]:
    times = []
    while time.perf_counter() < end:
        times.append(flow.run(uuid4().hex))
    return times


def _own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
