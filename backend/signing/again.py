"""A signer who waits in a browser has the phone woken again.

It counts like every other push for that relying party (``delivery/wakes.py``): who presses again
and again soon meets silence, and the request is on the phone all the same (T-01).
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from backend.delivery.outbox import enqueue_push, is_open
from backend.delivery.wakes import may_wake, wake_parameters
from backend.model.tables import OutboxMessage, Transaction, TransactionState
from backend.model.upsert import is_postgresql
from backend.settings import Settings


def send_again(session: Session, *, transaction: UUID, settings: Settings, now: datetime) -> bool:
    """Wake the phones of a transaction that has no answer yet. Commits.

    Returns:
        Whether a message is on its way; one that has not left yet is.
    """
    under_way = exists().where(OutboxMessage.transaction_id == Transaction.id, is_open())
    found = session.execute(
        select(
            Transaction.signer_id,
            Transaction.relying_party_id,
            Transaction.cell_id,
            Transaction.expires_at,
            under_way.label("under_way"),
        ).where(
            Transaction.id == transaction,
            Transaction.state == TransactionState.PENDING,
            Transaction.expires_at > now,
            Transaction.relying_party_id.is_not(None),
        )
    ).one_or_none()
    if found is None or found.under_way:
        session.commit()
        return found is not None
    at_once = settings.pushes_per_ten_minutes
    counted = session.execute(
        may_wake(at_once=at_once, on_postgresql=is_postgresql(session)),
        wake_parameters(
            signer=found.signer_id,
            relying_party=found.relying_party_id,
            transaction=transaction,
            at_once=at_once,
            now=now,
        ),
    ).first()
    if counted is not None:
        enqueue_push(
            session,
            transaction=transaction,
            cell=found.cell_id,
            now=now,
            expires_at=found.expires_at,
        )
    session.commit()
    return counted is not None
