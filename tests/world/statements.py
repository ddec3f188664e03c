"""Counts what an engine is asked to do."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, event

from backend.model.engines import each_statement
from backend.model.prepared import Found, Prepared


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
        with _prepared_too(made, counts):
            yield counts
    finally:
        event.remove(made, "before_cursor_execute", execute)
        event.remove(made, "commit", commit)


@contextmanager
def _prepared_too(made: Engine, counts: Statements) -> Iterator[None]:
    """Count what goes to the driver past SQLAlchemy's events."""
    run = Prepared.run

    def counting(
        one: Prepared, engine: Engine, parameters: Mapping[str, object], *, or_nothing: bool = False
    ) -> Found | None:
        found = run(one, engine, parameters, or_nothing=or_nothing)
        if engine is made:
            counts.texts.append(one.text)
            undone = or_nothing and found is None
            counts.commits += not undone and not one.text.startswith("SELECT")
        return found

    Prepared.run = counting  # type: ignore[method-assign, assignment]  # watched, not replaced
    try:
        yield
    finally:
        Prepared.run = run  # type: ignore[method-assign]  # as it was
