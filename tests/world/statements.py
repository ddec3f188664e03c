"""Counts what an engine is asked to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, event

from backend.model.engines import each_statement


@dataclass
class Statements:
    """What was asked, in its order."""

    texts: list[str] = field(default_factory=list)
    commits: int = 0

    @property
    def writes(self) -> int:
        """How many statements change something."""
        return sum(not text.lstrip().upper().startswith("SELECT") for text in self.texts)


@contextmanager
def counted(engine: Engine) -> Iterator[Statements]:
    """Count statements and commits; beginning a transaction is no statement."""
    counts = Statements()

    def execute(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("BEGIN"):
            return
        counts.texts.append(statement)
        # A statement that is its own transaction is no event of its own.
        by_itself = getattr(connection.connection.driver_connection, "autocommit", False) is True
        counts.commits += by_itself and not statement.startswith("SELECT")

    def commit(_connection: Connection) -> None:
        counts.commits += 1

    # What the engine with transactions does, its other use hears too.
    made = engine if engine.dialect.name == "sqlite" else each_statement(engine)
    event.listen(made, "before_cursor_execute", execute)
    event.listen(made, "commit", commit)
    try:
        yield counts
    finally:
        event.remove(made, "before_cursor_execute", execute)
        event.remove(made, "commit", commit)
