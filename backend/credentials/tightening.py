"""A code stands for the phone no longer: to tighten a policy needs nobody's consent (design, 4).

1. Every cell of the signer that allows the method; one commit for all of them. It ends what would
   loosen a policy again, and takes back texts that nobody can use any more.
2. What is in flight by that method stops at the door, which asks the newest record.
3. A signer who has no phone takes nothing back alone: nothing would be left to approve by, and no
   phone to allow it again. That is for an operator, or for the freeze.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, and_, delete, exists, select, update
from sqlalchemy.orm import Session

from backend.delivery.bulk import buried_values
from backend.delivery.subscriptions import is_in_use
from backend.errors import AlreadyThere, NotFound
from backend.model.amendments import SEED_ROWS
from backend.model.epochs import follow
from backend.model.tables import (
    Cell,
    Device,
    OutboxMessage,
    Record,
    Transaction,
    TransactionState,
)
from backend.protocol.approval import CodeMethod
from backend.sam.amending import Amended, Amendments, Tighten
from backend.signing.amendable import end_asked

log = logging.getLogger(__name__)

MOST_ATTEMPTS: Final = 3
"""Where a record went on meanwhile."""
BY_CODE: Final = ("sign", "certificate_request")
"""What a code may approve; a pairing code goes on."""
BECAUSE: Final = "the policy was tightened"
_NO_SYNC: Final = {"synchronize_session": False}


def tighten_own(
    session: Session, amendments: Amendments, *, signer: UUID, method: CodeMethod, now: datetime
) -> bool:
    """Take a method back as the signer, who signed in; see :func:`tighten`. Commits.

    Raises:
        NotFound: no phone is left to approve by.
    """
    paired = session.scalar(
        select(exists().where(Cell.signer_id == signer, Device.cell_id == Cell.id, is_in_use()))
    )
    session.commit()
    if not paired:
        raise NotFound("no phone is left to approve by")
    return tighten(session, amendments, signer=signer, method=method, now=now)


def tighten(
    session: Session, amendments: Amendments, *, signer: UUID, method: CodeMethod, now: datetime
) -> bool:
    """Let a method by code count no more, in each cell of a signer. Commits.

    Returns:
        Whether it counted anywhere.

    Raises:
        AmendmentRefused: a record that is not ours, or one that allows nothing else.
        AlreadyThere: the records went on all the time; the same call may be repeated.
        SamUnavailable: the SAM does not answer; nothing has changed.
    """
    for _ in range(MOST_ATTEMPTS):
        held = _cells_with(session, signer, method)
        session.rollback()
        tightened = [
            amendments.tighten(Tighten(record=cell.record, method=method)) for cell in held
        ]
        if all(_keep(session, one, method, now=now) for one in tightened):
            session.commit()
            for one in tightened:
                log.warning("policy tightened", extra={"cell_id": one.cell, "method": method})
            return bool(tightened)
        session.rollback()
    raise AlreadyThere("the record goes on all the time")


def _cells_with(
    session: Session, signer: UUID, method: CodeMethod
) -> Sequence[Row[*tuple[Any, ...]]]:
    cells = session.execute(
        select(Cell.methods, Record.record)
        .join(Record, and_(Record.cell_id == Cell.id, Record.epoch == Cell.epoch))
        .where(Cell.signer_id == signer)
        .order_by(Cell.id)
    )
    return [cell for cell in cells if method in cell.methods.split()]


def _keep(session: Session, tightened: Amended, method: CodeMethod, *, now: datetime) -> bool:
    """Write the next epoch; ``False`` if the record went on. Does not commit."""
    cell = tightened.cell
    methods = " ".join(tightened.methods)
    if not follow(
        session, cell, record=tightened.record, epoch=tightened.epoch, now=now, methods=methods
    ):
        return False
    states = (TransactionState.PENDING, TransactionState.APPROVED)
    end_asked(session, cell, *states, because=BECAUSE)
    if method in SEED_ROWS:
        seeds = SEED_ROWS[method]
        of_cell = delete(seeds).where(seeds.cell_id == cell)
        session.execute(of_cell.execution_options(**_NO_SYNC))
    else:
        waiting = select(Transaction.id).where(
            Transaction.cell_id == cell,
            Transaction.state == TransactionState.PENDING,
            Transaction.kind.in_(BY_CODE),
        )
        session.execute(
            update(OutboxMessage)
            .where(
                OutboxMessage.transaction_id.in_(waiting),
                OutboxMessage.channel == "sms",
                OutboxMessage.sent_at.is_(None),
                OutboxMessage.dead_at.is_(None),
            )
            .values(**buried_values(now), last_error=BECAUSE)
            .execution_options(**_NO_SYNC)
        )
    return True
