"""How often a signer's phone is asked for a new password (T-01).

One at a time, so many an hour, and not for an hour after a "not me"; never a frozen signer's.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import and_, exists, func, or_, select

from backend.model.tables import ForgottenPassword, Signer, Transaction, TransactionState
from backend.signers.freeze import not_frozen

KIND: Final = "set_password"
WINDOW: Final = timedelta(hours=1)
MOST_IN_WINDOW: Final = 5
"""Asks of one signer."""


def may_be_asked(signer: Any, now: datetime) -> Any:  # noqa: ANN401  # SQL expressions of a column
    """Say in SQL that the signer may be asked for a new password now."""
    recent = (Transaction.signer_id == signer, Transaction.kind == KIND)
    runs = exists().where(
        *recent,
        or_(
            and_(Transaction.state == TransactionState.PENDING, Transaction.expires_at >= now),
            and_(Transaction.ended_because == "not_me", Transaction.answered_at > now - WINDOW),
        ),
    )
    asked = (
        select(func.count())
        .select_from(Transaction)
        .where(*recent, Transaction.created_at > now - WINDOW)
        .scalar_subquery()
    )
    return and_(~runs, asked < MOST_IN_WINDOW, not_frozen(signer))


def signer_to_ask(login: str, now: datetime) -> Any:  # noqa: ANN401  # a scalar subquery
    """Name in SQL the signer of a login who may be asked now; nobody's is null."""
    waits = exists().where(
        ForgottenPassword.signer_id == Signer.id,
        ForgottenPassword.transaction_id.is_(None),
        ForgottenPassword.expires_at > now,
    )
    return (
        select(Signer.id)
        .where(Signer.login == login, may_be_asked(Signer.id, now), ~waits)
        .scalar_subquery()
    )
