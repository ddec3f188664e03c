"""``make bench``: figures into ``var/bench.json`` and, as a table, to the terminal."""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any, Final

from tests.bench.load import measure
from tests.bench.stage import WEB_SERVERS, Servers, new_relying_party, new_signers, running_stage

REPORT: Final = Path("var/bench.json")


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="of each stretch of load")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 4, 16, 32])
    parser.add_argument("--server", choices=sorted(WEB_SERVERS), default="gunicorn")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--statements", action="store_true")
    chosen = parser.parse_args()
    servers = Servers(processes=chosen.processes, threads=chosen.threads)
    with (
        tempfile.TemporaryDirectory() as name,
        running_stage(Path(name), servers=servers, server=chosen.server) as stage,
    ):
        signers = new_signers(stage, max(chosen.concurrency))
        party = new_relying_party(stage)
        client = (party.client_id, party.client_secret)
        measure(stage, client, signers, concurrency=1, seconds=2)
        results = []
        for concurrency in chosen.concurrency:
            found = measure(stage, client, signers, concurrency=concurrency, seconds=chosen.seconds)
            _tell(found, statements=chosen.statements)
            results.append(found)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(results, indent=2) + "\n", "utf-8")


def _tell(found: dict[str, Any], *, statements: bool) -> None:
    flow = found["milliseconds"]["flow"]
    print(  # noqa: T201  # a program's answer
        f"c={found['concurrency']}: {found['flows_per_second']} flows/s, "
        f"p50 {flow['p50']} p95 {flow['p95']} p99 {flow['p99']} ms; "
        f"{found['statements_per_flow']} statements, {found['commits_per_flow']} commits; "
        f"CPU {found['cpu_ms_per_flow']}",
        flush=True,
    )
    if statements:
        for text, calls in found["statements"].items():
            print(f"    {calls} {' '.join(text.split())[:110]}")  # noqa: T201  # as above


if __name__ == "__main__":
    main()
