"""Two phones for one envelope: one of them is not the signer's (T-02).

1. The same keys are the same use.
2. Other keys, while one phone waits to be confirmed, freeze the pairing for good: an operator
   has to print another envelope. It is reported.
3. Other keys after the confirmation are refused and reported; the paired phone is not touched.
"""

import logging
from datetime import datetime
from typing import Final, Never
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from backend.errors import EnrolmentRefused, PairingConflict
from backend.model.tables import (
    Device,
    Enrolment,
    Pairing,
    PairingState,
    Transaction,
    TransactionState,
)
from backend.protocol.ask import KeyThumbprints
from backend.protocol.enrolment import EnrolmentClaims

log = logging.getLogger(__name__)

OPEN_STATES: Final = (PairingState.PRINTED, PairingState.ENROLLED)


def refuse_other_phone(
    session: Session, *, pairing: UUID, claims: EnrolmentClaims, now: datetime
) -> None:
    """Go no further where another phone waits for its confirmation under an earlier ticket.

    Raises:
        PairingConflict: one does; the pairing is frozen now.
    """
    waiting = session.scalars(
        select(Enrolment.kid)
        .join(Transaction, Transaction.id == Enrolment.transaction_id)
        .where(
            Enrolment.pairing_id == pairing,
            Enrolment.kid != claims.keys.approval.thumbprint(),
            Transaction.use_by > now,
            Transaction.state != TransactionState.FAILED,
        )
    ).first()
    if waiting is not None:
        _freeze(session, pairing)


def refuse_known_keys(session: Session, prints: KeyThumbprints) -> None:
    """Go no further with the keys of a phone that is, or was, paired.

    Raises:
        EnrolmentRefused: they are.
    """
    known = select(Device.kid).where(
        or_(Device.kid == prints.approval, Device.request_kid == prints.request)
    )
    if session.scalars(known).first() is not None:
        raise EnrolmentRefused(3, "these keys are paired already: make new ones")


def refuse_other_use(
    session: Session, *, pairing: UUID, first_kid: bytes, claims: EnrolmentClaims
) -> Never:
    """Refuse another enrolment than the first one for an ask.

    Raises:
        PairingConflict: always; for other keys before the confirmation the pairing is frozen now.
    """
    if first_kid == claims.keys.approval.thumbprint():
        raise PairingConflict("another enrolment of these keys came first; send that one again")
    _freeze(session, pairing)


def _freeze(session: Session, pairing: UUID) -> Never:
    frozen = session.execute(
        update(Pairing)
        .where(Pairing.id == pairing, Pairing.state.in_(OPEN_STATES))
        .values(state=PairingState.FROZEN)
        .returning(Pairing.id)
    ).first()
    session.execute(update(Enrolment).where(Enrolment.pairing_id == pairing).values(sealed=None))
    session.commit()
    what = "two phones used one envelope" if frozen else "another phone used a used envelope"
    log.warning(what, extra={"pairing_id": pairing})
    raise PairingConflict("another phone used the same envelope")
