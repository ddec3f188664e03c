"""What the door will be shown, as the rows have it; and when it need not be asked at all.

Nothing here decides whether the signer agreed: rows may hold anything, the door checks it all.
"""

from datetime import datetime
from typing import Any, final
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Row, and_, exists, select
from sqlalchemy.orm import Session

from backend.errors import (
    AuthorizationInvalid,
    MalformedMessage,
    NotApproved,
    RequestRefused,
    SignerFrozen,
    TransactionOver,
)
from backend.model.tables import (
    Approval,
    AuthorisedHash,
    Cell,
    Device,
    Record,
    Refusal,
    Signature,
    Transaction,
    TransactionState,
)
from backend.protocol.encoding import unb64u
from backend.signers.freeze import not_frozen
from backend.signing.moves import state_at


@final
class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All that the signer's yes hangs on, beside the cell that it opens."""

    record: str
    blob: bytes
    ask: str
    items: tuple[str, ...]
    """The list beside the ask."""
    approval: str
    sealed: str


def find(session: Session, which: ColumnElement[bool]) -> Row[*tuple[Any, ...]]:
    """Read a transaction with what was answered and its cell, and lock the transaction's row.

    Raises:
        AuthorizationInvalid: there is none.
    """
    found = session.execute(
        select(
            Transaction.id,
            Transaction.kind,
            Transaction.state,
            Transaction.expires_at,
            Transaction.use_by,
            Transaction.ask,
            Approval.approval,
            Approval.sealed,
            Refusal.transaction_id.label("refusal"),
            Cell.algorithm,
            Cell.spki,
            Cell.blob,
            Cell.certificate_expires_at,
            Record.record,
            not_frozen(Transaction.signer_id).label("may_go_on"),
            approving_phone_stays().label("phone_stays"),
        )
        .join(Cell, Cell.id == Transaction.cell_id)
        .join(Record, and_(Record.cell_id == Cell.id, Record.epoch == Cell.epoch))
        .outerjoin(Approval, Approval.transaction_id == Transaction.id)
        .outerjoin(Refusal, Refusal.transaction_id == Transaction.id)
        .where(which)
        .with_for_update(of=Transaction, key_share=True)
    ).one_or_none()
    if found is None:
        raise AuthorizationInvalid("not valid for this relying party and credential")
    return found


def approving_phone_stays() -> ColumnElement[bool]:
    """Say in SQL that nobody asked for the removal of the phone that approved a transaction.

    It stops at once (T-37); the record, which alone the door believes, follows later.
    """
    return ~exists().where(
        Approval.transaction_id == Transaction.id,
        Device.kid == Approval.kid,
        Device.removal_asked_at.is_not(None),
    )


@final
class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An authorised hash, its lease and its signature."""

    position: int
    item: str
    hash: bytes
    """As the item's text has it: the column beside it could say anything."""
    reserved_until: datetime | None
    signature: bytes | None


@final
class _Hashed(msgspec.Struct, frozen=True):
    """The one member of an item that is looked for; the door reads all of it."""

    hash: str


def read_list(session: Session, transaction: UUID) -> dict[bytes, Entry]:
    """Read the authorised hashes in their order, with the signatures that were made.

    Raises:
        MalformedMessage: a row holds no item.
    """
    rows = session.execute(
        select(
            AuthorisedHash.position,
            AuthorisedHash.item,
            AuthorisedHash.reserved_until,
            Signature.signature,
        )
        .outerjoin(
            Signature,
            and_(
                Signature.transaction_id == AuthorisedHash.transaction_id,
                Signature.position == AuthorisedHash.position,
            ),
        )
        .where(AuthorisedHash.transaction_id == transaction)
        .order_by(AuthorisedHash.position)
    )
    entries = (
        Entry(
            position=position,
            item=item,
            hash=_hash_of(item),
            reserved_until=reserved_until,
            signature=signature,
        )
        for position, item, reserved_until, signature in rows
    )
    return {entry.hash: entry for entry in entries}


def _hash_of(item: str) -> bytes:
    try:
        return unb64u(msgspec.json.decode(item, type=_Hashed).hash)
    except msgspec.MsgspecError as error:
        raise MalformedMessage("a list with something else than items") from error


def check_redeemable(found: Row[*tuple[Any, ...]], now: datetime) -> None:
    """Go no further where the door need not be asked; a refusal counts beside any state.

    Raises:
        SignerFrozen: the signer's access is locked.
        NotApproved: there is no approval.
        TransactionOver: it is over, or the time to collect is.
        RequestRefused: the certificate has expired.
    """
    if not found.may_go_on:
        raise SignerFrozen("the signer's access is locked")
    if found.refusal is not None:
        raise TransactionOver(TransactionState.REJECTED)
    state = state_at(found.state, expires_at=found.expires_at, use_by=found.use_by, now=now)
    if state is TransactionState.PENDING or found.approval is None:
        raise NotApproved("the signer has not approved")
    if state not in {TransactionState.APPROVED, TransactionState.REDEEMED}:
        raise TransactionOver(state)
    if found.kind == "sign" and now >= found.use_by:
        raise TransactionOver(TransactionState.EXPIRED)
    if found.certificate_expires_at is not None and found.certificate_expires_at <= now:
        raise RequestRefused("the certificate has expired")
