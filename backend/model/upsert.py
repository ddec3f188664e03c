"""``INSERT … ON CONFLICT``, which both our databases have and SQLAlchemy spells twice.

What stands in a conflict's ``WHERE`` is asked of the newest version of the row, under its lock: two
that come at once are counted one after the other.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, FromClause, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from backend.model.base import Base
from backend.model.steps import table_of

Upsert = postgresql.Insert | sqlite.Insert


def upsert(
    table: type[Base],
    values: Mapping[str, ColumnElement[Any]],
    *,
    otherwise: Mapping[str, ColumnElement[Any]],
    where: ColumnElement[bool],
    on_postgresql: bool,
    beside: FromClause | None = None,
) -> Upsert:
    """Make the statement, for one of the databases; its parameters come with each execution.

    Args:
        table: where the row belongs.
        values: of a new row.
        otherwise: what a row of that primary key gets instead.
        where: only if this holds for that row; else nothing is written or returned.
        on_postgresql: else on SQLite.
        beside: only if there is a row of this.
    """
    core = table_of(table)
    keys = list(core.primary_key)
    insert = postgresql.insert(core) if on_postgresql else sqlite.insert(core)
    if beside is None:
        insert = insert.values(values)
    else:
        rows = select(*values.values()).select_from(beside)
        insert = insert.from_select(list(values), rows, include_defaults=False)
    return insert.on_conflict_do_update(index_elements=keys, set_=otherwise, where=where)


def is_postgresql(session: Session) -> bool:
    """Tell which of the two databases it is."""
    return session.get_bind().dialect.name == "postgresql"
