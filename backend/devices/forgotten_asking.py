"""The clerk asks a phone whether its owner forgot the password (``forgotten.py``).

1. Asked is the newest cell that has a phone. Who has none is asked nothing, and the page does not
   tell: an operator prints another envelope.
2. The first asks of an hour wake the phone, the others lie in its list (T-01).
3. Two clerks may come at once: the row takes one ask, and a signer has one at a time.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, exists, func, insert, select, update
from sqlalchemy.orm import Session

from backend.delivery.outbox import enqueue_push
from backend.delivery.subscriptions import is_in_use
from backend.devices.forgotten import TYPE_WITHIN
from backend.devices.forgotten_limits import KIND, WINDOW, may_be_asked
from backend.errors import AlreadyThere
from backend.model.tables import Cell, Device, ForgottenPassword, Signer, Transaction
from backend.protocol.ask import AskingParty
from backend.protocol.encoding import b64u
from backend.sam.transactions import OpenTransaction, Transactions
from backend.settings import Settings
from backend.signing.askable import language, read_cell
from backend.signing.request import AUTHORITY, transaction_row

log = logging.getLogger(__name__)

MOST_PUSHES: Final = 3
"""In an hour."""


def forgotten_to_ask(session: Session, now: datetime) -> Sequence[UUID]:
    """Name the requests whose signer has a phone to be asked, and has not been asked."""
    paired = (
        exists()
        .where(Cell.signer_id == ForgottenPassword.signer_id, Device.cell_id == Cell.id)
        .where(is_in_use())
    )
    return session.scalars(
        select(ForgottenPassword.id)
        .where(
            ForgottenPassword.expires_at > now,
            ForgottenPassword.transaction_id.is_(None),
            ForgottenPassword.signer_id.is_not(None),
            paired,
        )
        .order_by(ForgottenPassword.asked_at)
    ).all()


def ask_phone(
    session: Session,
    transactions: Transactions,
    *,
    asked: UUID,
    settings: Settings,
    now: datetime,
) -> UUID:
    """Ask the phone of who is said to have forgotten the password. Commits.

    Returns:
        The transaction.

    Raises:
        AlreadyThere: it was asked, or is not to be asked now; then nobody will.
        SignerFrozen: the signer's access is locked.
        SummaryRefused: the registered name cannot be shown.
        RecordRefused: the record does not allow it.
    """
    found = _found(session, asked)
    session.rollback()
    if found is None:
        raise AlreadyThere("there is no such request, or it was asked")
    cell = read_cell(session, found.cell)
    exp = int(found.expires_at.timestamp())
    ask = OpenTransaction(
        record=cell.record,
        kind=KIND,
        rp=AskingParty(id=AUTHORITY, name=settings.ca_name),
        lang=language(cell.lang),
        zone=cell.zone,
        fields={
            "type": KIND,
            "name": found.name,
            "begun_at": f"{found.asked_at:%Y-%m-%dT%H:%M:%SZ}",
            "session": b64u(found.secret_hash),
        },
        items=(),
        hash_alg=None,
        exp=exp,
        use_by=exp + int(TYPE_WITHIN.total_seconds()),
        number_asked=True,
    )
    opened = transactions.open_transaction(ask)
    row = transaction_row(cell, ask, opened, now=now) | {"number": found.number}
    if not _add(session, found, row, now=now):
        session.rollback()
        _drop(session, asked)
        raise AlreadyThere("this signer is not to be asked now")
    session.commit()
    log.info("a phone is asked for a new password", extra={"signer_id": found.signer_id})
    return opened.id


def _found(session: Session, asked: UUID) -> Row[*tuple[Any, ...]] | None:
    return session.execute(
        select(
            ForgottenPassword.id,
            ForgottenPassword.signer_id,
            ForgottenPassword.secret_hash,
            ForgottenPassword.number,
            ForgottenPassword.asked_at,
            ForgottenPassword.expires_at,
            Signer.name,
            Cell.id.label("cell"),
        )
        .join(Signer, Signer.id == ForgottenPassword.signer_id)
        .join(Cell, Cell.signer_id == Signer.id)
        .where(
            ForgottenPassword.id == asked,
            ForgottenPassword.transaction_id.is_(None),
            exists().where(Device.cell_id == Cell.id, is_in_use()),
        )
        .order_by(Cell.created_at.desc())
        .limit(1)
    ).one_or_none()


def _add(
    session: Session, found: Row[*tuple[Any, ...]], row: dict[str, object], *, now: datetime
) -> bool:
    """Write the ask, if the signer may be asked now; ``False`` if not. Does not commit."""
    signer: UUID = found.signer_id
    # The signer's row is locked: two clerks would both find that nothing runs.
    session.execute(select(Signer.id).where(Signer.id == signer).with_for_update(key_share=True))
    pushed = (
        select(func.count())
        .select_from(Transaction)
        .where(
            Transaction.signer_id == signer,
            Transaction.kind == KIND,
            Transaction.created_at > now - WINDOW,
        )
        .scalar_subquery()
    )
    earlier = session.scalar(
        select(pushed).where(Signer.id == signer, may_be_asked(Signer.id, now)).select_from(Signer)
    )
    if earlier is None:
        return False
    session.execute(insert(Transaction).values(row))
    taken = session.execute(
        update(ForgottenPassword)
        .where(ForgottenPassword.id == found.id, ForgottenPassword.transaction_id.is_(None))
        .values(transaction_id=row["id"])
        .returning(ForgottenPassword.id)
    ).first()
    if taken is None:
        return False
    if earlier < MOST_PUSHES:
        enqueue_push(
            session,
            transaction=row["id"],  # type: ignore[arg-type]  # the ask's id
            cell=found.cell,
            now=now,
            expires_at=found.expires_at,
        )
    return True


def _drop(session: Session, asked: UUID) -> None:
    """Let a request lead to nothing that came beside another one. Commits."""
    session.execute(
        update(ForgottenPassword)
        .where(ForgottenPassword.id == asked, ForgottenPassword.transaction_id.is_(None))
        .values(signer_id=None)
    )
    session.commit()
