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
from typing import Any, Final
from uuid import UUID

from sqlalchemy import FromClause, Insert, Row, and_, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.access.phones import (
    AuthenticatedPhone,
    Beside,
    ProvenCall,
    phone_and,
    use_up,
    verified_record,
)
from backend.errors import NotFound, ProofReplayed, SignerFrozen, TransactionOver, WrongNumber
from backend.model.steps import Step, look, one_row, table_of, value
from backend.model.tables import (
    Approval,
    Device,
    Refusal,
    RequestProof,
    Transaction,
    TransactionState,
)
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


def asked_beside(transaction: UUID) -> Beside:
    """Read what is answered in the statement that looks for the phone."""
    return Beside(statement=_ASKED_BESIDE, parameters={"id": transaction})


def approve(
    session: Session,
    *,
    phone: AuthenticatedPhone,
    transaction: UUID,
    approval: str,
    sealed: str,
    public_keys: PublicKeys,
    now: datetime,
    call: ProvenCall | None = None,
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
        call: the request that brought it, read with :func:`asked_beside`; its proof is used up.

    Returns:
        ``approved``.

    Raises:
        NotFound: there is no such transaction for this phone.
        KindRefused: the cell's policy allows no phones of this kind.
        MalformedMessage: the approval is not this phone's, or for something else.
        SignerFrozen: the signer's access is locked.
        TransactionOver: it was answered otherwise, or too late, or by a wrong number.
        ProofReplayed: the request came before.
    """
    asked = _asked(session, phone, transaction, None if call is None else call.row)
    ask = verify_ask(asked.ask, expected_ks=public_keys.ks)
    verified_record(phone.record, public_keys.ks).policy.check_kind(phone.device.kind)
    claims = _verify_approval(approval, sealed, ask=ask, phone=phone)
    try:
        check_number(claims, ask=ask, expected=asked.number)
    except WrongNumber as error:
        if call is not None:
            use_up(session, call.proof)
        raise _ended_by_number(session, phone, transaction, now) from error
    approved = TransactionState.APPROVED
    kept = {
        "approval": approval,
        "sealed": sealed,
        "kid": phone.kid,
        "received_at": now,
        "method": "app",
    }
    if asked.approval is None and _approve(session, transaction, kept, call):
        return approved
    if call is not None:
        use_up(session, call.proof)
        session.commit()
    asked = _asked(session, phone, transaction)
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
    call: ProvenCall | None = None,
) -> TransactionState:
    """Accept a refusal, also after an approval until all is signed. Commits.

    Returns:
        ``rejected``.

    Raises:
        NotFound: there is no such transaction for this phone.
        MalformedMessage: the refusal is not this phone's, or of something else.
        TransactionOver: it is over already.
        ProofReplayed: the request came before.
    """
    asked = _asked(session, phone, transaction, None if call is None else call.row)
    ask = verify_ask(asked.ask, expected_ks=public_keys.ks)
    claims = verify_refusal(refusal, ask=ask, expected_request_key=phone.device.request)
    rejected = TransactionState.REJECTED
    if call is not None:
        use_up(session, call.proof)
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
    session.commit()
    asked = _asked(session, phone, transaction)
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
    session.commit()
    asked = _asked(session, phone, transaction)
    return TransactionOver(_state(asked, now))


def keep_approval(session: Session, transaction: UUID, kept: dict[str, object]) -> bool:
    """Keep an approval and move the transaction, if it may still be answered. Commits.

    Args:
        session: of whose engine.
        transaction: what is answered.
        kept: ``approval``, ``sealed``, ``kid``, ``received_at``, and ``method``.
    """
    return _APPROVE.run(session, {"transaction": transaction, **kept}) is not None


def _approve(
    session: Session, transaction: UUID, kept: dict[str, object], call: ProvenCall | None
) -> bool:
    """Keep an approval, move the transaction and use up the proof, if it may still be answered."""
    if call is None:
        return keep_approval(session, transaction, kept)
    used = {"jti": call.proof.jti, "expires_at": call.proof.expires_at}
    try:
        moved = _APPROVE_ONCE.run(session, {"transaction": transaction, **kept, **used})
    except IntegrityError as error:
        raise ProofReplayed("this request proof came before") from error
    return moved is not None


def _asked(
    session: Session,
    phone: AuthenticatedPhone,
    transaction: UUID,
    read: Row[*tuple[Any, ...]] | None = None,
) -> Row[*tuple[Any, ...]]:
    """Read what this phone was asked, and what was answered."""
    found = read or look(session, _ASKED, {"id": transaction, "cell_id": phone.cell})
    if found is None or found.ask is None:
        raise NotFound("no such request")
    return found


def _state(asked: Row[*tuple[Any, ...]], now: datetime) -> TransactionState:
    return state_at(asked.state, expires_at=asked.expires_at, use_by=asked.use_by, now=now)


# --- the statements -------------------------------------------------------------

_T: Final = table_of(Transaction).c

_COLUMNS: Final = (
    Transaction.ask,
    Transaction.state,
    Transaction.expires_at,
    Transaction.use_by,
    Transaction.number,
    Approval.approval,
    Refusal.refusal,
    not_frozen(Transaction.signer_id).label("may_go_on"),
)
_ASKED_BESIDE: Final = phone_and(
    lambda phone: (
        phone.add_columns(*_COLUMNS)
        .outerjoin(
            Transaction,
            and_(
                Transaction.id == value(_T.id),
                Transaction.cell_id == Device.cell_id,
                Transaction.kind != "enrol",
            ),
        )
        .outerjoin(Approval, Approval.transaction_id == Transaction.id)
        .outerjoin(Refusal, Refusal.transaction_id == Transaction.id)
    )
)
_ASKED: Final = (
    select(*_COLUMNS)
    .outerjoin(Approval, Approval.transaction_id == Transaction.id)
    .outerjoin(Refusal, Refusal.transaction_id == Transaction.id)
    .where(
        Transaction.id == value(_T.id),
        Transaction.cell_id == value(_T.cell_id),
        Transaction.kind != "enrol",
    )
)


def _keep_approval(moved: FromClause) -> tuple[Insert, ...]:
    approvals = table_of(Approval)
    names = ("approval", "sealed", "kid", "received_at")
    values = select(moved.c.id, *(value(approvals.c[name]) for name in names)).select_from(moved)
    return (insert(approvals).from_select(["transaction_id", *names], values),)


def _keep_both(moved: FromClause) -> tuple[Insert, ...]:
    proofs = table_of(RequestProof)
    return (*_keep_approval(moved), one_row(proofs, ("jti", "expires_at"), beside=moved))


_MOVE: Final = (
    update(table_of(Transaction))
    .where(
        _T.id == value(_T.id, "transaction"),
        _T.state == TransactionState.PENDING,
        _T.expires_at >= value(table_of(Approval).c.received_at),
        not_frozen(_T.signer_id),
    )
    .values(
        state=TransactionState.APPROVED.value,
        answered_at=value(table_of(Approval).c.received_at),
        method=value(_T.method),
    )
)
_APPROVE: Final = Step(_MOVE, returning=[_T.id], follow=_keep_approval)
_APPROVE_ONCE: Final = Step(_MOVE, returning=[_T.id], follow=_keep_both)
"""Rules 2 and 3."""
