"""What a stretch of load costs: CPU seconds by part, statements and commits of the database."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.bench.stage import Stage

if TYPE_CHECKING:
    import psycopg

TICKS: Final = os.sysconf("SC_CLK_TCK")
_NO_STATEMENT: Final = r"^\s*(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)"
SIDE_DOOR: Final = "SELECT id FROM transactions WHERE handle_hash ="
"""The generator learns so what a push would have told the phone."""


class Cost(NamedTuple):
    """What was spent since the start; two of them can be subtracted."""

    cpu: dict[str, float]
    """Seconds by part."""
    statements: dict[str, int]
    """Calls by text."""
    commits: int
    """Of transactions that wrote."""

    def since(self, before: "Cost") -> "Cost":
        """What was spent between."""
        return Cost(
            cpu={name: spent - before.cpu.get(name, 0) for name, spent in self.cpu.items()},
            statements={
                text: calls - before.statements.get(text, 0)
                for text, calls in self.statements.items()
                if calls > before.statements.get(text, 0)
            },
            commits=self.commits - before.commits,
        )


def cost(stage: Stage) -> Cost:
    """What was spent so far, by everything but the generator."""
    cpu = cpu_seconds(stage)
    with stage.engine.connect() as connection:
        raw: psycopg.Connection[tuple[object, ...]] = connection.connection.driver_connection  # type: ignore[assignment]  # psycopg's
        raw.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        rows = raw.execute(
            "SELECT query, calls FROM pg_stat_statements WHERE query !~* %s"
            " AND query NOT LIKE %s AND query !~* 'pg_stat|EXTENSION'",
            (_NO_STATEMENT, f"{SIDE_DOOR}%"),
        ).fetchall()
        written = raw.execute("SELECT txid_snapshot_xmax(txid_current_snapshot())").fetchone()
        raw.commit()
    statements: dict[str, int] = {}
    for text, calls in rows:
        statements[str(text)] = statements.get(str(text), 0) + int(str(calls))
    return Cost(cpu=cpu, statements=statements, commits=int(str(written[0])) if written else 0)


def cpu_seconds(stage: Stage) -> dict[str, float]:
    """CPU seconds by part; to ask costs the database nothing."""
    children = _children()
    parts = {part.name: part.process.pid for part in stage.processes}
    return {
        name: sum(map(_cpu_seconds, _family(pid, children)))
        for name, pid in (parts | {"postgresql": stage.postgres.pid}).items()
    }


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for pid, fields in _processes():
        found.setdefault(int(fields[1]), []).append(pid)
    return found


def _processes() -> Iterator[tuple[int, list[str]]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                yield int(entry.name), fields


def _stat(pid: int) -> list[str]:
    """Fields of ``/proc/PID/stat`` after the name; none of a process that has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return []


def _family(pid: int, children: dict[int, list[int]]) -> Iterator[int]:
    yield pid
    for child in children.get(pid, []):
        yield from _family(child, children)


def _cpu_seconds(pid: int) -> float:
    """User and system time, of children that have ended, too."""
    return sum(map(int, _stat(pid)[11:15])) / TICKS
