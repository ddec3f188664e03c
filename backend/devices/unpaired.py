"""Cells that no phone was ever paired with: what is destroyed when an envelope did not print.

The rows stay, and say who printed what and when (T-10); blob, locks and seals go, so that nothing
opens such a cell, not even the envelope.
"""

from uuid import UUID

from sqlalchemy import delete, exists, or_, select, update
from sqlalchemy.orm import Session

from backend.errors import AlreadyThere
from backend.model.tables import (
    Cell,
    Enrolment,
    Lock,
    Pairing,
    PairingState,
    Transaction,
    TransactionState,
)


def refuse_paired(session: Session, signer: UUID) -> None:
    """Go no further for a signer who has a paired phone or a certificate.

    Raises:
        AlreadyThere: the signer has; what was not committed is rolled back.
    """
    paired = exists().where(Pairing.signer_id == signer, Pairing.state == PairingState.CONFIRMED)
    certified = exists().where(Cell.signer_id == signer, Cell.certificate.is_not(None))
    if session.scalar(select(or_(paired, certified))):
        session.rollback()
        raise AlreadyThere("a phone is paired already; nothing was printed or destroyed")


def destroy_unpaired(session: Session, signer: UUID) -> None:
    """Make the signer's cells worthless; :func:`refuse_paired` is asked afterwards."""
    cells = select(Cell.id).where(Cell.signer_id == signer)
    session.execute(
        update(Pairing)
        .where(Pairing.signer_id == signer, Pairing.state != PairingState.CONFIRMED)
        .values(state=PairingState.FROZEN)
    )
    session.execute(
        update(Transaction)
        .where(Transaction.cell_id.in_(cells), Transaction.state == TransactionState.PENDING)
        .values(state=TransactionState.CANCELLED, ended_because="another envelope was printed")
    )
    session.execute(delete(Lock).where(Lock.cell_id.in_(cells)))
    session.execute(
        update(Enrolment)
        .where(Enrolment.pairing_id.in_(select(Pairing.id).where(Pairing.signer_id == signer)))
        .values(sealed=None)
    )
    session.execute(update(Cell).where(Cell.signer_id == signer).values(blob=b""))
