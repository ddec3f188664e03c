"""What the rows say of a request that may be approved by code; the SAM decides, and the door."""

from datetime import datetime, timedelta
from math import ceil
from typing import Final, final
from uuid import UUID

import msgspec
from sqlalchemy import and_, null, select
from sqlalchemy.orm import Session

from backend.errors import (
    CodeRefused,
    MalformedMessage,
    NotFound,
    SignerFrozen,
    TooManyTries,
    TransactionOver,
)
from backend.model.tables import (
    SEED_ROWS,
    AuthorisedHash,
    Cell,
    Lock,
    Record,
    Signer,
    TotpSeed,
    Transaction,
    TransactionState,
)
from backend.protocol.approval import CodeMethod
from backend.protocol.jose import unverified_payload
from backend.protocol.record import TYP, CellRecord
from backend.signers.freeze import not_frozen
from backend.signing.moves import state_at

MOST_TRIES: Final = 3
"""Codes for a transaction."""
MOST_TRIES_A_DAY: Final = 10
"""Wrong codes of a signer, in a day that begins with the first: in any 24 hours twice as many."""
DAY: Final = timedelta(days=1)
MOST_SMS: Final = 3
"""That a signer may ask for, of one transaction, beside the first (T-14)."""
BETWEEN_SMS: Final = timedelta(seconds=30)
BY_CODE: Final = ("sign", "certificate_request")


@final
class AskedByCode(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction with all that an approval by code takes."""

    id: UUID
    state: str
    ask: str
    expires_at: datetime
    use_by: datetime
    sms_due_at: datetime | None
    sms_valid_until: datetime | None
    sms_asked: int
    code_tries: int
    signer: UUID
    number: str | None
    subject: bytes
    zone: str
    salt: bytes
    code_tries_of_day: int
    code_tries_since: datetime | None
    cell: UUID
    record: str
    lock: str | None
    may_go_on: bool

    def state_at(self, now: datetime) -> TransactionState:
        """The transaction's state at an instant."""
        return state_at(self.state, expires_at=self.expires_at, use_by=self.use_by, now=now)

    def tries_left(self, now: datetime) -> int:
        """How many codes may be typed now."""
        since = self.code_tries_since
        today = self.code_tries_of_day if since is not None and since > now - DAY else 0
        return max(0, min(MOST_TRIES - self.code_tries, MOST_TRIES_A_DAY - today))


@final
class SealedSeed(msgspec.Struct, frozen=True, kw_only=True):
    """The authenticator's seed that the record seems to name."""

    seed_hash: bytes
    sealed: str
    used_step: int | None
    """TOTP: the last one that was accepted."""


def read_asked(session: Session, *, transaction: UUID, signer: UUID) -> AskedByCode:
    """Read it. Commits, which ends the read.

    Raises:
        NotFound: there is no such transaction of this signer that a code could approve.
    """
    row = session.execute(
        select(
            Transaction.id,
            Transaction.state,
            Transaction.ask,
            Transaction.expires_at,
            Transaction.use_by,
            Transaction.sms_due_at,
            Transaction.sms_valid_until,
            Transaction.sms_asked,
            Transaction.code_tries,
            Signer.id.label("signer"),
            Signer.number,
            Signer.subject,
            Signer.zone,
            Signer.password_salt.label("salt"),
            Signer.code_tries.label("code_tries_of_day"),
            Signer.code_tries_since,
            Cell.id.label("cell"),
            Record.record,
            Lock.lock,
            not_frozen(Transaction.signer_id).label("may_go_on"),
        )
        .join(Signer, Signer.id == Transaction.signer_id)
        .join(Cell, Cell.id == Transaction.cell_id)
        .join(Record, and_(Record.cell_id == Cell.id, Record.epoch == Cell.epoch))
        .outerjoin(Lock, and_(Lock.cell_id == Cell.id, Lock.kind == "password"))
        .where(
            Transaction.id == transaction,
            Transaction.signer_id == signer,
            Transaction.kind.in_(BY_CODE),
        )
    ).first()
    session.commit()
    if row is None:
        raise NotFound("no such request")
    return AskedByCode(**row._asdict())


def read_seed(session: Session, record: str, method: CodeMethod) -> SealedSeed | None:
    """Find the seed that a record names; the SAM verifies both. Commits, which ends the read."""
    try:
        named = unverified_payload(record, CellRecord, expected_typ=TYP).seed(method)
    except MalformedMessage:
        return None
    if named is None:
        return None
    seeds = SEED_ROWS[method]
    used_step = TotpSeed.used_step if method == "password+totp" else null()
    row = session.execute(
        select(seeds.seed_hash, seeds.sealed, used_step.label("used_step")).where(
            seeds.seed_hash == named
        )
    ).one_or_none()
    session.commit()
    return None if row is None else SealedSeed(**row._asdict())


def read_items(session: Session, transaction: UUID) -> tuple[str, ...]:
    """Read the list beside the ask. Commits, which ends the read."""
    items = session.scalars(
        select(AuthorisedHash.item)
        .where(AuthorisedHash.transaction_id == transaction)
        .order_by(AuthorisedHash.position)
    ).all()
    session.commit()
    return tuple(items)


def check_open(asked: AskedByCode, now: datetime) -> None:
    """Go no further where nothing can be approved.

    Raises:
        SignerFrozen: the signer's access is locked.
        TransactionOver: it was answered, or is too late.
    """
    if not asked.may_go_on:
        raise SignerFrozen("the signer's access is locked")
    state = asked.state_at(now)
    if state is not TransactionState.PENDING:
        raise TransactionOver(state)


def check_sms_due(asked: AskedByCode, now: datetime) -> None:
    """Go no further where no SMS was due yet.

    Raises:
        CodeRefused: there is no way by SMS, or a phone is asked first.
    """
    if asked.sms_due_at is None or asked.number is None:
        raise CodeRefused(3, "there is no way by SMS")
    if now < asked.sms_due_at:
        raise CodeRefused(3, "a phone is paired: it is asked first")


def check_code_in_time(asked: AskedByCode, now: datetime) -> None:
    """Go no further with an SMS code that is not good now.

    Raises:
        CodeRefused: there is none yet, or it is too old.
    """
    check_sms_due(asked, now)
    if asked.sms_valid_until is None or now > asked.sms_valid_until:
        raise CodeRefused(4, "the code is too old: let another SMS be sent")


def check_may_send(asked: AskedByCode, now: datetime) -> None:
    """Go no further where an SMS was sent too often, or a moment ago.

    Raises:
        TooManyTries: it was.
    """
    if asked.sms_asked >= MOST_SMS:
        raise TooManyTries("the SMS was sent as often as it may be")
    if asked.sms_asked and asked.sms_due_at is not None and now < asked.sms_due_at + BETWEEN_SMS:
        left = asked.sms_due_at + BETWEEN_SMS - now
        raise TooManyTries(
            "an SMS was sent a moment ago", retry_after_seconds=ceil(left.total_seconds())
        )
