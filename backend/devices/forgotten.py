"""A forgotten password: somebody asks for a new one in a browser, a paired phone approves it.

1. The page's part is the same for every login: one row, whether or not there is such a signer, a
   phone, a freeze, or another such request (T-17). The clerk asks the phone (``forgotten_asking``).
2. So many an hour for a signer, and so on (``forgotten_limits``). What comes beyond leads to
   nothing, and looks like the rest (T-01).
3. The new password is typed only after the approval, and only by who has the secret that the page
   got at the beginning. The SAM holds it to the ask, whatever the rows say.
4. In one commit the verifier changes, the cell's lock is made anew, those of other cells go (they
   open by the old password alone), the signer's browser sessions end and no browser is known any
   more. Key and certificate stay. If the record or the password's salt is another by then, nothing
   is written, and the password may be typed again.
"""

import hmac
import logging
import secrets
from datetime import datetime, timedelta
from typing import Any, Final, Literal, final
from uuid import UUID, uuid4

import msgspec
from sqlalchemy import Row, and_, delete, insert, select, update
from sqlalchemy.orm import Session

from backend.access.sessions import end_sessions_of
from backend.devices.forgotten_limits import signer_to_ask
from backend.errors import (
    NewPasswordRefused,
    NotApproved,
    NotFound,
    SignerFrozen,
    TooManyTries,
    TransactionOver,
)
from backend.model.tables import (
    Approval,
    Cell,
    ForgottenPassword,
    Lock,
    Record,
    Signer,
    Transaction,
    TransactionState,
)
from backend.protocol.encoding import sha256
from backend.sam.cells import Cells, PasswordSeal, SetPassword
from backend.signers import password
from backend.signers.freeze import not_frozen
from backend.signers.known_browsers import forget_others
from backend.signers.registration import plain_login
from backend.signing.evidence import approving_phone_stays
from backend.signing.moves import move, state_at
from backend.signing.number import new_number

log = logging.getLogger(__name__)

SECRET_BYTES: Final = 32
LONGEST_SECRET: Final = 64
LONGEST_LOGIN: Final = 200
APPROVE_WITHIN: Final = timedelta(minutes=10)
TYPE_WITHIN: Final = timedelta(minutes=10)
"""After the last moment to approve."""

Verdict = Literal["waiting", "approved", "over"]
_Found = Row[*tuple[Any, ...]]


@final
class AskedPassword(msgspec.Struct, frozen=True, kw_only=True):
    """What the page gets, for any login."""

    id: UUID
    secret: str
    """For that browser alone; only its hash is kept."""
    number: str
    """Two digits that the phone wants."""
    expires_at: datetime
    """Last moment to approve."""


def ask_new_password(session: Session, *, login: str, now: datetime) -> AskedPassword:
    """Note that somebody says to have forgotten a password. Commits."""
    asked = AskedPassword(
        id=uuid4(),
        secret=secrets.token_urlsafe(SECRET_BYTES),
        number=new_number(),
        expires_at=now.replace(microsecond=0) + APPROVE_WITHIN,
    )
    typed = plain_login(login[:LONGEST_LOGIN]).replace("\0", "")
    session.execute(
        insert(ForgottenPassword).values(
            id=asked.id,
            signer_id=signer_to_ask(typed, now),
            secret_hash=bytes(sha256(asked.secret.encode())),
            number=asked.number,
            asked_at=now,
            expires_at=asked.expires_at,
        )
    )
    session.commit()
    return asked


def look(session: Session, *, asked: UUID, secret: str, now: datetime) -> Verdict:
    """Tell the page how far it is. Commits, which ends the read.

    A refusal or a wrong number look like waiting, until the time is over: who asked might not be
    the signer.
    """
    found = _find(session, asked, secret)
    session.commit()
    if found is None:
        return "over"
    state = _state(found, now)
    if state is TransactionState.APPROVED and found.approval is not None and found.may_go_on:
        return "approved"
    if state is TransactionState.REDEEMED or now > found.asked_until:
        return "over"
    return "waiting"


def set_new_password(
    session: Session,
    cells: Cells,
    *,
    asked: UUID,
    secret: str,
    unverified_new_password: str,
    now: datetime,
) -> None:
    """Set the password that was typed after the approval. Commits.

    Raises:
        NotFound: there is no such request for who has this secret.
        NotApproved: the phone has not approved.
        TransactionOver: it was used, took too long, or the SAM refused its evidence.
        SignerFrozen: the signer's access is locked.
        PasswordUnfit: the new password does not keep the rules; another one may be typed.
        TooManyTries: too many passwords are being computed now, or something else of this signer
            changed meanwhile.
    """
    found = _find(session, asked, secret)
    session.rollback()
    if found is None:
        raise NotFound("there is no such request")
    _refuse_unless_approved(found, now)
    password.check_rules(unverified_new_password, login=found.login)
    hashed = password.argon2_hash(unverified_new_password, found.salt)
    seal = _ask_sam(session, cells, found, secret=secret, password_hash=hashed)
    if not _keep(session, found, seal, now=now):
        session.rollback()
        raise TransactionOver(TransactionState.REDEEMED)
    session.commit()
    log.warning("new password set by a phone's approval", extra={"signer_id": found.signer_id})


# --- a request that was approved --------------------------------------------------


def _find(session: Session, asked: UUID, secret: str) -> _Found | None:
    """Read all about a request, for who has its secret."""
    found = session.execute(
        select(
            ForgottenPassword.secret_hash,
            ForgottenPassword.expires_at.label("asked_until"),
            Transaction.id,
            Transaction.state,
            Transaction.expires_at,
            Transaction.use_by,
            Transaction.ask,
            Transaction.cell_id,
            Approval.approval,
            Approval.sealed,
            Record.record,
            Cell.blob,
            Cell.epoch,
            Signer.id.label("signer_id"),
            Signer.login,
            Signer.password_salt.label("salt"),
            not_frozen(Signer.id).label("may_go_on"),
        )
        .outerjoin(Signer, Signer.id == ForgottenPassword.signer_id)
        .outerjoin(Transaction, Transaction.id == ForgottenPassword.transaction_id)
        .outerjoin(Approval, Approval.transaction_id == Transaction.id)
        .outerjoin(Cell, Cell.id == Transaction.cell_id)
        .outerjoin(Record, and_(Record.cell_id == Cell.id, Record.epoch == Cell.epoch))
        .where(ForgottenPassword.id == asked)
    ).one_or_none()
    given = bytes(sha256(secret[:LONGEST_SECRET].encode(errors="replace")))
    if found is None or not hmac.compare_digest(found.secret_hash, given):
        return None
    return found


def _state(found: _Found, now: datetime) -> TransactionState | None:
    if found.id is None:
        return None
    return state_at(found.state, expires_at=found.expires_at, use_by=found.use_by, now=now)


def _refuse_unless_approved(found: _Found, now: datetime) -> None:
    state = _state(found, now)
    if state is None or state is TransactionState.PENDING:
        raise NotApproved("the phone has not approved")
    if state is not TransactionState.APPROVED or found.approval is None:
        raise TransactionOver(state)
    if not found.may_go_on:
        raise SignerFrozen("the signer's access is locked")


def _ask_sam(
    session: Session, cells: Cells, found: _Found, *, secret: str, password_hash: bytes
) -> PasswordSeal:
    """Have the SAM look at the evidence; what it refuses is over."""
    try:
        return cells.set_password(
            SetPassword(
                record=found.record,
                blob=found.blob,
                ask=found.ask,
                approval=found.approval,
                sealed=found.sealed,
                session=secret.encode(),
                password_hash=password_hash,
            )
        )
    except NewPasswordRefused as refusal:
        log.warning(
            "a new password is refused",
            extra={"signer_id": found.signer_id, "rule": refusal.rule, "reason": refusal.reason},
        )
        move(session, found.id, TransactionState.FAILED, ended_because=str(refusal))
        session.commit()
        raise TransactionOver(TransactionState.FAILED) from refusal


def _keep(session: Session, found: _Found, seal: PasswordSeal, *, now: datetime) -> bool:
    """Rule 4; ``False`` where it was used, or something stands against it now. Does not commit.

    Raises:
        TooManyTries: what verifier and lock were made from is another now.
    """
    if not move(
        session,
        found.id,
        TransactionState.REDEEMED,
        Transaction.use_by > now,
        not_frozen(Transaction.signer_id),
        approving_phone_stays(Transaction.id),
    ):
        return False
    kept = session.scalar(
        update(Signer)
        .where(Signer.id == found.signer_id, Signer.password_salt == found.salt)
        .values(password_verifier=seal.verifier, password_change_due=False, password_tries=0)
        .returning(Signer.id)
        .execution_options(synchronize_session=False)
    )
    # Locked, so that no next record, to which this lock would not belong, comes before the commit.
    same = select(Cell.id).where(Cell.id == found.cell_id, Cell.epoch == found.epoch)
    if kept is None or session.scalar(same.with_for_update(key_share=True)) is None:
        session.rollback()
        raise TooManyTries("something else changed meanwhile", retry_after_seconds=1)
    cells = select(Cell.id).where(Cell.signer_id == found.signer_id)
    session.execute(delete(Lock).where(Lock.cell_id.in_(cells), Lock.kind == "password"))
    session.execute(
        insert(Lock).values(
            cell_id=found.cell_id,
            kind="password",
            key_id=found.signer_id.bytes,
            lock=seal.lock,
            created_at=now,
        )
    )
    end_sessions_of(session, found.signer_id)
    forget_others(session, signer=found.signer_id, token="")
    return True
