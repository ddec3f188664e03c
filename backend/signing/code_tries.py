"""Counts of codes and of their SMS, in the database: each before the thing itself (T-14, T-15)."""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import and_, case, literal, not_, or_, update
from sqlalchemy.orm import Session

from backend.delivery.outbox import SealedText, enqueue_text
from backend.errors import TooManyTries
from backend.model.base import Instant
from backend.model.tables import Signer, TotpSeed, Transaction, TransactionState
from backend.signers.freeze import not_frozen
from backend.signing.code_asked import (
    BETWEEN_SMS,
    DAY,
    MOST_SMS,
    MOST_TRIES,
    MOST_TRIES_A_DAY,
    AskedByCode,
)

_NO_SYNC: Final = {"synchronize_session": False}


def count_try(session: Session, asked: AskedByCode, *, now: datetime) -> int | None:
    """Count a code before it is checked, for the transaction and for the day. Commits.

    Returns:
        How many were typed for the transaction; ``None``, and nothing is counted, where none is
        left, or the transaction is not waiting any more.
    """
    tries = session.scalar(
        update(Transaction)
        .where(
            Transaction.id == asked.id,
            Transaction.state == TransactionState.PENDING,
            Transaction.expires_at >= now,
            Transaction.code_tries < MOST_TRIES,
            not_frozen(Transaction.signer_id),
        )
        .values(code_tries=Transaction.code_tries + 1)
        .returning(Transaction.code_tries)
        .execution_options(**_NO_SYNC)
    )
    today = and_(Signer.code_tries_since.is_not(None), Signer.code_tries_since > now - DAY)
    of_day = session.scalar(
        update(Signer)
        .where(
            Signer.id == asked.signer,
            or_(not_(today), Signer.code_tries < MOST_TRIES_A_DAY),
        )
        .values(
            code_tries=case((today, Signer.code_tries + 1), else_=1),
            code_tries_since=case((today, Signer.code_tries_since), else_=literal(now, Instant())),
        )
        .returning(Signer.code_tries)
        .execution_options(**_NO_SYNC)
    )
    if tries is None or of_day is None:
        session.rollback()
        return None
    session.commit()
    return tries


def give_try_back(session: Session, asked: AskedByCode) -> None:
    """Undo a count where nobody could check the code. Commits."""
    session.execute(
        update(Transaction)
        .where(Transaction.id == asked.id, Transaction.code_tries > 0)
        .values(code_tries=Transaction.code_tries - 1)
        .execution_options(**_NO_SYNC)
    )
    give_day_back(session, asked.signer)


def give_day_back(session: Session, signer: UUID) -> None:
    """The code was right, so it is none of the day's wrong ones. Commits."""
    session.execute(
        update(Signer)
        .where(Signer.id == signer, Signer.code_tries > 0)
        .values(code_tries=Signer.code_tries - 1)
        .execution_options(**_NO_SYNC)
    )
    session.commit()


def use_step_up(session: Session, seed_hash: bytes, step: int) -> bool:
    """Use up an authenticator's step, and every one before it; ``False``: it was. Commits."""
    used = session.scalar(
        update(TotpSeed)
        .where(
            TotpSeed.seed_hash == seed_hash,
            or_(TotpSeed.used_step.is_(None), TotpSeed.used_step < step),
        )
        .values(used_step=step)
        .returning(TotpSeed.seed_hash)
        .execution_options(**_NO_SYNC)
    )
    session.commit()
    return used is not None


def count_sms(session: Session, asked: AskedByCode, text: SealedText, *, now: datetime) -> None:
    """Count an SMS in the commit that sends it. Commits.

    Raises:
        TooManyTries: another one was faster, or the transaction is not waiting any more.
    """
    counted = session.scalar(
        update(Transaction)
        .where(
            Transaction.id == asked.id,
            Transaction.state == TransactionState.PENDING,
            Transaction.expires_at >= now,
            Transaction.sms_asked == asked.sms_asked,
            Transaction.sms_asked < MOST_SMS,
            not_frozen(Transaction.signer_id),
        )
        .values(
            sms_asked=Transaction.sms_asked + 1,
            sms_due_at=text.due_at,
            sms_valid_until=text.expires_at,
        )
        .returning(Transaction.id)
        .execution_options(**_NO_SYNC)
    )
    if counted is None:
        session.rollback()
        raise TooManyTries(
            "another SMS is being sent", retry_after_seconds=int(BETWEEN_SMS.total_seconds())
        )
    enqueue_text(session, transaction=asked.id, text=text)
    session.commit()
