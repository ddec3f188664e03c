"""A removed phone leaves the record. Removing needs nobody's consent (design, 4)."""

import logging
from datetime import datetime

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from backend.devices.enrolment.epochs import forget_phone
from backend.model.tables import Cell, Device, Record
from backend.sam.cells import Cells, RemoveDevice

log = logging.getLogger(__name__)


def remove(session: Session, cells: Cells, *, kid: bytes, now: datetime) -> bool:
    """Have the SAM leave a phone out of the record, and destroy its lock. Commits.

    Returns:
        Whether this call did it; ``False`` where another was faster, or there is no such phone.

    Raises:
        RecordRefused: the row holds what KS did not sign.
    """
    row = session.execute(
        select(Device.cell_id, Record.record)
        .join(Cell, Cell.id == Device.cell_id)
        .join(Record, and_(Record.cell_id == Cell.id, Record.epoch == Cell.epoch))
        .where(Device.kid == kid, Device.removed_at.is_(None))
    ).one_or_none()
    session.rollback()
    if row is None:
        return False
    following = cells.remove_device(RemoveDevice(record=row.record, kid=kid))
    if not forget_phone(session, cell=row.cell_id, kid=kid, following=following, now=now):
        session.rollback()
        return False
    session.commit()
    log.warning("phone removed", extra={"cell_id": row.cell_id})
    return True
