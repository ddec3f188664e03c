"""What the authority's people see of transactions: how far each is, never what it says."""

from datetime import datetime
from typing import Any, Final, final
from uuid import UUID

import msgspec
from sqlalchemy import Row, Select, and_, func, select
from sqlalchemy.orm import Session

from backend.errors import NotFound
from backend.model.tables import (
    Approval,
    AuthorisedHash,
    Device,
    RelyingParty,
    Signature,
    Signer,
    Transaction,
    TransactionState,
)
from backend.signing.moves import state_at

MOST_LISTED: Final = 100


@final
class TransactionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One transaction, as ``cellkey transaction`` shows it."""

    id: UUID
    kind: str
    state: TransactionState
    signer: str
    """Login."""
    relying_party: str | None
    """``client_id``; ``None`` where the authority asks."""
    created_at: datetime
    expires_at: datetime
    use_by: datetime
    sent_at: datetime | None
    delivered_at: datetime | None
    seen_at: datetime | None
    answered_at: datetime | None
    method: str | None
    """How the signer approved: ``app``, or by password and a code."""
    phone: str | None
    """On which kind of phone, by the phone's own word."""
    ended_because: str | None
    hashes: int
    signed: int


def list_transactions(session: Session, *, now: datetime) -> tuple[TransactionSummary, ...]:
    """List the newest transactions. Commits, which ends the read."""
    rows = session.execute(
        _summaries().order_by(Transaction.created_at.desc(), Transaction.id).limit(MOST_LISTED)
    ).all()
    session.commit()
    return tuple(_summary(row, now) for row in rows)


def show_transaction(session: Session, *, transaction: UUID, now: datetime) -> TransactionSummary:
    """Show one transaction. Commits, which ends the read.

    Raises:
        NotFound: there is no such transaction.
    """
    row = session.execute(_summaries().where(Transaction.id == transaction)).one_or_none()
    session.commit()
    if row is None:
        raise NotFound("no such transaction")
    return _summary(row, now)


def _summaries() -> Select[*tuple[Any, ...]]:
    listed = select(func.count()).where(AuthorisedHash.transaction_id == Transaction.id)
    phone = (
        select(Device.kind)
        .join(Approval, and_(Approval.kid == Device.kid, Approval.transaction_id == Transaction.id))
        .where(Device.cell_id == Transaction.cell_id)
    )
    signed = select(func.count()).where(Signature.transaction_id == Transaction.id)
    return (
        select(
            Transaction.id,
            Transaction.kind,
            Transaction.state,
            Signer.login.label("signer"),
            RelyingParty.client_id.label("relying_party"),
            Transaction.created_at,
            Transaction.expires_at,
            Transaction.use_by,
            Transaction.sent_at,
            Transaction.delivered_at,
            Transaction.seen_at,
            Transaction.answered_at,
            Transaction.method,
            phone.scalar_subquery().label("phone"),
            Transaction.ended_because,
            listed.scalar_subquery().label("hashes"),
            signed.scalar_subquery().label("signed"),
        )
        .join(Signer, Signer.id == Transaction.signer_id)
        .outerjoin(RelyingParty, RelyingParty.id == Transaction.relying_party_id)
    )


def _summary(row: Row[*tuple[Any, ...]], now: datetime) -> TransactionSummary:
    state = state_at(row.state, expires_at=row.expires_at, use_by=row.use_by, now=now)
    return TransactionSummary(**row._asdict() | {"state": state})
