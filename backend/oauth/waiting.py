"""How far the signer's answer is, for the waiting page: one statement a look."""

import logging
from datetime import datetime
from typing import Final, Literal, final
from uuid import UUID

import msgspec
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from backend.delivery.subscriptions import is_in_use
from backend.errors import AuthorizationInvalid, MalformedMessage
from backend.model.tables import Approval, Cell, Device, Signer, Transaction, TransactionState
from backend.protocol.ask import AskText, verify_ask
from backend.protocol.jose import PublicJwk
from backend.signers.freeze import not_frozen
from backend.signing.moves import state_at

log = logging.getLogger(__name__)

_APPROVED: Final = (TransactionState.APPROVED, TransactionState.REDEEMED)
Reached = Literal["", "sent", "delivered", "opened"]
REACHED: Final[tuple[Reached, ...]] = ("", "sent", "delivered", "opened")


@final
class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the page shows, and what follows from it."""

    verdict: Literal["waiting", "approved", "over"]
    state: str
    """Why it is over: the transaction's state, or ``frozen``."""
    reached: Reached
    """How far the message to the phone is known to have come."""
    expires_at: datetime
    zone: str
    """By whose clock the signer reads that."""
    number: str | None
    """What the phone has to name, if it must (T-01)."""
    ask: str
    """What the phone is shown; signed by KS."""
    has_phone: bool
    """Whether there is a phone that can answer."""
    wait_id: UUID
    """By which the page may wait."""


@final
class Phone(msgspec.Struct, frozen=True, kw_only=True):
    """A phone that can answer."""

    kind: str
    paired_at: datetime


def look(session: Session, transaction: UUID, *, now: datetime) -> Answer:
    """Look how far a transaction is. Commits, which ends the read.

    Raises:
        AuthorizationInvalid: there is no such transaction.
    """
    able = exists().where(Device.cell_id == Transaction.cell_id, is_in_use())
    found = session.execute(
        select(
            Transaction.state,
            Transaction.expires_at,
            Transaction.use_by,
            Transaction.sent_at,
            Transaction.delivered_at,
            Transaction.seen_at,
            Transaction.number,
            Transaction.ask,
            Transaction.wait_id,
            Signer.zone,
            Approval.transaction_id.label("evidence"),
            not_frozen(Transaction.signer_id).label("may_go_on"),
            able.label("has_phone"),
        )
        .join(Signer, Signer.id == Transaction.signer_id)
        .outerjoin(Approval, Approval.transaction_id == Transaction.id)
        .where(Transaction.id == transaction)
    ).one_or_none()
    session.commit()
    if found is None:
        raise AuthorizationInvalid("there is no such transaction")
    state = state_at(found.state, expires_at=found.expires_at, use_by=found.use_by, now=now)
    marks = (found.sent_at, found.delivered_at, found.seen_at)
    last = max((number for number, mark in enumerate(marks, start=1) if mark), default=0)
    return Answer(
        verdict=_verdict(state, has_evidence=found.evidence is not None, may_go_on=found.may_go_on),
        state=str(state) if found.may_go_on else "frozen",
        reached=REACHED[last],
        expires_at=found.expires_at,
        zone=found.zone,
        number=found.number,
        ask=found.ask,
        has_phone=found.has_phone,
        wait_id=found.wait_id,
    )


def phones(session: Session, transaction: UUID) -> tuple[Phone, ...]:
    """List the phones that can answer, the newest first. Commits, which ends the read."""
    rows = session.execute(
        select(Device.kind, Device.paired_at)
        .join(Transaction, Transaction.cell_id == Device.cell_id)
        .where(Transaction.id == transaction, is_in_use())
        .order_by(Device.paired_at.desc(), Device.kid)
    ).all()
    session.commit()
    return tuple(Phone(**row._asdict()) for row in rows)


def text_of(found: Answer, *, ks: PublicJwk) -> AskText | None:
    """What the phone is shown; nothing, if KS did not sign it."""
    try:
        return verify_ask(found.ask, expected_ks=ks).claims.text
    except MalformedMessage:
        log.exception("an ask is none of ours")
        return None


def first_approval(session: Session, signer: UUID, *, now: datetime) -> UUID | None:
    """Find the certificate request that waits for a signer. Commits, which ends the read."""
    found = session.scalar(
        select(Transaction.id)
        .join(Cell, Cell.id == Transaction.cell_id)
        .where(
            Cell.signer_id == signer,
            Transaction.state == TransactionState.PENDING,
            Transaction.kind == "certificate_request",
            Transaction.expires_at >= now,
        )
        .order_by(Transaction.created_at.desc())
        .limit(1)
    )
    session.commit()
    return found


def _verdict(
    state: TransactionState, *, has_evidence: bool, may_go_on: bool
) -> Literal["waiting", "approved", "over"]:
    """No code before the evidence is there, and none for a signer who is frozen."""
    if not may_go_on:
        return "over"
    if state in _APPROVED:
        return "approved" if has_evidence else "waiting"
    return "waiting" if state is TransactionState.PENDING else "over"
