"""``make bench``: figures into ``var/bench.json``, and as tables to the terminal.

A flow is authorize → phone fetches → phone approves → authorizeCheck → signHash. Every answer is
checked, every signature verified. Load generator, service and database share the machine, so the
figures are of this machine, with everything on it; ``yardstick`` says how fast it was just then.
"""

import argparse
import json
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.bench.batch import measure_batches
from tests.bench.beside import compare, open_side
from tests.bench.load import measure
from tests.bench.million import add_old_transactions
from tests.bench.stage import Stage, new_relying_party, new_signers, running_stage
from tests.world.production import WEB_SERVERS, Servers

REPORT: Final = Path("var/bench.json")
SPINS: Final = 3000


def main() -> None:
    """Measure and report."""
    chosen = _arguments()
    server = f"{chosen.server}, {chosen.processes} processes of {chosen.threads} threads"
    report: dict[str, Any] = {"server": server, "yardstick": yardstick()}
    _say(f"One core verifies {report['yardstick']} ES256 signatures a second; {report['server']}.")
    if chosen.concurrency or chosen.batches:
        _flows_and_batches(chosen, report)
    if chosen.old:
        report["old_transactions"] = chosen.old
        report["beside_old"] = _beside_old(chosen)
    report["yardstick_after"] = yardstick()
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    _say(f"All figures: {REPORT}")


def _flows_and_batches(chosen: argparse.Namespace, report: dict[str, Any]) -> None:
    with ExitStack() as stack:
        stage = _stage(stack, chosen)
        signers = new_signers(stage, max(chosen.concurrency, default=1))
        party = new_relying_party(stage)
        client = (party.client_id, party.client_secret)

        def flows(concurrency: int) -> dict[str, Any]:
            found = measure(stage, client, signers, concurrency=concurrency, seconds=chosen.seconds)
            _tell(found, statements=chosen.statements)
            return found

        measure(stage, client, signers, concurrency=1, seconds=3)
        report["flows"] = [flows(concurrency) for concurrency in chosen.concurrency]
        report["batches"] = measure_batches(stage, client, signers[0], chosen.batches)
        for batch in report["batches"]:
            _say(f"{batch}")


def _stage(stack: ExitStack, chosen: argparse.Namespace) -> Stage:
    servers = Servers(processes=chosen.processes, threads=chosen.threads)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    return stack.enter_context(running_stage(folder, servers=servers, server=chosen.server))


def _beside_old(chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """Two services, one of them with old transactions, asked by turns."""
    with ExitStack() as stack:
        empty, old = (
            open_side(_stage(stack, chosen), concurrency=max(chosen.pairs_at_once), until=stack)
            for _ in range(2)
        )
        for number, flow in enumerate((*empty.flows, *old.flows)):
            flow.run(f"the first of many, {number}")
        began = time.perf_counter()
        add_old_transactions(old.stage, chosen.old)
        _say(f"{chosen.old} old transactions added in {time.perf_counter() - began:.0f} s.")
        found = []
        for at_once in chosen.pairs_at_once:
            sides = (side._replace(flows=side.flows[:at_once]) for side in (empty, old))
            found.append(compare(*sides, pairs=chosen.pairs, seconds=chosen.pair_seconds))
            _tell_ratios(found[-1])
        return found


def _tell_ratios(found: dict[str, Any]) -> None:
    _say(f"{found['at_once']} at once, {found['pairs']} pairs, {found['old']['flows']} flows each:")
    for step, ratio in found["ratio"].items():
        empty, old = (found[side]["milliseconds_p50"][step] for side in ("empty", "old"))
        spread = f"{ratio['median']} ({ratio['low']} to {ratio['high']})"
        _say(f"    {step}: p50 {empty} ms, beside old ones {old} ms, ratio {spread}")
    for part, ratio in found["cpu_ratio"].items():
        empty, old = (found[side]["cpu_ms_per_flow"][part] for side in ("empty", "old"))
        _say(f"    CPU of {part}: {empty} and {old} ms a flow, ratio {ratio}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="of each stretch of load")
    parser.add_argument("--concurrency", type=int, nargs="*", default=[1, 4, 16, 32])
    parser.add_argument("--batches", type=int, nargs="*", default=[1000, 10_000])
    parser.add_argument("--old", type=int, default=1_000_000, help="old transactions; 0 for none")
    parser.add_argument("--pairs", type=int, default=30, help="of stretches, beside old ones")
    parser.add_argument("--pair-seconds", type=float, default=1.5, help="of each such stretch")
    parser.add_argument("--pairs-at-once", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--server", choices=sorted(WEB_SERVERS), default="granian")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--statements", action="store_true", help="tell them, too")
    return parser.parse_args()


def yardstick() -> int:
    """ES256 verifications a second by one thread: how fast this machine is now."""
    key = ec.generate_private_key(ec.SECP256R1())
    algorithm = ec.ECDSA(hashes.SHA256())
    signature, public = key.sign(b"yardstick", algorithm), key.public_key()
    began = time.perf_counter()
    for _ in range(SPINS):
        public.verify(signature, b"yardstick", algorithm)
    return round(SPINS / (time.perf_counter() - began))


def _tell(found: dict[str, Any], *, statements: bool) -> None:
    flow = found["milliseconds"]["flow"]
    cpu = found["cpu_ms_per_flow"]
    _say(
        f"{found['concurrency']} at once: {found['flows_per_second']} flows/s, "
        f"p50 {flow['p50']} p95 {flow['p95']} p99 {flow['p99']} ms; "
        f"{found['statements_per_flow']} statements, {found['commits_per_flow']} commits a flow; "
        f"CPU ms a flow {round(sum(cpu.values()), 1)}: {cpu}"
    )
    if statements:
        for text, calls in sorted(found["statements"].items(), key=lambda one: -one[1]):
            _say(f"    {calls} {' '.join(text.split())[:110]}")


def _say(words: str) -> None:
    print(words, flush=True)  # noqa: T201  # a program's answer


if __name__ == "__main__":
    main()
