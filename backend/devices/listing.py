"""The phones of a cell, as one of them shows them to its owner; and its own lock."""

from datetime import datetime
from typing import final

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.access.phones import AuthenticatedPhone
from backend.errors import NotFound
from backend.model.tables import Device, Lock


@final
class ListedDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A phone that is paired, or was until its removal was asked for."""

    kid: bytes
    kind: str
    paired_at: datetime
    this: bool
    """The phone that asks."""
    removal_asked: bool


def phones_of(session: Session, *, phone: AuthenticatedPhone) -> tuple[ListedDevice, ...]:
    """List the phones of the asking phone's cell, the oldest first. Commits."""
    rows = session.scalars(
        select(Device)
        .where(Device.cell_id == phone.cell, Device.removed_at.is_(None))
        .order_by(Device.paired_at, Device.kid)
    ).all()
    session.commit()
    return tuple(
        ListedDevice(
            kid=row.kid,
            kind=row.kind,
            paired_at=row.paired_at,
            this=row.kid == phone.kid,
            removal_asked=row.removal_asked_at is not None,
        )
        for row in rows
    )


def lock_of(session: Session, *, phone: AuthenticatedPhone) -> str:
    """Give a phone its lock. Commits, which ends the read.

    Raises:
        NotFound: there is none.
    """
    lock = session.scalar(
        select(Lock.lock).where(
            Lock.cell_id == phone.cell, Lock.kind == "device", Lock.key_id == phone.kid
        )
    )
    session.commit()
    if lock is None:
        raise NotFound("this phone has no lock")
    return lock
