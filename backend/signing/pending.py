"""The phone looks: what waits for it, and one ask with its list and the phone's lock.

An ask to enrol by an envelope is not among them: it belongs to a pairing, and to the phone that is
being paired. One for a further phone is: a paired phone has to approve it.
"""

from datetime import datetime
from hashlib import sha256
from typing import Any, Final, final
from uuid import UUID

import msgspec
from sqlalchemy import Row, and_, select
from sqlalchemy.orm import Session

from backend.access.phones import AuthenticatedPhone, Beside, phone_and
from backend.errors import NotFound
from backend.model.row_columns import row_columns, rows_in_order
from backend.model.steps import look, table_of, value
from backend.model.tables import (
    FURTHER,
    AuthorisedHash,
    Device,
    Lock,
    Transaction,
    TransactionState,
)
from backend.protocol.encoding import b64u
from backend.signing.moves import in_time, state_at
from backend.signing.sightings import Sightings

MOST_PENDING: Final = 100


@final
class PendingTransaction(msgspec.Struct, frozen=True, kw_only=True):
    """One that waits for an answer."""

    id: UUID
    kind: str
    expires_at: datetime


@final
class PendingList(msgspec.Struct, frozen=True, kw_only=True):
    """What waits for a cell's phones, the oldest first."""

    version: str
    """Another text when another list; long polls compare it."""
    transactions: tuple[PendingTransaction, ...]


@final
class ShownTransaction(msgspec.Struct, frozen=True, kw_only=True):
    """All that a phone needs to show and approve."""

    state: TransactionState
    ask: str
    items: tuple[str, ...]
    """The list beside the ask, exact texts."""
    lock: str
    """This phone's lock of the cell's secret."""


def pending(session: Session, *, cell: UUID, now: datetime) -> PendingList:
    """List what waits for an answer. Commits, which ends the read."""
    rows = session.execute(
        select(Transaction.id, Transaction.kind, Transaction.expires_at)
        .where(
            Transaction.cell_id == cell,
            Transaction.state == TransactionState.PENDING,
            Transaction.kind != "enrol",
            in_time(now),
        )
        .order_by(Transaction.created_at, Transaction.id)
        .limit(MOST_PENDING)
    ).all()
    session.commit()
    return PendingList(
        version=b64u(sha256(b"".join(row.id.bytes for row in rows)).digest()),
        transactions=tuple(
            PendingTransaction(id=row.id, kind=_kind(row.kind), expires_at=row.expires_at)
            for row in rows
        ),
    )


def _kind(kept: str) -> str:
    """Name the ask's kind."""
    return "enrol" if kept == FURTHER else kept


_COLUMNS: Final = (
    Transaction.state,
    Transaction.ask,
    Transaction.expires_at,
    Transaction.use_by,
    Transaction.seen_at,
    Lock.lock,
    select(row_columns(AuthorisedHash.position, AuthorisedHash.item))
    .where(AuthorisedHash.transaction_id == Transaction.id)
    .scalar_subquery()
    .label("listed"),
)
_ID: Final = value(table_of(Transaction).c.id)
_SHOWN: Final = (
    select(*_COLUMNS)
    .join(
        Lock,
        and_(
            Lock.cell_id == Transaction.cell_id,
            Lock.kind == "device",
            Lock.key_id == value(table_of(Lock).c.key_id),
        ),
    )
    .where(
        Transaction.id == _ID,
        Transaction.cell_id == value(table_of(Transaction).c.cell_id),
        Transaction.kind != "enrol",
    )
)
_SHOWN_BESIDE: Final = phone_and(
    lambda phone: (
        phone.add_columns(*_COLUMNS)
        .outerjoin(
            Transaction,
            and_(
                Transaction.id == _ID,
                Transaction.cell_id == Device.cell_id,
                Transaction.kind != "enrol",
            ),
        )
        .outerjoin(
            Lock,
            and_(
                Lock.cell_id == Device.cell_id,
                Lock.kind == "device",
                Lock.key_id == Device.kid,
            ),
        )
    )
)


def shown_beside(transaction: UUID) -> Beside:
    """Read what :func:`show` gives in the statement that looks for the phone."""
    return Beside(statement=_SHOWN_BESIDE, parameters={"id": transaction})


def show(
    session: Session,
    *,
    phone: AuthenticatedPhone,
    transaction: UUID,
    sightings: Sightings,
    now: datetime,
    read: Row[*tuple[Any, ...]] | None = None,
) -> ShownTransaction:
    """Give a phone what it is asked, and note that it was opened. Writes nothing.

    Args:
        session: read from.
        phone: who asks.
        transaction: for what.
        sightings: where it is noted.
        now: the time.
        read: what was read by :func:`shown_beside`.

    Raises:
        NotFound: it is none of this phone's cell, or the phone has no lock.
    """
    names = {"id": transaction, "cell_id": phone.cell, "key_id": phone.kid}
    shown = read or look(session, _SHOWN, names)
    if shown is None or shown.ask is None or shown.lock is None:
        raise NotFound("no such request")
    if shown.seen_at is None:
        sightings.see(transaction, now=now)
    return ShownTransaction(
        state=state_at(shown.state, expires_at=shown.expires_at, use_by=shown.use_by, now=now),
        ask=shown.ask,
        items=tuple(item for _, item in rows_in_order(shown.listed)),
        lock=shown.lock,
    )
