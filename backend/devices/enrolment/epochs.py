"""The record's next epoch and the views that follow it, in one commit.

Each function's first statement takes the row that decides, under a condition; who comes second
changes nothing (``model/epochs.py``).
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, insert, update
from sqlalchemy.orm import Session

from backend.devices.enrolment.held import HeldPairing
from backend.model.epochs import follow
from backend.model.tables import (
    Device,
    Enrolment,
    Lock,
    Pairing,
    PairingState,
    PushSubscription,
    TransactionState,
)
from backend.sam.cells import Enrolled, NextRecord
from backend.signers.freeze import not_frozen
from backend.signing.moves import move


def believe(session: Session, held: HeldPairing, enrolled: Enrolled, *, now: datetime) -> bool:
    """Write a phone that the SAM believes; ``False`` if the pairing is not waiting any more.

    Does not commit.
    """
    confirmed = session.execute(
        update(Pairing)
        .where(
            Pairing.id == held.pairing,
            Pairing.state == PairingState.ENROLLED,
            Pairing.transaction_id == held.transaction,
            not_frozen(Pairing.signer_id),
        )
        .values(state=PairingState.CONFIRMED)
        .returning(Pairing.id)
    ).first()
    if confirmed is None or not follow(
        session, held.cell, record=enrolled.record, epoch=enrolled.epoch, now=now
    ):
        return False
    add_phone(session, held.cell, enrolled, now=now)
    session.execute(delete(Lock).where(Lock.cell_id == held.cell, Lock.kind == "envelope"))
    session.execute(
        update(Enrolment).where(Enrolment.pairing_id == held.pairing).values(sealed=None)
    )
    # The confirmation is the ask's approval, and uses it up at once.
    move(session, held.transaction, TransactionState.APPROVED, answered_at=now)
    move(session, held.transaction, TransactionState.REDEEMED)
    return True


def add_phone(session: Session, cell: UUID, enrolled: Enrolled, *, now: datetime) -> None:
    """Write the views of a phone that a record names, and its lock. Does not commit."""
    phone = {"kid": enrolled.kid, "request_kid": enrolled.request_kid, "kind": enrolled.kind}
    session.execute(insert(Device).values(phone | {"cell_id": cell, "paired_at": now}))
    lock = {"kind": "device", "key_id": enrolled.kid, "lock": enrolled.device_lock}
    session.execute(insert(Lock).values(lock | {"cell_id": cell, "created_at": now}))


def forget_phone(
    session: Session, *, cell: UUID, kid: bytes, following: NextRecord, now: datetime
) -> bool:
    """Write the record without a phone; ``False`` if it went on meanwhile. Does not commit."""
    if not follow(session, cell, record=following.record, epoch=following.epoch, now=now):
        return False
    session.execute(update(Device).where(Device.kid == kid).values(removed_at=now))
    session.execute(
        delete(Lock).where(Lock.cell_id == cell, Lock.kind == "device", Lock.key_id == kid)
    )
    session.execute(delete(PushSubscription).where(PushSubscription.kid == kid))
    return True
