"""A code of an app that counts is used up by the record's next epoch, kept with the approval.

1. One commit holds both: no approval stands whose code the record does not say to be used up.
2. A record is followed once. Who was beaten to its next epoch, by another code or by whatever else
   changes a record, has approved nothing, and is told so.
3. Where the approval comes too late the record is kept all the same: its code was typed.
"""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.orm import Session

from backend.errors import AlreadyThere
from backend.model.epochs import follow
from backend.model.tables import Approval, Transaction, TransactionState
from backend.signers.freeze import not_frozen
from backend.signing.moves import in_time, move


def keep_counted(
    session: Session,
    transaction: UUID,
    kept: Mapping[str, object],
    *,
    cell: UUID,
    record: str,
    epoch: int,
    now: datetime,
) -> bool:
    """Keep an approval by an app that counts, and the record that follows. Commits.

    Args:
        session: in one transaction of which it happens.
        transaction: what is answered.
        kept: as in ``approval.keep_approval``.
        cell: whose record it is.
        record: the next one, which says that the code is used up.
        epoch: of it.
        now: the time.

    Returns:
        Whether the approval was kept; ``False``: the transaction is over, or its signer frozen.

    Raises:
        AlreadyThere: the record went on meanwhile. Nothing was kept; the app's next code may do.
    """
    approval = {**kept, "transaction_id": transaction}
    moved = move(
        session,
        transaction,
        TransactionState.APPROVED,
        in_time(now),
        not_frozen(Transaction.signer_id),
        answered_at=now,
        method=str(approval.pop("method")),
    )
    if not follow(session, cell, record=record, epoch=epoch, now=now):
        session.rollback()
        if moved:
            raise AlreadyThere("the record went on meanwhile")
        return False
    if moved:
        session.execute(insert(Approval).values(approval))
    session.commit()
    return moved
