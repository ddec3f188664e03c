"""``make bench``: figures into ``var/bench.json``, and as tables to the terminal.

A flow is authorize → phone fetches → phone approves → authorizeCheck → signHash. Every answer is
checked, every signature verified. Load generator, service and database share the machine, so the
figures are of this machine, with everything on it; ``yardstick`` says how fast it was just then.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.bench.batch import measure_batches
from tests.bench.load import measure
from tests.bench.million import add_old_transactions
from tests.bench.stage import WEB_SERVERS, Servers, new_relying_party, new_signers, running_stage

REPORT: Final = Path("var/bench.json")
SPINS: Final = 3000


def main() -> None:
    """Measure and report."""
    chosen = _arguments()
    servers = Servers(processes=chosen.processes, threads=chosen.threads)
    report: dict[str, Any] = {"server": f"{chosen.server}, {servers}", "yardstick": yardstick()}
    _say(f"One core verifies {report['yardstick']} ES256 signatures a second; {report['server']}.")
    with (
        tempfile.TemporaryDirectory() as name,
        running_stage(Path(name), servers=servers, server=chosen.server) as stage,
    ):
        signers = new_signers(stage, max(chosen.concurrency))
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
        if chosen.old:
            _say(f"{chosen.old} old transactions are added.")
            add_old_transactions(stage, chosen.old)
            report["old_transactions"] = chosen.old
            report["flows_beside_old"] = [flows(concurrency) for concurrency in chosen.concurrency]
    report["yardstick_after"] = yardstick()
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    _say(f"All figures: {REPORT}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="of each stretch of load")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 4, 16, 32])
    parser.add_argument("--batches", type=int, nargs="*", default=[1000, 10_000])
    parser.add_argument("--old", type=int, default=1_000_000, help="old transactions; 0 for none")
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
