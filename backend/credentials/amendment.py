"""What the signer allowed on the phone becomes the record's: the clerk's part.

1. The SAM asks its own rules again (``sam/amendments.py``); rows decide nothing.
2. One commit holds the record's next epoch, the password lock that fits it, and the end of the ask,
   by which what the phone sealed is erased. A crash before it costs nothing: the clerk comes again.
3. A lock that was sealed anew under another password meanwhile, or destroyed, is not replaced: then
   it is over, and the signer asks again.
4. A freeze, and the removal of the phone that approved, stop it up to that commit (T-37).
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, delete, select, update
from sqlalchemy.orm import Session

from backend.errors import AlreadyThere, AmendmentRefused
from backend.model.epochs import follow
from backend.model.tables import (
    Amendment,
    Approval,
    Cell,
    HotpSeed,
    Lock,
    Record,
    SeedRow,
    TotpSeed,
    Transaction,
    TransactionState,
)
from backend.protocol.encoding import sha256
from backend.sam.amending import Amend, Amended, Amendments
from backend.signers.freeze import not_frozen
from backend.signing.evidence import approving_phone_stays
from backend.signing.moves import move

log = logging.getLogger(__name__)


def approved_amendments(session: Session, now: datetime) -> Sequence[UUID]:
    """Name the asks of kind ``amend`` that a phone approved."""
    return session.scalars(
        select(Transaction.id)
        .join(Amendment, Amendment.transaction_id == Transaction.id)
        .where(
            Transaction.state == TransactionState.APPROVED,
            Transaction.use_by > now,
            not_frozen(Transaction.signer_id),
            approving_phone_stays(Transaction.id),
        )
        .order_by(Transaction.created_at)
    ).all()


def finish_amendment(
    session: Session, amendments: Amendments, *, transaction: UUID, now: datetime
) -> bool:
    """Have the SAM make the record's next epoch, and write what follows from it. Commits.

    Returns:
        Whether the method is allowed now; ``False``: the SAM refused, or the password was changed.

    Raises:
        AlreadyThere: another clerk was faster, or the record went on meanwhile; come again.
    """
    held = _read(session, transaction)
    session.rollback()
    if held.sealed is None or _hash(held.old_lock) != held.replaces:
        return _fail(session, transaction, because="the password was changed meanwhile")
    try:
        amended = amendments.amend(
            Amend(
                record=held.record,
                blob=held.blob,
                ask=held.ask,
                approval=held.approval,
                sealed=held.sealed,
            )
        )
    except AmendmentRefused as refusal:
        return _fail(session, transaction, because=str(refusal))
    if not _keep(session, transaction, held, amended, now):
        session.rollback()
        raise AlreadyThere("the record went on, or the ask is over")
    session.commit()
    log.warning("policy loosened", extra={"cell_id": amended.cell, "transaction_id": transaction})
    return True


def _read(session: Session, transaction: UUID) -> Row[*tuple[Any, ...]]:
    found = session.execute(
        select(
            Cell.id.label("cell"),
            Cell.blob,
            Record.record,
            Transaction.ask,
            Approval.approval,
            Approval.sealed,
            Amendment.lock,
            Amendment.replaces,
            Lock.lock.label("old_lock"),
        )
        .join(Cell, Cell.id == Transaction.cell_id)
        .join(Record, and_(Record.cell_id == Cell.id, Record.epoch == Cell.epoch))
        .join(Amendment, Amendment.transaction_id == Transaction.id)
        .join(Approval, Approval.transaction_id == Transaction.id)
        .outerjoin(Lock, and_(Lock.cell_id == Cell.id, Lock.kind == "password"))
        .where(Transaction.id == transaction)
    ).one_or_none()
    if found is None:
        raise AlreadyThere("there is no such amendment to finish")
    return found


def _hash(lock: str | None) -> bytes:
    return bytes(sha256((lock or "").encode("ascii", "replace")))


def _keep(
    session: Session,
    transaction: UUID,
    held: Row[*tuple[Any, ...]],
    amended: Amended,
    now: datetime,
) -> bool:
    """Write it, if the ask waits for it, and lock and record are still those it was made from."""
    stays = (not_frozen(Transaction.signer_id), approving_phone_stays(Transaction.id))
    redeemed = move(session, transaction, TransactionState.REDEEMED, *stays)
    followed = follow(
        session,
        held.cell,
        record=amended.record,
        epoch=amended.epoch,
        now=now,
        methods=" ".join(amended.methods),
    )
    sealed_anew = session.scalar(
        update(Lock)
        .where(Lock.cell_id == held.cell, Lock.kind == "password", Lock.lock == held.old_lock)
        .values(lock=held.lock, created_at=now)
        .returning(Lock.cell_id)
    )
    if not redeemed or not followed or sealed_anew is None:
        return False
    _throw_away(session, TotpSeed, cell=held.cell, counts=amended.totp)
    _throw_away(session, HotpSeed, cell=held.cell, counts=amended.hotp)
    return True


def _throw_away(session: Session, seeds: SeedRow, *, cell: UUID, counts: bytes | None) -> None:
    """Delete a cell's seeds of a kind beside the one that counts now, if one does."""
    if counts is not None:
        session.execute(
            delete(seeds)
            .where(seeds.cell_id == cell, seeds.seed_hash != counts)
            .execution_options(synchronize_session=False)
        )


def _fail(session: Session, transaction: UUID, *, because: str) -> bool:
    """End what will not be believed. Commits."""
    move(session, transaction, TransactionState.FAILED, ended_because=because)
    session.commit()
    log.warning("amendment refused", extra={"transaction_id": transaction, "reason": because})
    return False
