"""A further phone: a paired one asks for it, approves it, and the clerk ends it.

1. The ask holds the three thumbprints that the paired phone read from the new one's screen. The
   SAM believes no other keys under it, and no key that came only from the server.
2. One at a time: a newer ask ends the one before that has no answer yet. So many an hour.
3. It ends in one commit: record, phone, its lock and its pin come, the sealed secret goes. A crash
   before it leaves all as it was, and the clerk comes again.
4. A freeze, and the removal of the phone that approved, stop it up to that commit.
"""

import logging
from datetime import datetime, timedelta
from typing import Any, Final, final
from uuid import UUID

import msgspec
from sqlalchemy import Row, and_, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.access.phones import ProvenCall, use_up
from backend.devices.conflict import refuse_known_keys
from backend.devices.enrolment.epochs import add_phone
from backend.errors import EnrolmentRefused, TooManyRequests
from backend.model.epochs import follow
from backend.model.tables import (
    FURTHER,
    Approval,
    Cell,
    FurtherPhone,
    Record,
    Signer,
    Transaction,
    TransactionState,
)
from backend.protocol.ask import KeyThumbprints
from backend.sam.cells import Cells, Enrol, Enrolled
from backend.sam.transactions import Transactions
from backend.settings import Settings
from backend.signers.freeze import not_frozen
from backend.signing.evidence import approving_phone_stays
from backend.signing.moves import move
from backend.signing.request import add_enrolment, request_enrolment

log = logging.getLogger(__name__)

LIFE_SECONDS: Final = 900
"""From the QR code to the record."""
WINDOW: Final = timedelta(hours=1)
MOST_IN_WINDOW: Final = 10
"""Asks of one cell."""


@final
class AskedFurther(msgspec.Struct, frozen=True, kw_only=True):
    """What the paired phone now has to approve."""

    transaction: UUID
    expires_at: datetime


def ask_further(
    session: Session,
    transactions: Transactions,
    *,
    call: ProvenCall,
    prints: KeyThumbprints,
    settings: Settings,
    now: datetime,
) -> AskedFurther:
    """Ask, at a paired phone's wish, to enrol the phone with these keys. Commits.

    Args:
        session: no transaction of it is open while the SAM works.
        transactions: who signs the ask.
        call: by the paired phone; its proof is used up.
        prints: what that phone read from the new one's screen.
        settings: the authority's name.
        now: from when on.

    Raises:
        SignerFrozen: the signer's access is locked.
        EnrolmentRefused: one of the keys is paired already.
        TooManyRequests: it was asked too often.
        RequestRefused: the keys are not three.
        ProofReplayed: the request came before.
    """
    phone = call.phone
    refuse_known_keys(session, prints)
    name, asked = session.execute(
        select(Signer.name, _asked_since(phone.cell, now - WINDOW)).where(Signer.id == phone.signer)
    ).one()
    session.rollback()
    if asked >= MOST_IN_WINDOW:
        raise TooManyRequests(
            "too many further phones were asked for",
            retry_after_seconds=int(WINDOW.total_seconds()),
        )
    opened = request_enrolment(
        session,
        transactions,
        cell=phone.cell,
        signer_name=name,
        settings=settings,
        now=now,
        use_seconds=LIFE_SECONDS,
        further=prints,
    )
    use_up(session, call.proof)
    _end_others(session, phone.cell)
    add_enrolment(session, opened)
    session.execute(
        insert(FurtherPhone).values(
            transaction_id=opened.id, request_kid=bytes(prints.request), asked_at=now
        )
    )
    session.commit()
    log.info("a further phone is asked for", extra={"cell_id": phone.cell})
    return AskedFurther(transaction=opened.id, expires_at=opened.expires_at)


def finish_further(session: Session, cells: Cells, *, transaction: UUID, now: datetime) -> bool:
    """Have the SAM believe the phone that another one approved. Commits.

    Returns:
        Whether this call did it; ``False`` where something stands against it, or another was
        faster.
    """
    found = _found(session, transaction, now)
    session.rollback()
    if found is None:
        return False
    try:
        enrolled = cells.enrol(
            Enrol(
                record=found.record,
                blob=found.blob,
                ask=found.ask,
                enrolment=found.enrolment,
                sealed=found.sealed,
                approval=found.approval,
                password_proof=None,
                code=None,
                operator=None,
            )
        )
        if _believe(session, found, enrolled, now=now):
            session.commit()
            log.warning("a further phone is paired", extra={"cell_id": found.cell_id})
            return True
        session.rollback()
    except EnrolmentRefused as refusal:
        _fail(session, found, because=str(refusal))
    except IntegrityError:
        session.rollback()
        _fail(session, found, because="these keys are paired already")
    return False


def _asked_since(cell: UUID, since: datetime) -> Any:  # noqa: ANN401  # a scalar subquery of int
    return (
        select(func.count())
        .select_from(Transaction)
        .where(
            Transaction.cell_id == cell,
            Transaction.kind == FURTHER,
            Transaction.created_at > since,
        )
        .scalar_subquery()
    )


def _end_others(session: Session, cell: UUID) -> None:
    """Rule 2."""
    session.execute(
        update(Transaction)
        .where(
            Transaction.cell_id == cell,
            Transaction.kind == FURTHER,
            Transaction.state == TransactionState.PENDING,
        )
        .values(state=TransactionState.CANCELLED, ended_because="another phone was asked for")
        .execution_options(synchronize_session=False)
    )


def _found(session: Session, transaction: UUID, now: datetime) -> Row[*tuple[Any, ...]] | None:
    """Read all that the SAM is shown; the freeze in the same statement."""
    return session.execute(
        select(
            Transaction.id,
            Transaction.cell_id,
            Transaction.ask,
            FurtherPhone.enrolment,
            Approval.approval,
            Approval.sealed,
            Record.record,
            Cell.blob,
        )
        .join(FurtherPhone, FurtherPhone.transaction_id == Transaction.id)
        .join(Approval, Approval.transaction_id == Transaction.id)
        .join(Cell, Cell.id == Transaction.cell_id)
        .join(Record, and_(Record.cell_id == Cell.id, Record.epoch == Cell.epoch))
        .where(
            Transaction.id == transaction,
            Transaction.kind == FURTHER,
            Transaction.state == TransactionState.APPROVED,
            Transaction.use_by > now,
            FurtherPhone.enrolment.is_not(None),
            not_frozen(Transaction.signer_id),
            approving_phone_stays(Transaction.id),
        )
    ).one_or_none()


def _believe(
    session: Session, found: Row[*tuple[Any, ...]], enrolled: Enrolled, *, now: datetime
) -> bool:
    """Write the phone; ``False`` if it may not be any more. Does not commit."""
    stays = (not_frozen(Transaction.signer_id), approving_phone_stays(Transaction.id))
    if not move(session, found.id, TransactionState.REDEEMED, *stays):
        return False
    if not follow(session, found.cell_id, record=enrolled.record, epoch=enrolled.epoch, now=now):
        return False
    add_phone(session, found.cell_id, enrolled, now=now)
    session.execute(
        update(FurtherPhone)
        .where(FurtherPhone.transaction_id == found.id)
        .values(kid=enrolled.kid, pin=enrolled.pin)
    )
    return True


def _fail(session: Session, found: Row[*tuple[Any, ...]], *, because: str) -> None:
    log.warning("a further phone is refused", extra={"cell_id": found.cell_id, "reason": because})
    move(session, found.id, TransactionState.FAILED, ended_because=because)
    session.commit()
