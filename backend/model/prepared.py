"""Statements as PostgreSQL's driver takes them: text and conversions made once, then only run.

1. SQLAlchemy writes the text, converts values and keeps the pool. What it does at each run besides,
   a context, a result and a description of its columns, is left out: it took longer than
   everything that the driver does.
2. What is raised is what SQLAlchemy would raise, and a lost connection ends all of its age.
3. A statement that would need more from SQLAlchemy is refused when it is made.

Measured: docs/performance.md.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, cast, final

from sqlalchemy import Dialect, Engine, Row, Select
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import result_tuple
from sqlalchemy.exc import DBAPIError, MultipleResultsFound
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.types import TypeEngine

if TYPE_CHECKING:
    from psycopg import (
        Connection,
        Cursor,
        Error,
    )  # which need not be installed where SQLite is used

Convert = Callable[[Any], Any]
Found = Row[*tuple[Any, ...]]

_DIALECT: Final[Dialect] = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]  # SQLAlchemy's
_MOST_STATEMENTS: Final = 256
FEW: Final = 32
"""Values of a list. A plan that was made for few rows is not kept for many."""


@final
class Prepared:
    """A statement that gives one row, none, or says nothing."""

    def __init__(self, statement: Select[*tuple[Any, ...]] | UpdateBase) -> None:
        """Write it down.

        Raises:
            TypeError: it has values that are made, or parameters that come to be, at each run.
        """
        compiled = _compiled(statement)
        self.text: Final = str(compiled)
        self._bytes: Final = self.text.encode()
        self._values: Final = tuple(
            _Value(name, compiled) for name in cast("Sequence[str]", compiled.positiontup)
        )
        given = statement.exported_columns
        self._row: Final = result_tuple([str(column.key) for column in given])
        self._conversions: Final = [
            (place, convert)
            for place, column in enumerate(given)
            if (convert := _from_driver(column.type)) is not None
        ]
        self._gives_rows: Final = bool(given)

    def run(
        self, engine: Engine, parameters: Mapping[str, object], *, or_nothing: bool = False
    ) -> Found | None:
        """Run it, as a transaction of its own.

        Args:
            engine: whose connections are in no transaction.
            parameters: by their names; what the statement does not name is passed over.
            or_nothing: if it gives no row, undo all that it did.

        Raises:
            SQLAlchemyError: as SQLAlchemy would raise it.
        """
        values = [value.of(parameters) for value in self._values]
        psycopg: Any = engine.dialect.loaded_dbapi
        connection = None
        try:
            connection = engine.raw_connection()
            driver = cast("Connection[tuple[Any, ...]]", connection.driver_connection)
            cursor = psycopg.RawCursor(driver)
            if or_nothing:
                with driver.transaction() as whole:
                    found = self._found(cursor, values)
                    if not found:
                        raise psycopg.Rollback(whole)
            else:
                found = self._found(cursor, values)
        except psycopg.Error as error:
            raise self._told(engine, connection, error) from error
        finally:
            if connection is not None:
                connection.close()
        return self._one(found)

    def _found(
        self, cursor: "Cursor[tuple[Any, ...]]", values: list[object]
    ) -> list[tuple[Any, ...]]:
        few = all(len(value) <= FEW for value in values if isinstance(value, list))
        cursor.execute(self._bytes, values, prepare=few)
        return cursor.fetchall() if self._gives_rows else []

    def _one(self, found: list[tuple[Any, ...]]) -> Found | None:
        if not found:
            return None
        if len(found) > 1:
            raise MultipleResultsFound("more than one row where one at most is expected")
        if not self._conversions:
            return self._row(found[0])
        read = list(found[0])
        for place, convert in self._conversions:
            read[place] = convert(read[place])
        return self._row(read)

    def _told(
        self, engine: Engine, connection: PoolProxiedConnection | None, error: "Error"
    ) -> Exception:
        """Say it as SQLAlchemy does; after a lost connection the pool trusts no older one."""
        dialect = engine.dialect
        lost = connection is not None and dialect.is_disconnect(
            error,  # type: ignore[arg-type]  # SQLAlchemy's name for the driver's class
            connection.dbapi_connection,
            None,
        )
        if connection is not None and lost:
            engine.pool._invalidate(connection, error)  # noqa: SLF001  # as its own Connection does
        return DBAPIError.instance(
            self.text,
            None,
            error,
            dialect.loaded_dbapi.Error,
            hide_parameters=True,
            connection_invalidated=lost,
            dialect=dialect,
        )


@lru_cache(maxsize=_MOST_STATEMENTS)
def prepared(statement: Select[*tuple[Any, ...]] | UpdateBase) -> Prepared:
    """Give the prepared form of a statement that was made once, by being the same object."""
    return Prepared(statement)


@final
class _Value:
    """A parameter in its place: fixed in the statement, or given at each run."""

    def __init__(self, name: str, compiled: SQLCompiler) -> None:
        bound = compiled.binds[name]
        self._name = name
        self._convert = _to_driver(bound.type)
        self._is_given = bound.required
        self._fixed = None if bound.required else self._converted(bound.effective_value)

    def of(self, parameters: Mapping[str, object]) -> object:
        """Give its value."""
        return self._converted(parameters[self._name]) if self._is_given else self._fixed

    def _converted(self, value: object) -> object:
        return value if self._convert is None else self._convert(value)


def _compiled(statement: Select[*tuple[Any, ...]] | UpdateBase) -> SQLCompiler:
    compiled = statement.compile(dialect=_DIALECT)
    if compiled.prefetch or compiled.post_compile_params:
        raise TypeError("a statement that comes to be at each run")
    return compiled


def _to_driver(kind: TypeEngine[Any]) -> Convert | None:
    return kind.dialect_impl(_DIALECT).bind_processor(_DIALECT)


def _from_driver(kind: TypeEngine[Any]) -> Convert | None:
    return kind.dialect_impl(_DIALECT).result_processor(_DIALECT, None)
