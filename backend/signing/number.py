"""Number matching: the phone names the two digits that the other screen shows (T-01).

1. They are made here and stand in the transaction's row: no phone is told them, and CSC tells them
   to nobody. Only our own page shows them (``oauth.pages``), to who began the transaction there.
2. Compared once, in constant time. Another number ends the transaction: one guess in a hundred.
3. Against approving by habit, nothing more. The door has no rule of it.
"""

from datetime import datetime
from hmac import compare_digest
from secrets import randbelow
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import NotFound, TransactionOver, WrongNumber
from backend.model.tables import Transaction, TransactionState
from backend.protocol.approval import ApprovalClaims
from backend.protocol.ask import VerifiedAsk
from backend.signing.moves import state_at

NUMBERS: Final = 100


def new_number() -> str:
    """Make two digits."""
    return f"{randbelow(NUMBERS):02}"


def check_number(claims: ApprovalClaims, *, ask: VerifiedAsk, expected: str | None) -> None:
    """Check the number in an approval; that it stands there exactly if asked was checked before.

    Args:
        claims: of the approval.
        ask: says whether a number is asked; a row could be written to say otherwise.
        expected: of the row. Without it no number is right.

    Raises:
        WrongNumber: it is another one.
    """
    if not ask.claims.number_asked:
        return
    if not compare_digest(claims.number or "", expected or "none"):
        raise WrongNumber("the number is not that of the other screen")


def number_of(session: Session, *, transaction: UUID, now: datetime) -> str | None:
    """Tell our own page which number to show. Commits, which ends the read.

    Returns:
        ``None`` where none is asked.

    Raises:
        NotFound: there is no such transaction.
        TransactionOver: nobody has to type it any more.
    """
    found = session.execute(
        select(
            Transaction.number, Transaction.state, Transaction.expires_at, Transaction.use_by
        ).where(Transaction.id == transaction)
    ).one_or_none()
    session.commit()
    if found is None:
        raise NotFound("no such transaction")
    number, written, expires_at, use_by = found
    state = state_at(written, expires_at=expires_at, use_by=use_by, now=now)
    if state is not TransactionState.PENDING:
        raise TransactionOver(state)
    return str(number) if number is not None else None
