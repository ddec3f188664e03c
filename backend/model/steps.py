"""Statements of the hot path: made once, and run in one round trip.

1. A statement is put together when its module is loaded, with named parameters: to put it together
   takes longer than to run it.
2. A :class:`Step` is a conditional write and what follows from it: all of it happens, or nothing.
   On PostgreSQL it is one statement (``WITH``), which is its own transaction, so that nothing is
   begun and nothing committed by a round trip of its own. SQLite has no writes within ``WITH``:
   there the same parts run one after the other, in one transaction.
3. What is written in one statement does not see itself: a part reads the rows as they were before,
   and of the guard only what it returns.
4. A step has a connection of its own. The session that it is run by must not be in a transaction.

Measured on PostgreSQL: docs/performance.md.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final, cast, final

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    Row,
    Select,
    Table,
    bindparam,
    func,
    insert,
    select,
    true,
)
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import Delete, Insert, ReturningInsert, Update, UpdateBase

from backend.model.base import Base
from backend.model.engines import each_statement
from backend.model.prepared import prepared

Parameters = Mapping[str, object]
NO_PARAMETERS: Final[Parameters] = MappingProxyType({})
Part = Insert | Update | Delete
Guard = Callable[[bool], Insert | Update]
"""Makes a guard for PostgreSQL, or for SQLite."""
First = Callable[[], Insert | Update]
Parts = Callable[[FromClause], Sequence["Part | Bulk"]]
"""Makes what follows from a guard; what it is given stands for the row that the guard returns."""
Look = Callable[[FromClause], Select[*tuple[Any, ...]]]


def table_of(kind: type[Base]) -> Table:
    """The table of a mapped class; statements over tables are cheaper to run than over classes."""
    found = kind.__table__
    if not isinstance(found, Table):
        raise TypeError("not a class of one table")
    return found


def value(of: ColumnElement[Any], name: str | None = None) -> ColumnElement[Any]:
    """A parameter of a column's type, and of its name if no other is given."""
    return bindparam(_named(name or of.key), type_=of.type)


def _named(parameter: object) -> str:
    """Name a parameter as no column is: SQLAlchemy would SET a column of a parameter's name."""
    return f"in_{parameter}"


def _given(parameters: Parameters) -> dict[str, object]:
    return {_named(name): each for name, each in parameters.items()}


def one_row(table: Table, names: Sequence[str], *, beside: FromClause) -> Insert:
    """Insert one row of parameters, if there is a row to stand beside."""
    values = select(*(value(table.c[name]) for name in names)).select_from(beside)
    return insert(table).from_select(list(names), values)


@final
class Bulk:
    """Rows of a table, as many as come: a parameter for each column, which holds all its values."""

    def __init__(
        self, table: Table, *, columns: Sequence[str], constants: Mapping[str, ColumnElement[Any]]
    ) -> None:
        """Take the names of the columns whose values come in lists, and what each row has alike."""
        self._table = table
        self._columns = tuple(columns)
        self._constants = constants

    def from_arrays(self, guard: FromClause) -> Insert:
        """All rows by one statement of PostgreSQL."""
        arrays = (
            bindparam(_named(name), type_=ARRAY(self._table.c[name].type)) for name in self._columns
        )
        rows = func.unnest(*arrays).table_valued(*self._columns).render_derived()
        values = select(*self._constants.values(), *(rows.c[name] for name in self._columns))
        names = [*self._constants, *self._columns]
        beside = values.select_from(guard.join(rows, true()))
        return insert(self._table).from_select(names, beside)

    def one_by_one(self, guard: FromClause) -> Insert:
        """One row, to be executed for each (SQLite)."""
        rows = [value(self._table.c[name], f"one_{name}") for name in self._columns]
        values = select(*self._constants.values(), *rows).select_from(guard)
        return insert(self._table).from_select([*self._constants, *self._columns], values)

    def rows(self, parameters: Parameters) -> list[dict[str, object]]:
        """The parameters of each row."""
        names = [_named(f"one_{name}") for name in self._columns]
        lists = [cast("Sequence[object]", parameters[_named(name)]) for name in self._columns]
        rows = zip(*lists, strict=True)
        return [{**parameters, **dict(zip(names, row, strict=True))} for row in rows]


class _NothingDone(Exception):
    """The guard wrote nothing: what was written before it is undone."""


@final
class Step:
    """A guard, what follows from it, and what is read in the end."""

    def __init__(
        self,
        guard: Insert | Update | Guard,
        *,
        returning: Sequence[ColumnElement[Any]],
        first: First | None = None,
        follow: Parts = lambda _guard: (),
        look: Look = select,
    ) -> None:
        """Put the statements together.

        Args:
            guard: writes one row, or none if its conditions do not hold.
            returning: of that row, what the rest needs.
            first: on SQLite, what is written before the guard and must give a row, too; the guard
                for PostgreSQL holds it in itself. If the guard writes nothing, it is undone, too.
            follow: the other writes.
            look: what is read; without it, what the guard returned.
        """
        made = guard if callable(guard) else lambda _on_postgresql: guard
        self._guard_on_postgresql = made(True).returning(*returning)  # noqa: FBT003  # as Guard has it
        self._guard = made(False).returning(*returning)  # noqa: FBT003  # as Guard has it
        self._first = None if first is None else first()
        self._returned: Final = [(one.key, one.type) for one in returning]
        self._follow = follow
        self._look = look
        self._whole = self._one_statement()
        self._parts = self._several()

    def run(
        self, session: Session, parameters: Parameters, *, named: Parameters = NO_PARAMETERS
    ) -> Row[*tuple[Any, ...]] | None:
        """Do it, and commit; ``None`` if the guard wrote nothing, and so nothing was done.

        Args:
            session: of the engine where it happens.
            parameters: those made by :func:`value`.
            named: those of statements of others, by the names that they have there.

        Raises:
            IntegrityError: a constraint does not allow it; nothing was done.
        """
        given = {**_given(parameters), **named}
        engine = _engine_of_statements(session)
        if engine is not None:
            return prepared(self._whole).run(engine, given, or_nothing=self._first is not None)
        try:
            with _transaction(session) as connection:
                return self._run(connection, given)
        except _NothingDone:
            return None

    def _run(self, connection: Connection, given: Parameters) -> Row[*tuple[Any, ...]] | None:
        if connection.dialect.name != "postgresql":
            return self._run_parts(connection, given)
        done = connection.execute(self._whole, given).one_or_none()
        if done is None:
            raise _NothingDone
        return done

    def _one_statement(self) -> Select[*tuple[Any, ...]]:
        guard = self._guard_on_postgresql.cte("guard")
        parts = [
            (part.from_arrays(guard) if isinstance(part, Bulk) else part).cte(f"part_{number}")
            for number, part in enumerate(self._follow(guard))
        ]
        return self._look(guard).add_cte(*parts)

    def _several(self) -> tuple[Sequence[Part | Bulk], FromClause]:
        row = select(
            *(
                bindparam(_named(f"guard_{name}"), type_=kind).label(name)
                for name, kind in self._returned
            )
        ).subquery("guard")
        return self._follow(row), row

    def _run_parts(
        self, connection: Connection, parameters: Parameters
    ) -> Row[*tuple[Any, ...]] | None:
        if self._first is not None and connection.execute(self._first, parameters).first() is None:
            raise _NothingDone
        written = connection.execute(self._guard, parameters).one_or_none()
        if written is None:
            raise _NothingDone
        guard = _given({f"guard_{name}": each for name, each in written._asdict().items()})
        known = {**parameters, **guard}
        parts, row = self._parts
        for part in parts:
            if isinstance(part, Bulk):
                connection.execute(part.one_by_one(row), part.rows(known))
            else:
                connection.execute(part, known)
        return connection.execute(self._look(row), known).one_or_none()


def look(
    session: Session,
    statement: Select[*tuple[Any, ...]],
    parameters: Parameters,
    *,
    named: Parameters = NO_PARAMETERS,
) -> Row[*tuple[Any, ...]] | None:
    """Read one row, or none, by a statement made before; parameters as in :class:`Step`."""
    return _run_by_itself(session, statement, {**_given(parameters), **named})


def change(session: Session, statement: UpdateBase, parameters: Parameters) -> None:
    """Write, and commit, by a statement that was made before."""
    _run_by_itself(session, statement, _given(parameters))


def write(
    session: Session, statement: ReturningInsert[Any], named: Parameters
) -> Row[*tuple[Any, ...]] | None:
    """Write, commit, and give the row that was written, or none; parameters by their own names."""
    return _run_by_itself(session, statement, named)


def _run_by_itself(
    session: Session, statement: Select[*tuple[Any, ...]] | UpdateBase, given: Parameters
) -> Row[*tuple[Any, ...]] | None:
    engine = _engine_of_statements(session)
    if engine is not None:
        return prepared(statement).run(engine, given)
    with _transaction(session) as connection:
        result = connection.execute(statement, dict(given))
        return result.one_or_none() if result.returns_rows else None


def _engine_of_statements(session: Session) -> Engine | None:
    """The engine whose connections are in no transaction: of PostgreSQL, by the pool."""
    if session.in_transaction():
        raise RuntimeError("a step begins in no other transaction")
    bind = session.get_bind()
    if isinstance(bind, Connection) or bind.dialect.name != "postgresql":
        return None
    return each_statement(bind)


@contextmanager
def _transaction(session: Session) -> Iterator[Connection]:
    """A transaction of its own: of SQLite, from begin to commit.

    Where a session was given a connection that is in a transaction already, a savepoint in it.
    """
    bind = session.get_bind()
    if isinstance(bind, Connection):
        with bind.begin_nested():
            yield bind
    else:
        with bind.begin() as connection:
            yield connection
