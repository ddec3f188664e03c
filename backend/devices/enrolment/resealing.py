"""Password locks under a new password take the place of those that they were made from.

What a lock opens for follows from its cell's policy, so another lock may have taken its place
while the SAM worked: then nothing is written, or verifier and lock would be of two passwords.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.orm import Session

from backend.devices.enrolment.held import PASSWORD_LOCK
from backend.model.tables import Lock
from backend.sam.cells import PasswordLock


def reseal(session: Session, held: Mapping[UUID, PasswordLock], sealed: Sequence[str]) -> bool:
    """Write each; ``False`` where one was replaced meanwhile. Does not commit."""
    return all(
        session.scalar(
            update(Lock)
            .where(Lock.cell_id == cell, Lock.kind == PASSWORD_LOCK, Lock.lock == before.lock)
            .values(lock=lock)
            .returning(Lock.cell_id)
            .execution_options(synchronize_session=False)
        )
        for (cell, before), lock in zip(held.items(), sealed, strict=True)
    )
