"""What the rows say of an envelope and its pairing, read in one statement each. Nothing is written.

Only the authorisation server reads here: it holds blobs, numbers and verifiers, which
``mobile_api`` never sees.
"""

from datetime import datetime
from typing import Any, Final, final
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.orm import Session

from backend.devices.pairing import ticket_hash
from backend.errors import (
    NotConfirmed,
    NotFound,
    NothingTried,
    PairingOver,
    SignerFrozen,
    Unauthenticated,
)
from backend.model.tables import (
    Cell,
    Enrolment,
    Lock,
    Pairing,
    PairingState,
    Record,
    Signer,
    Transaction,
)
from backend.sam.cells import PasswordLock
from backend.signers.freeze import not_frozen
from backend.signers.registration import plain_login

PASSWORD_LOCK: Final = "password"  # noqa: S105  # a kind of lock, not a secret


@final
class PrintedEnvelope(msgspec.Struct, frozen=True, kw_only=True):
    """An envelope, and the signer to whom it was given."""

    pairing: UUID
    state: str
    expires_at: datetime
    tickets: int
    """How often a pairing was begun with it."""
    cell: UUID
    signer: UUID
    login: str
    name: str
    salt: bytes
    verifier: bytes
    change_due: bool
    password_tries: int
    password_tried_at: datetime | None
    frozen: bool


@final
class HeldPairing(msgspec.Struct, frozen=True, kw_only=True):
    """A pairing that was begun, with all that the SAM needs to end it."""

    pairing: UUID
    state: str
    printed_by: str
    codes_sent: int
    code_tries: int
    cell: UUID
    signer: UUID
    number: str | None
    lang: str
    transaction: UUID
    ask: str
    use_by: datetime
    record: str
    epoch: int
    blob: bytes
    password_proof: str | None
    enrolment: str | None
    """``None`` until a phone presents itself."""
    sealed: str | None
    """``None`` where the password is to bring the cell's secret."""
    password_lock: str | None
    salt: bytes
    verifier: bytes | None
    password_tries: int
    password_tried_at: datetime | None
    frozen: bool


def find_envelope(session: Session, pairing: UUID) -> PrintedEnvelope | None:
    """Find an envelope by the id that its secret gives."""
    begun = (
        select(func.count())
        .select_from(Transaction)
        .where(
            Transaction.cell_id == Pairing.cell_id,
            Transaction.kind == "enrol",
            Transaction.created_at >= Pairing.printed_at,
        )
        .correlate(Pairing)
        .scalar_subquery()
    )
    row = session.execute(
        select(
            Pairing.id.label("pairing"),
            Pairing.state,
            Pairing.expires_at,
            begun.label("tickets"),
            Pairing.cell_id.label("cell"),
            Signer.id.label("signer"),
            Signer.login,
            Signer.name,
            Signer.password_salt.label("salt"),
            Signer.password_verifier.label("verifier"),
            Signer.password_change_due.label("change_due"),
            Signer.password_tries,
            Signer.password_tried_at,
            (~not_frozen(Pairing.signer_id)).label("frozen"),
        )
        .join(Signer, Signer.id == Pairing.signer_id)
        .where(Pairing.id == pairing, Signer.password_verifier.is_not(None))
    ).one_or_none()
    return None if row is None else PrintedEnvelope(**row._asdict())


def held_by_ticket(session: Session, ticket: str, *, now: datetime) -> HeldPairing:
    """Find the pairing that a ticket stands for.

    Raises:
        Unauthenticated: no such ticket, or it is too old.
    """
    valid = and_(Pairing.ticket_hash == ticket_hash(ticket), Pairing.ticket_expires_at > now)
    row = session.execute(_pairings(valid).limit(1)).one_or_none()
    if row is None:
        raise Unauthenticated("the pairing ticket is not valid, or too old")
    return HeldPairing(**row._asdict())


def held_by_login(session: Session, login: str) -> HeldPairing:
    """Find the pairing that a signer began last, for an operator.

    Raises:
        NotFound: the signer began none.
    """
    newest = _pairings(Signer.login == plain_login(login)).order_by(
        Transaction.created_at.desc(), Pairing.printed_at.desc()
    )
    row = session.execute(newest.limit(1)).one_or_none()
    if row is None:
        raise NotFound("this signer has not begun to pair a phone")
    return HeldPairing(**row._asdict())


def password_locks(session: Session, signer: UUID) -> dict[UUID, PasswordLock]:
    """Read every password lock of a signer, with the newest record of its cell."""
    rows = session.execute(
        select(Cell.id, Record.record, Lock.lock)
        .join(Record, and_(Record.cell_id == Cell.id, Record.epoch == Cell.epoch))
        .join(Lock, and_(Lock.cell_id == Cell.id, Lock.kind == PASSWORD_LOCK))
        .where(Cell.signer_id == signer)
        .order_by(Cell.id)
    )
    return {cell: PasswordLock(record=record, lock=lock) for cell, record, lock in rows}


def refuse_changed(session: Session, *, signer: UUID, verifier: bytes) -> None:
    """Go no further where another request changed the password meanwhile, and so the locks.

    Raises:
        NothingTried: it did; the same call may be repeated.
    """
    found = session.scalar(select(Signer.password_verifier).where(Signer.id == signer))
    session.rollback()
    if found != verifier:
        raise NothingTried("another try is running")


def refuse_over(held: HeldPairing) -> None:
    """Go no further where the pairing waits for nothing.

    Raises:
        SignerFrozen: the signer's access is locked.
        PairingOver: the pairing is frozen, or a phone is confirmed.
    """
    if held.frozen:
        raise SignerFrozen("the signer's access is locked")
    if held.state == PairingState.FROZEN:
        raise PairingOver("the pairing is frozen: print another envelope")
    if held.state == PairingState.CONFIRMED:
        raise PairingOver("a phone is paired already")


def presented(held: HeldPairing) -> str:
    """The enrolment that waits to be confirmed.

    Raises:
        NotConfirmed: no phone presented itself yet.
    """
    if held.enrolment is None:
        raise NotConfirmed("no phone has presented itself yet")
    return held.enrolment


def _pairings(condition: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    return (
        select(
            Pairing.id.label("pairing"),
            Pairing.state,
            Pairing.printed_by,
            Pairing.codes_sent,
            Pairing.code_tries,
            Cell.id.label("cell"),
            Signer.id.label("signer"),
            Signer.number,
            Signer.lang,
            Transaction.id.label("transaction"),
            Transaction.ask,
            Transaction.use_by,
            Record.record,
            Record.epoch,
            Cell.blob,
            Pairing.password_proof,
            Enrolment.enrolment,
            Enrolment.sealed,
            Lock.lock.label("password_lock"),
            Signer.password_salt.label("salt"),
            Signer.password_verifier.label("verifier"),
            Signer.password_tries,
            Signer.password_tried_at,
            (~not_frozen(Pairing.signer_id)).label("frozen"),
        )
        .join(Signer, Signer.id == Pairing.signer_id)
        .join(Cell, Cell.id == Pairing.cell_id)
        .join(Record, and_(Record.cell_id == Cell.id, Record.epoch == Cell.epoch))
        .join(Transaction, Transaction.id == Pairing.transaction_id)
        .outerjoin(Enrolment, Enrolment.transaction_id == Pairing.transaction_id)
        .outerjoin(Lock, and_(Lock.cell_id == Cell.id, Lock.kind == PASSWORD_LOCK))
        .where(condition)
    )
