"""``make bench-worker``: how many pushes one worker sends, and what each costs.

PostgreSQL, ``cellkey worker`` and the push service (``tests/world/quick_push_service.py``, 100 ms
away) are processes of this machine and share its cores. Three runs, each with an outbox of its own:

* ``drain``: everything is due at once; how fast is it gone.
* ``paced``: so many a second become due; how long from due to accepted.
* ``paced, 5 % dead``: the same, with every twentieth phone behind a host that never answers; the
  figures are those of the others.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Engine, Row, insert, select
from sqlalchemy.orm import Session

from backend.delivery.worker_keys import make_worker_keys, read_push_key
from backend.model import schema
from backend.model.tables import Device, OutboxMessage, PushSubscription, Transaction
from backend.settings import Settings
from backend.wiring import make_engine
from tests.world.postgres import Postgres, find_programs, running_postgres
from tests.world.quick_push_service import DEAD, HOST
from tests.world.woken_phones import PhoneKeys, add_cell, add_transaction

REPORT: Final = Path("var/bench-worker.json")
WAIT_SECONDS: Final = 240
HEAD_START: Final = timedelta(seconds=10)
"""In this time the messages must be written down."""
FIRST_SECONDS: Final = 1.0
TICKS: Final = os.sysconf("SC_CLK_TCK")
LIFE: Final = timedelta(seconds=300)


# --- the world ----------------------------------------------------------------


@contextmanager
def process(
    *command: str, log: Path, environment: dict[str, str], tree: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process, and end it."""
    with (
        log.open("wb") as stream,
        subprocess.Popen(
            [sys.executable, *command],
            env=os.environ | environment,
            cwd=tree,
            stdout=stream,
            stderr=stream,
        ) as running,
    ):
        try:
            yield running
        finally:
            running.send_signal(signal.SIGTERM)
            running.wait()


def wait_for(condition: Callable[[], object], *, every: float = 0.05) -> None:
    """Wait for what must come.

    Raises:
        TimeoutError: it did not.
    """
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("it does not come")
        time.sleep(every)


def cpu_seconds(pid: int, *, children: bool = False) -> float:
    """CPU time of a process, with that of its children if asked for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / TICKS
    if not children:
        return own
    reaped = (int(fields[13]) + int(fields[14])) / TICKS
    alive = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + reaped + sum(cpu_seconds(int(child)) for child in alive)


def postmaster(server: Postgres) -> int:
    """The server's first process."""
    return int((server._folder / "data" / "postmaster.pid").read_text().split()[0])


# --- the outbox ---------------------------------------------------------------


def fill(engine: Engine, *, count: int, per_second: float, dead_share: float) -> None:
    """Add messages to distinct subscriptions, due in a while: at once, or one after the other."""
    now, keys = datetime.now(UTC), PhoneKeys()
    start = now + (HEAD_START if count > 1 else timedelta())
    every = round(1 / dead_share) if dead_share else 0
    with Session(engine) as session:
        cell = add_cell(session, now=now)
        like = session.get_one(Transaction, add_transaction(session, cell, now=now, life=LIFE))
        common = {
            column.name: getattr(like, column.key)
            for column in Transaction.__table__.columns
            if column.key not in {"id", "tx_hash"}
        }
        phones: list[dict[str, Any]] = []
        for number in range(count):
            host = DEAD if every and number % every == 0 else HOST
            phones.append(
                {
                    "kid": os.urandom(32),
                    "transaction": uuid4(),
                    "endpoint": f"https://{host}/wpush/v2/{number}",
                    "due_at": start + timedelta(seconds=number / per_second if per_second else 0),
                }
            )
        add = session.execute
        add(
            insert(Transaction),
            [common | {"id": each["transaction"], "tx_hash": os.urandom(32)} for each in phones],
        )
        add(
            insert(Device),
            [
                {
                    "kid": each["kid"],
                    "cell_id": cell,
                    "request_kid": os.urandom(32),
                    "kind": "virtual",
                    "paired_at": now,
                }
                for each in phones
            ],
        )
        add(
            insert(PushSubscription),
            [
                {
                    "kid": each["kid"],
                    "endpoint": each["endpoint"],
                    "p256dh": keys.p256dh_text,
                    "auth": keys.auth_text,
                    "created_at": now,
                }
                for each in phones
            ],
        )
        add(
            insert(OutboxMessage),
            [
                {
                    "id": uuid4(),
                    "transaction_id": each["transaction"],
                    "channel": "push",
                    "kid": each["kid"],
                    "attempts": 0,
                    "due_at": each["due_at"],
                    "expires_at": now + LIFE,
                }
                for each in phones
            ],
        )
        session.commit()
    if count > 1 and datetime.now(UTC) > start:
        raise RuntimeError("the messages were due before they were there")


def alive(engine: Engine) -> list[Row[UUID, datetime, datetime | None]]:
    """Messages to the host that answers: id, first due, when sent."""
    with Session(engine) as session:
        return list(
            session.execute(
                select(OutboxMessage.id, OutboxMessage.due_at, OutboxMessage.sent_at)
                .join(PushSubscription, PushSubscription.kid == OutboxMessage.kid)
                .where(PushSubscription.endpoint.startswith(f"https://{HOST}/"))
            ).all()
        )


def unsent(engine: Engine) -> int:
    """How many messages to the host that answers are not on record as sent."""
    return sum(row.sent_at is None for row in alive(engine))


# --- measuring ----------------------------------------------------------------


def measure(
    server: Postgres, folder: Path, tree: Path, *, count: int, per_second: float, dead_share: float
) -> dict[str, Any]:
    """One run on a database of its own."""
    database = server.url(server.create_database())
    engine = make_engine(database)
    schema.upgrade(engine)
    settings = Settings(data_dir=folder / "data")
    make_worker_keys(settings, if_missing=True)
    told, report = folder / "hosts.json", folder / "accepted.json"
    told.unlink(missing_ok=True)
    quick = ("-m", "tests.world.quick_push_service", "--key", read_push_key(settings))
    places = ("--ca-out", str(folder / "ca.pem"), "--ready-file", str(told), "--report")
    environment = {"PYTHONPATH": str(tree), "CELLKEY_DATA_DIR": str(settings.data_dir)}
    with process(
        *quick, *places, str(report), log=folder / "service.log", environment={}
    ) as service:
        wait_for(told.exists)
        environment |= {"CELLKEY_DATABASE_URL": database, "CELLKEY_PUSH_HOSTS": told.read_text()}
        program = ("-c", "from backend.cli.main import main; main()", "worker")
        with process(
            *program, log=folder / "worker.log", environment=environment, tree=tree
        ) as worker:
            # What starting costs is none of the messages'.
            fill(engine, count=1, per_second=0, dead_share=0)
            wait_for(lambda: unsent(engine) == 0)
            warm = {row.id.hex for row in alive(engine)}
            fill(engine, count=count, per_second=per_second, dead_share=dead_share)
            dues = {row.id.hex: row.due_at.timestamp() for row in alive(engine)}
            pids = {
                "worker": (worker.pid, False),
                "postgresql": (postmaster(server), True),
                "service": (service.pid, False),
            }
            before = {name: cpu_seconds(pid, children=deep) for name, (pid, deep) in pids.items()}
            wait_for(lambda: unsent(engine) == 0, every=1)
            spent = {
                name: cpu_seconds(pid, children=deep) - before[name]
                for name, (pid, deep) in pids.items()
            }
            if dead_share:
                worker.kill()
    engine.dispose()
    return summary(json.loads(report.read_text()), dues, spent, warm)


def summary(
    report: dict[str, Any], dues: dict[str, float], spent: dict[str, float], warm: set[str]
) -> dict[str, Any]:
    """Figures of one run, without the ``warm`` messages before it."""
    if report["refused"]:
        raise RuntimeError(f"the push service refused: {report['refused'][:3]}")
    first: dict[str, float] = {}
    accepted = [(topic, at) for topic, at in report["accepted"] if topic not in warm]
    dues = {topic: due for topic, due in dues.items() if topic not in warm}
    for topic, at in accepted:
        first.setdefault(topic, at)
    if first.keys() != dues.keys():
        raise RuntimeError("what was accepted is not what was to be sent")
    times = sorted(first.values())
    began = min(dues.values())
    waits = [(first[topic] - due) * 1000 for topic, due in dues.items()]
    later = [
        (first[topic] - due) * 1000 for topic, due in dues.items() if due >= began + FIRST_SECONDS
    ]
    return {
        "pushes": len(first),
        "sent_twice": len(accepted) - len(first),
        "pushes_per_second": round(len(first) / (times[-1] - times[0]), 1),
        "milliseconds_due_to_accepted": percentiles(waits),
        # A destination that is new is given few places at first.
        "the_same_of_those_due_later": percentiles(later) if len(later) > 1 else None,
        "cpu_milliseconds_per_push": {
            name: round(seconds * 1000 / len(first), 2) for name, seconds in spent.items()
        },
    }


def percentiles(milliseconds: list[float]) -> dict[str, float]:
    """p50, p99 and the longest."""
    cuts = statistics.quantiles(milliseconds, n=100)
    found = {"p50": cuts[49], "p99": cuts[98], "most": max(milliseconds)}
    return {name: round(value, 1) for name, value in found.items()}


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=3000, help="messages of each run")
    parser.add_argument("--per-second", type=float, default=300, help="of the paced runs")
    parser.add_argument("--runs", nargs="+", default=["drain", "paced", "paced, 5 % dead"])
    parser.add_argument("--tree", type=Path, default=Path.cwd(), help="whose worker is measured")
    chosen = parser.parse_args()
    programs = find_programs()
    if programs is None:
        raise SystemExit("PostgreSQL is not installed")
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name, running_postgres(programs) as server:
        for run in chosen.runs:
            results[run] = measure(
                server,
                Path(name),
                chosen.tree.absolute(),
                count=chosen.count,
                per_second=0 if run == "drain" else chosen.per_second,
                dead_share=0.05 if "dead" in run else 0,
            )
            print(f"{run}: {json.dumps(results[run])}", flush=True)  # noqa: T201  # a program's answer
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(results, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
