"""``INSERT … ON CONFLICT``, which both our databases have and SQLAlchemy spells twice.

What stands in a conflict's ``WHERE`` is asked of the newest version of the row, under its lock: two
that come at once are counted one after the other.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from backend.model.base import Base

Upsert = postgresql.Insert | sqlite.Insert


def upsert(
    session: Session,
    table: type[Base],
    values: Mapping[str, object],
    *,
    otherwise: Mapping[str, ColumnElement[Any] | object],
    where: ColumnElement[bool],
) -> Upsert:
    """Make the statement; nothing is executed.

    Args:
        session: whose database it is for.
        table: where the row belongs.
        values: of a new row.
        otherwise: what a row of that primary key gets instead.
        where: only if this holds for that row; else nothing is written or returned.
    """
    keys = list(table.__table__.primary_key)
    insert = postgresql.insert if is_postgresql(session) else sqlite.insert
    return (
        insert(table)
        .values(values)
        .on_conflict_do_update(index_elements=keys, set_=otherwise, where=where)
    )


def is_postgresql(session: Session) -> bool:
    """Tell which of the two databases it is."""
    return session.get_bind().dialect.name == "postgresql"
