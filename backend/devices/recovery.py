"""The recovery lock: made by the phone under a code that the server never sees; kept here.

Only its owner can open it, so only its size can be checked. A false one costs nothing but recovery;
a newer one replaces it.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.access.phones import AuthenticatedPhone
from backend.model.tables import Lock
from backend.protocol.locks import check_recovery_lock
from backend.signers.freeze import refuse_frozen

KIND: Final = "recovery"
NO_HOLDER: Final = b""


def store_recovery_lock(
    session: Session, *, phone: AuthenticatedPhone, lock: str, now: datetime
) -> None:
    """Keep the phone's recovery lock in place of the one before. Commits.

    Raises:
        MalformedMessage: it has not the size of one.
        SignerFrozen: the signer's access is locked.
    """
    checked = check_recovery_lock(lock)
    refuse_frozen(session, phone.signer)
    if not _replace(session, phone, checked, now):
        _add(session, phone, checked, now)
    session.commit()


def _replace(session: Session, phone: AuthenticatedPhone, lock: str, now: datetime) -> bool:
    replaced = session.execute(
        update(Lock)
        .where(Lock.cell_id == phone.cell, Lock.kind == KIND, Lock.key_id == NO_HOLDER)
        .values(lock=lock, created_at=now)
        .returning(Lock.cell_id)
    )
    return replaced.first() is not None


def _add(session: Session, phone: AuthenticatedPhone, lock: str, now: datetime) -> None:
    """Add the first one; where another phone's came at the same time, the later one stands."""
    try:
        with session.begin_nested():
            session.execute(
                insert(Lock).values(
                    cell_id=phone.cell, kind=KIND, key_id=NO_HOLDER, lock=lock, created_at=now
                )
            )
    except IntegrityError:
        _replace(session, phone, lock, now)
