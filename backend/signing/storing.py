"""Signatures are written once.

1. Only the holder of the lease writes, while the signer is not frozen, the phone stays, and nobody
   ended the transaction: one conditional statement.
2. A signature is a row, unique for its authorised hash. Who comes second takes what is there; what
   was signed in vain leaves no trace but the number that its receipt used up.
3. With the last signature the transaction is ``redeemed``, and what sealed the secret erased.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import uuid4

from sqlalchemy import Case, ColumnElement, FromClause, case, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import Insert, Update

from backend.model.steps import Bulk, Step, look, table_of, value
from backend.model.tables import Approval, Receipt, Signature, TransactionState
from backend.signers.freeze import not_frozen
from backend.signing.evidence import TRANSACTIONS, approving_phone_stays, check_redeemable
from backend.signing.reservation import BY_ID, THE_TRANSACTION, Lease, give_back

log = logging.getLogger(__name__)

_T: Final = TRANSACTIONS.c


def store(
    session: Session, lease: Lease, *, signatures: Sequence[bytes], receipt: str, now: datetime
) -> bool:
    """Write what the SAM signed. Commits, or leaves no trace.

    Returns:
        Whether these are the ones to hand out; ``False``: others came first.

    Raises:
        SignerFrozen: the signer was frozen meanwhile.
        TransactionOver: the transaction was ended meanwhile.
    """
    parameters = {
        "transaction": lease.transaction,
        "holder": lease.holder,
        "count": len(signatures),
        "receipt_id": uuid4(),
        "receipt": receipt,
        "position": list(lease.positions),
        "signature": list(signatures),
        "signed_at": now,
    }
    try:
        stored = _STORE.run(session, parameters)
    except IntegrityError:
        _lost(lease, "another holder of the lease was faster")
        give_back(session, lease)
        return False
    if stored is None:
        _lost(lease, "the transaction was ended, its signer frozen, or the phone removed")
        check_redeemable(look(session, BY_ID.read, {"transaction": lease.transaction}), now)
        return False
    return True


def _lost(lease: Lease, reason: str) -> None:
    """Say why a receipt's number will be missing (design, invariant 4)."""
    log.warning(
        "signatures dropped, nobody received them",
        extra={"transaction_id": lease.transaction, "reason": reason},
    )


# --- the statement --------------------------------------------------------------


def _is_whole() -> ColumnElement[bool]:
    """Whether nothing is left; no sum, for what rows say has no bounds."""
    return _T.signed_count >= _T.document_count - value(_T.signed_count, "count")


def _signed_count() -> Case[int]:
    more = _T.signed_count + value(_T.signed_count, "count")
    return case((_is_whole(), _T.document_count), else_=more)


def _state() -> Case[str]:
    """Rule 3; counted in the row itself, so that two who write parts at once both count."""
    return case((_is_whole(), TransactionState.REDEEMED.value), else_=_T.state)


def _keep(approved: FromClause) -> Sequence[Bulk | Insert | Update]:
    """Add receipt and signatures; erase what sealed the secret, if it is not needed any more."""
    receipts, approvals = table_of(Receipt), table_of(Approval)
    receipt = insert(receipts).from_select(
        ["id", "transaction_id", "receipt", "signed_at"],
        select(
            value(receipts.c.id, "receipt_id"),
            approved.c.id,
            value(receipts.c.receipt),
            value(receipts.c.signed_at),
        ).select_from(approved),
    )
    table = table_of(Signature)
    signatures = Bulk(
        table,
        columns=("position", "signature"),
        constants={
            "transaction_id": approved.c.id,
            "receipt_id": value(table.c.receipt_id),
        },
    )
    erased = (
        update(approvals)
        .where(
            approvals.c.transaction_id.in_(
                select(approved.c.id).where(approved.c.state == TransactionState.REDEEMED)
            )
        )
        .values(sealed=None)
    )
    return receipt, signatures, erased


_STORE: Final = Step(
    update(TRANSACTIONS)
    .where(
        _T.id == THE_TRANSACTION,
        _T.state == TransactionState.APPROVED,
        not_frozen(_T.signer_id),
        approving_phone_stays(_T.id),
    )
    .values(
        state=_state(),
        signed_count=_signed_count(),
        reserved_by=None,
        reserved_until=None,
    ),
    returning=[_T.id, _T.state],
    follow=_keep,
)
"""Rules 1 to 3."""
