"""Many rows as one value: what belongs to a row comes with it, in the same statement.

``json_rows(a, b)`` is the JSON array of ``[a, b]`` of all rows of a subquery, in no order.
"""

from typing import Any

from sqlalchemy import JSON, ColumnElement, SQLColumnExpression, String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

_NAMES = {
    "postgresql": ("json_agg", "json_build_array"),
    "sqlite": ("json_group_array", "json_array"),
}


class _JsonRows(FunctionElement[list[list[object]]]):
    type = JSON()
    inherit_cache = True


class _Hex(FunctionElement[str]):
    type = String()
    inherit_cache = True


def json_rows(*columns: SQLColumnExpression[Any]) -> ColumnElement[list[list[object]]]:
    """Put the columns of all rows into one JSON array; ``null`` where there is no row."""
    return _JsonRows(*columns)


def hex_of(octets: SQLColumnExpression[bytes]) -> ColumnElement[str]:
    """Octets as JSON can hold them."""
    return _Hex(octets)


@compiles(_JsonRows)
def _rows(element: _JsonRows, compiler: SQLCompiler, **options: object) -> str:
    many, one = _NAMES[compiler.dialect.name]
    return f"{many}({one}({compiler.process(element.clauses, **options)}))"


@compiles(_Hex, "postgresql")
def _hex_on_postgresql(element: _Hex, compiler: SQLCompiler, **options: object) -> str:
    return f"encode({compiler.process(element.clauses, **options)}, 'hex')"


@compiles(_Hex, "sqlite")
def _hex_on_sqlite(element: _Hex, compiler: SQLCompiler, **options: object) -> str:
    octets = compiler.process(element.clauses, **options)
    return f"CASE WHEN {octets} IS NOT NULL THEN hex({octets}) END"
