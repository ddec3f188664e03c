"""What the door will be shown, as the rows have it; and why it need not be asked at all.

Nothing here decides whether the signer agreed: rows may hold anything, the door checks it all.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, final
from uuid import UUID

import msgspec
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Row,
    Select,
    SQLColumnExpression,
    and_,
    exists,
    select,
)

from backend.errors import (
    AuthorizationInvalid,
    MalformedMessage,
    NotApproved,
    RequestRefused,
    SignerFrozen,
    TransactionOver,
)
from backend.model.row_columns import hex_of, row_columns, rows_in_order
from backend.model.steps import table_of
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
from backend.protocol.encoding import unb64u_all
from backend.signers.freeze import not_frozen
from backend.signing.moves import state_at

TRANSACTIONS: Final = table_of(Transaction)


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


@final
class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An authorised hash, and its signature if it has one."""

    position: int
    item: str
    hash: bytes
    """As the item's text has it: the column beside it could say anything."""
    signature: bytes | None


@final
class _Hashed(msgspec.Struct, frozen=True):
    """The one member of an item that is looked for; the door reads all of it."""

    hash: str


_hashed: Final = msgspec.json.Decoder(_Hashed)


def approving_phone_stays(transaction_id: SQLColumnExpression[UUID]) -> ColumnElement[bool]:
    """Say in SQL that nobody asked for the removal of the phone that approved a transaction.

    It stops at once (T-37); the record, which alone the door believes, follows later.
    """
    return ~exists().where(
        Approval.transaction_id == transaction_id,
        Device.kid == Approval.kid,
        Device.removal_asked_at.is_not(None),
    )


def whole(source: FromClause) -> Select[*tuple[Any, ...]]:
    """Select transactions with their lists, answers, cells and records.

    Args:
        source: the table, or rows of it with these columns: ``id``, ``cell_id``, ``signer_id``.
    """
    listed = (
        select(
            row_columns(AuthorisedHash.position, AuthorisedHash.item, hex_of(Signature.signature))
        )
        .outerjoin(
            Signature,
            and_(
                Signature.transaction_id == AuthorisedHash.transaction_id,
                Signature.position == AuthorisedHash.position,
            ),
        )
        .where(AuthorisedHash.transaction_id == source.c.id)
        .scalar_subquery()
    )
    return (
        select(
            *source.c,
            Approval.approval,
            Approval.sealed,
            Refusal.transaction_id.label("refusal"),
            Cell.algorithm,
            Cell.spki,
            Cell.blob,
            Cell.certificate_expires_at,
            Record.record,
            listed.label("listed"),
            not_frozen(source.c.signer_id).label("may_go_on"),
            approving_phone_stays(source.c.id).label("phone_stays"),
        )
        .select_from(source)
        .join(Cell, Cell.id == source.c.cell_id)
        .join(Record, and_(Record.cell_id == Cell.id, Record.epoch == Cell.epoch))
        .outerjoin(Approval, Approval.transaction_id == source.c.id)
        .outerjoin(Refusal, Refusal.transaction_id == source.c.id)
    )


def read_list(found: Row[*tuple[Any, ...]]) -> dict[bytes, Entry]:
    """Read the authorised hashes in their order, with the signatures that were made.

    Raises:
        MalformedMessage: a row holds no item.
    """
    rows = rows_in_order(found.listed)
    hashes = _hashes_of([item for _, item, _ in rows])
    return {
        wanted: Entry(
            position=position,
            item=item,
            hash=wanted,
            signature=None if signature is None else bytes.fromhex(signature),
        )
        for wanted, (position, item, signature) in zip(hashes, rows, strict=True)
    }


def count_signed(found: Row[*tuple[Any, ...]]) -> int:
    """How many of the list have their signature."""
    return sum(signature is not None for signature in (found.listed or ((),))[-1])


def _hashes_of(items: Sequence[str]) -> list[bytes]:
    """The hash of each item; read in one go where each is one line."""
    try:
        lines = "\n".join(items)
        found = _hashed.decode_lines(lines) if lines.count("\n") < len(items) else []
        if len(found) != len(items):
            found = [_hashed.decode(item) for item in items]
    except msgspec.MsgspecError as error:
        raise MalformedMessage("a list with something else than items") from error
    return unb64u_all([each.hash for each in found])


def evidence_of(found: Row[*tuple[Any, ...]], listed: dict[bytes, Entry]) -> Evidence:
    """Put together what the door will be shown.

    Raises:
        NotApproved: what the signer sealed is erased.
    """
    if found.sealed is None:
        raise NotApproved("what the signer sealed is not there any more")
    return Evidence(
        record=found.record,
        blob=found.blob,
        ask=found.ask,
        items=tuple(entry.item for entry in listed.values()),
        approval=found.approval,
        sealed=found.sealed,
    )


def check_redeemable(found: Row[*tuple[Any, ...]] | None, now: datetime) -> None:
    """Go no further where the door need not be asked; a refusal counts beside any state.

    Raises:
        AuthorizationInvalid: there is no such transaction.
        SignerFrozen: the signer's access is locked.
        NotApproved: there is no approval.
        TransactionOver: it is over, or the time to collect is.
        RequestRefused: the certificate has expired.
    """
    if found is None:
        raise AuthorizationInvalid("not valid for this relying party and credential")
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
