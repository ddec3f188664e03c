"""The phone answers: yes, with the cell's secret sealed to the transaction's key; or no.

1. An answer is verified before it is kept: under the keys of the phone's signed record, over the
   very bytes of the ask. The door verifies all of it again and believes none of this.
2. What was accepted stands. The same bytes again get the same answer, other bytes change nothing.
3. The state moves in the commit that keeps the answer, and only from where it may: in time, for a
   signer who is not frozen. A refusal counts until all is signed; it needs no such signer.
4. An approval with another number than the screen's ends the transaction (``number.py``). "Not me"
   stops who asked (``mistrust.py``).
"""

import logging
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select
from sqlalchemy.orm import Session

from backend.access.phones import AuthenticatedPhone
from backend.errors import NotFound, SignerFrozen, TransactionOver, WrongNumber
from backend.model.tables import Approval, Refusal, Transaction, TransactionState
from backend.protocol.approval import (
    ApprovalClaims,
    check_names_ask,
    check_user_verification,
    read_approval,
    verify_refusal,
)
from backend.protocol.ask import VerifiedAsk, verify_ask
from backend.protocol.public_keys import PublicKeys
from backend.protocol.sealed import check_sealed
from backend.signers.freeze import not_frozen
from backend.signing.mistrust import BECAUSE, stop
from backend.signing.moves import in_time, move, state_at
from backend.signing.number import check_number

log = logging.getLogger(__name__)


def approve(
    session: Session,
    *,
    phone: AuthenticatedPhone,
    transaction: UUID,
    approval: str,
    sealed: str,
    public_keys: PublicKeys,
    now: datetime,
) -> TransactionState:
    """Accept an approval. Commits.

    Args:
        session: in one transaction of which it happens.
        phone: who proved to be calling.
        transaction: what is answered.
        approval: ``cell-approval+jwt``, not verified yet.
        sealed: the JWE that the approval names, not verified yet.
        public_keys: KS, from the file.
        now: the moment of arrival.

    Returns:
        ``approved``.

    Raises:
        NotFound: there is no such transaction for this phone.
        MalformedMessage: the approval is not this phone's, or for something else.
        SignerFrozen: the signer's access is locked.
        TransactionOver: it was answered otherwise, or too late, or by a wrong number.
    """
    asked = _asked(session, phone, transaction)
    ask = verify_ask(asked.ask, expected_ks=public_keys.ks)
    claims = _verify_approval(approval, sealed, ask=ask, phone=phone)
    try:
        check_number(claims, ask=ask, expected=asked.number)
    except WrongNumber as error:
        raise _ended_by_number(session, phone, transaction, now) from error
    approved = TransactionState.APPROVED
    may_answer = (in_time(now), not_frozen(Transaction.signer_id))
    if asked.approval is None and move(
        session, transaction, approved, *may_answer, answered_at=now
    ):
        session.execute(
            insert(Approval).values(
                transaction_id=transaction,
                approval=approval,
                sealed=sealed,
                kid=phone.kid,
                received_at=now,
            )
        )
        session.commit()
        return approved
    asked = _asked(session, phone, transaction)
    session.commit()
    if not asked.may_go_on:
        raise SignerFrozen("the signer's access is locked")
    state = _state(asked, now)
    if asked.approval == approval and state in {approved, TransactionState.REDEEMED}:
        return approved
    raise TransactionOver(state)


def refuse(
    session: Session,
    *,
    phone: AuthenticatedPhone,
    transaction: UUID,
    refusal: str,
    public_keys: PublicKeys,
    now: datetime,
) -> TransactionState:
    """Accept a refusal, also after an approval until all is signed. Commits.

    Returns:
        ``rejected``.

    Raises:
        NotFound: there is no such transaction for this phone.
        MalformedMessage: the refusal is not this phone's, or of something else.
        TransactionOver: it is over already.
    """
    asked = _asked(session, phone, transaction)
    ask = verify_ask(asked.ask, expected_ks=public_keys.ks)
    claims = verify_refusal(refusal, ask=ask, expected_request_key=phone.device.request)
    rejected = TransactionState.REJECTED
    if asked.refusal is None and move(
        session,
        transaction,
        rejected,
        in_time(now),
        answered_at=now,
        ended_because=claims.decision,
    ):
        session.execute(
            insert(Refusal).values(transaction_id=transaction, refusal=refusal, received_at=now)
        )
        if claims.decision == BECAUSE:
            stop(session, signer=phone.signer, refused=transaction, now=now)
        session.commit()
        return rejected
    asked = _asked(session, phone, transaction)
    session.commit()
    if asked.refusal == refusal:
        return rejected
    raise TransactionOver(_state(asked, now))


def _verify_approval(
    unverified_approval: str, unverified_sealed: str, *, ask: VerifiedAsk, phone: AuthenticatedPhone
) -> ApprovalClaims:
    claims = read_approval(unverified_approval, expected_device=phone.device)
    check_names_ask(claims, ask)
    check_user_verification(claims, phone.device)
    check_sealed(
        unverified_sealed,
        expected_hash=claims.sealed,
        expected_epk=claims.epk,
        expected_sender=phone.kid,
        expected_tx_hash=ask.tx_hash,
    )
    return claims


def _ended_by_number(
    session: Session, phone: AuthenticatedPhone, transaction: UUID, now: datetime
) -> TransactionOver:
    """End what was approved with another number than the screen's. Commits.

    Nothing of the approval is kept. If the transaction had an answer before, that stands.
    """
    failed = TransactionState.FAILED
    pending = Transaction.state == TransactionState.PENDING
    if move(session, transaction, failed, pending, in_time(now), ended_because="wrong number"):
        log.warning("wrong number", extra={"transaction_id": transaction})
    asked = _asked(session, phone, transaction)
    session.commit()
    return TransactionOver(_state(asked, now))


def _asked(session: Session, phone: AuthenticatedPhone, transaction: UUID) -> Row[*tuple[Any, ...]]:
    """Read what this phone was asked, and what was answered."""
    found = session.execute(
        select(
            Transaction.ask,
            Transaction.state,
            Transaction.expires_at,
            Transaction.use_by,
            Transaction.number,
            Approval.approval,
            Refusal.refusal,
            not_frozen(Transaction.signer_id).label("may_go_on"),
        )
        .outerjoin(Approval, Approval.transaction_id == Transaction.id)
        .outerjoin(Refusal, Refusal.transaction_id == Transaction.id)
        .where(
            Transaction.id == transaction,
            Transaction.cell_id == phone.cell,
            Transaction.kind != "enrol",
        )
    ).one_or_none()
    if found is None:
        raise NotFound("no such request")
    return found


def _state(asked: Row[*tuple[Any, ...]], now: datetime) -> TransactionState:
    return state_at(asked.state, expires_at=asked.expires_at, use_by=asked.use_by, now=now)
