"""A cell's record is followed once.

The first statement takes the cell's row under a condition; who comes second changes nothing.
(cell, epoch) is unique, too.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, insert, update
from sqlalchemy.orm import Session

from backend.model.tables import Cell, Record


def follow(
    session: Session,
    cell: UUID,
    *still: ColumnElement[bool],
    record: str,
    epoch: int,
    now: datetime,
    **changed: Any,  # noqa: ANN401  # values of the columns of a cell
) -> bool:
    """Let a record follow the one that it names. Does not commit.

    Args:
        session: in whose transaction it happens.
        cell: whose record it is.
        still: what must be so of the cell besides.
        record: the next one.
        epoch: of it.
        now: the time.
        changed: what else of the cell's row follows from it.

    Returns:
        Whether it follows; ``False``: another does, or something is not so any more.
    """
    followed = session.scalar(
        update(Cell)
        .where(Cell.id == cell, Cell.epoch == epoch - 1, *still)
        .values(epoch=epoch, **changed)
        .returning(Cell.id)
        .execution_options(synchronize_session=False)
    )
    if followed is None:
        return False
    session.execute(insert(Record).values(cell_id=cell, epoch=epoch, record=record, created_at=now))
    return True
