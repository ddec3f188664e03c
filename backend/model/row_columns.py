"""Many rows as one value: what belongs to a row comes with it, in the same statement.

``row_columns(a, b)`` holds of all rows of a subquery first every ``a``, then every ``b``, in one
order, which may be any. Arrays of PostgreSQL are read three times as fast as JSON; SQLite has JSON.
"""

from collections.abc import Sequence
from typing import Any, final

from sqlalchemy import ARRAY, JSON, ColumnElement, Dialect, SQLColumnExpression, String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

Columns = list[list[Any]]
"""As text, or as numbers and text where the engine has them."""


@final
class _Lists(TypeDecorator[Columns]):
    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Arrays where there are some."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(ARRAY(String, dimensions=2))
        return dialect.type_descriptor(JSON())


class _RowColumns(FunctionElement[Columns]):
    type = _Lists()
    inherit_cache = True


class _Hex(FunctionElement[str]):
    type = String()
    inherit_cache = True


def row_columns(*columns: SQLColumnExpression[Any]) -> ColumnElement[Columns]:
    """Put the columns of all rows side by side; each is empty, or there is none, without rows."""
    return _RowColumns(*columns)


def hex_of(octets: SQLColumnExpression[bytes]) -> ColumnElement[str]:
    """Octets as text can hold them."""
    return _Hex(octets)


def rows_in_order(columns: Sequence[Sequence[Any]] | None) -> list[tuple[Any, ...]]:
    """Give the rows again, ordered by their first column, a number that each has alone."""
    if not columns:
        return []
    numbers, *others = columns
    return sorted(zip(map(int, numbers), *others, strict=True))


@compiles(_RowColumns, "postgresql")
def _as_arrays(element: _RowColumns, compiler: SQLCompiler, **options: object) -> str:
    each = (compiler.process(one, **options) for one in element.clauses)
    return f"ARRAY[{', '.join(f'array_agg(CAST({one} AS text))' for one in each)}]"


@compiles(_RowColumns, "sqlite")
def _as_json(element: _RowColumns, compiler: SQLCompiler, **options: object) -> str:
    each = (compiler.process(one, **options) for one in element.clauses)
    return f"json_array({', '.join(f'json_group_array({one})' for one in each)})"


@compiles(_Hex, "postgresql")
def _hex_on_postgresql(element: _Hex, compiler: SQLCompiler, **options: object) -> str:
    return f"encode({compiler.process(element.clauses, **options)}, 'hex')"


@compiles(_Hex, "sqlite")
def _hex_on_sqlite(element: _Hex, compiler: SQLCompiler, **options: object) -> str:
    octets = compiler.process(element.clauses, **options)
    return f"CASE WHEN {octets} IS NOT NULL THEN hex({octets}) END"
