"""A phone is removed: from the request on it is refused; the record follows (T-37, R-045).

No SAM here. :func:`backend.devices.enrolment.removal.remove` makes the record's next epoch; the
clerk finds what is asked by :func:`asked_removals`.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from backend.access.phones import AuthenticatedPhone
from backend.errors import NotFound
from backend.model.tables import Device, PushSubscription

log = logging.getLogger(__name__)


def ask_removal(session: Session, *, phone: AuthenticatedPhone, kid: bytes, now: datetime) -> None:
    """Stop a phone of the same cell, perhaps the one that asks. Commits.

    Raises:
        NotFound: the cell has no such phone.
    """
    asked = session.execute(
        update(Device)
        .where(Device.kid == kid, Device.cell_id == phone.cell, Device.removed_at.is_(None))
        .values(removal_asked_at=func.coalesce(Device.removal_asked_at, now))
        .returning(Device.kid)
    ).first()
    if asked is None:
        session.rollback()
        raise NotFound("the cell has no such phone")
    session.execute(delete(PushSubscription).where(PushSubscription.kid == kid))
    session.commit()
    log.warning("removal of a phone asked", extra={"cell_id": phone.cell})


def stop_phones(session: Session, *, cell: UUID, now: datetime) -> None:
    """Stop every phone of a cell, as the signer told an operator. Does not commit."""
    session.execute(
        update(Device)
        .where(Device.cell_id == cell, Device.removed_at.is_(None))
        .values(removal_asked_at=func.coalesce(Device.removal_asked_at, now))
        .execution_options(synchronize_session=False)
    )
    of_cell = select(Device.kid).where(Device.cell_id == cell)
    session.execute(
        delete(PushSubscription)
        .where(PushSubscription.kid.in_(of_cell))
        .execution_options(synchronize_session=False)
    )
    log.warning("removal of all phones asked", extra={"cell_id": cell})


def asked_removals(session: Session) -> Sequence[bytes]:
    """Name the phones whose removal the records do not know yet."""
    return session.scalars(
        select(Device.kid).where(Device.removal_asked_at.is_not(None), Device.removed_at.is_(None))
    ).all()
