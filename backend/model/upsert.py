"""``INSERT … ON CONFLICT``, which both our databases have and SQLAlchemy spells twice.

What stands in a conflict's ``WHERE`` is asked of the newest version of the row, under its lock: two
that come at once are counted one after the other.
"""

from collections.abc import Mapping
from typing import Any, cast

from sqlalchemy import ColumnElement, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from backend.model.base import Base

Upsert = postgresql.Insert | sqlite.Insert


def upsert(
    table: type[Base],
    values: Mapping[str, ColumnElement[Any]],
    *,
    otherwise: Mapping[str, ColumnElement[Any]],
    where: ColumnElement[bool],
    on_postgresql: bool,
) -> Upsert:
    """Make the statement, for one of the databases; its parameters come with each execution.

    Args:
        table: where the row belongs.
        values: of a new row.
        otherwise: what a row of that primary key gets instead.
        where: only if this holds for that row; else nothing is written or returned.
        on_postgresql: else on SQLite.
    """
    core = table_of(table)
    keys = list(core.primary_key)
    insert = postgresql.insert if on_postgresql else sqlite.insert
    return (
        insert(core)
        .values(values)
        .on_conflict_do_update(index_elements=keys, set_=otherwise, where=where)
    )


def table_of(model: type[Base]) -> Table:
    """Give the table without the ORM, which is slow to make statements of."""
    return cast("Table", model.__table__)


def is_postgresql(session: Session) -> bool:
    """Tell which of the two databases it is."""
    return session.get_bind().dialect.name == "postgresql"
