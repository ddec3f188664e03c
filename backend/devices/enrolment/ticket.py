"""Pairing, step 1: login, the envelope's password, and at once a new one; for a ticket.

1. Nothing is looked up by login. A ticket is asked for with the envelope's pairing id, 128 secret
   bits: who has none learns nothing, and the same work is done for it (T-17). So nobody without the
   envelope can use up the signer's tries either (T-21).
2. The envelope's password opens nothing but its own change (R-042): with it every lock of the
   signer is sealed again, in the commit that makes the ticket.
3. Where the answer was lost, the same body is repeated: the new password counts, the dead one not.
4. An envelope begins so many pairings and no more, as each gives three tries of a code (T-15).
"""

import logging
from datetime import datetime, timedelta
from hmac import compare_digest
from secrets import token_urlsafe
from typing import Final, final
from uuid import UUID

import msgspec
from sqlalchemy import update
from sqlalchemy.orm import Session

from backend.devices.conflict import OPEN_STATES
from backend.devices.enrolment.held import (
    PrintedEnvelope,
    find_envelope,
    password_locks,
    refuse_changed,
)
from backend.devices.enrolment.resealing import reseal
from backend.devices.pairing import ticket_hash
from backend.errors import (
    HsmUnavailable,
    NothingTried,
    PairingOver,
    PasswordUnfit,
    RequestRefused,
    SamUnavailable,
    SignerFrozen,
    WrongPassword,
)
from backend.model.tables import Pairing, PairingState, Signer
from backend.sam.cells import Cells, PasswordLock
from backend.sam.transactions import Transactions
from backend.settings import Settings
from backend.signers import password
from backend.signers.freeze import not_frozen
from backend.signers.registration import plain_first_password, plain_login
from backend.signing.request import add_enrolment, request_enrolment

log = logging.getLogger(__name__)

TICKET_SECONDS: Final = 900
MOST_TICKETS: Final = 20
TICKET_BYTES: Final = 32


@final
class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """What the signer typed, and the pairing that QR 2 names. Nothing of it is trusted."""

    login: str
    password: str
    new_password: str | None
    pairing: UUID


@final
class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """The right to present a phone; only its hash is kept."""

    ticket: str
    expires_at: datetime


@final
class _Hashes(msgspec.Struct, frozen=True, kw_only=True):
    """A of the password, and of the one that replaces it."""

    current: bytes
    new: bytes | None


@final
class _Proven(msgspec.Struct, frozen=True, kw_only=True):
    """A password that the SAM found right, and what its change left behind."""

    password_hash: bytes
    verifier: bytes
    held: dict[UUID, PasswordLock]
    """Password locks by cell as they were; empty where the password was not changed."""
    locks: tuple[str, ...]
    """Those that take their place."""


def open_ticket(
    session: Session,
    cells: Cells,
    transactions: Transactions,
    sign_in: SignIn,
    *,
    settings: Settings,
    now: datetime,
) -> Ticket:
    """Sign in with the envelope, and begin to pair a phone. Commits.

    Beginning again gives a new ticket and a new ask, until a phone is confirmed.

    Raises:
        WrongPassword: pairing, login or password is wrong; which is not said.
        TooManyTries: too many wrong passwords, or another try runs; nothing was checked.
        PasswordUnfit: the envelope's password is to be changed, and no fit new one came.
        PairingOver: the envelope is used, too old, used too often, or its pairing is frozen.
        SignerFrozen: the signer's access is locked.
    """
    envelope = find_envelope(session, sign_in.pairing)
    session.rollback()
    if envelope is None:
        raise _unknown(sign_in)
    _refuse_over(envelope, now)
    typed = plain_login(sign_in.login).encode(errors="replace")
    if not compare_digest(envelope.login.encode(), typed):
        raise _unknown(sign_in)
    if envelope.change_due:
        _check_new_password(envelope, sign_in)
    tries = password.Tries(used=envelope.password_tries, last_at=envelope.password_tried_at)
    password.refuse_paused(tries, now=now)
    hashes = _hash(envelope, sign_in)
    password.count_try(session, signer=envelope.signer, tries=tries, now=now)
    try:
        proven = _prove(session, cells, envelope, hashes)
        return _begin(session, cells, transactions, envelope, proven, settings=settings, now=now)
    except (SamUnavailable, HsmUnavailable):
        session.rollback()
        password.give_try_back(session, signer=envelope.signer)
        raise


def _unknown(sign_in: SignIn) -> WrongPassword:
    """Work as hard as for an envelope that is known."""
    password.argon2_for_nobody(sign_in.password)
    if sign_in.new_password is not None:
        password.argon2_for_nobody(sign_in.new_password)
    return WrongPassword("envelope, login or password is wrong")


def _refuse_over(envelope: PrintedEnvelope, now: datetime) -> None:
    if envelope.frozen:
        raise SignerFrozen("the signer's access is locked")
    if envelope.state not in OPEN_STATES:
        raise PairingOver("the envelope is used, or its pairing is frozen")
    if envelope.expires_at <= now:
        raise PairingOver("the envelope is too old: print another one")
    if envelope.tickets >= MOST_TICKETS:
        raise PairingOver("the envelope began too many pairings: print another one")


def _check_new_password(envelope: PrintedEnvelope, sign_in: SignIn) -> None:
    """Demand another password than the envelope's."""
    if sign_in.new_password is None:
        raise PasswordUnfit("choose a password of your own in place of the envelope's")
    password.check_rules(sign_in.new_password, login=envelope.login)
    first = plain_first_password(sign_in.password)
    if plain_first_password(sign_in.new_password) == first:
        raise PasswordUnfit("choose another password than the envelope's")


def _hash(envelope: PrintedEnvelope, sign_in: SignIn) -> _Hashes:
    """Compute what the SAM is asked with; the slow part, with no transaction open."""
    new = sign_in.new_password
    if envelope.change_due and new is not None:
        first = plain_first_password(sign_in.password)
        return _Hashes(
            current=password.argon2_hash(first, envelope.salt),
            new=password.argon2_hash(new, envelope.salt),
        )
    current = sign_in.password if new is None else new
    return _Hashes(current=password.argon2_hash(current, envelope.salt), new=None)


def _prove(session: Session, cells: Cells, envelope: PrintedEnvelope, hashes: _Hashes) -> _Proven:
    """Have the SAM check the password, and seal every lock of the signer under the new one."""
    if hashes.new is None:
        password.check(
            cells,
            signer=envelope.signer,
            password_hash=hashes.current,
            verifier=envelope.verifier,
            ask=None,
        )
        return _Proven(password_hash=hashes.current, verifier=envelope.verifier, held={}, locks=())
    held = password_locks(session, envelope.signer)
    session.rollback()
    try:
        changed = password.change(
            cells,
            signer=envelope.signer,
            old_hash=hashes.current,
            new_hash=hashes.new,
            verifier=envelope.verifier,
            locks=tuple(held.values()),
        )
    except RequestRefused:
        refuse_changed(session, signer=envelope.signer, verifier=envelope.verifier)
        raise
    return _Proven(
        password_hash=hashes.new, verifier=changed.verifier, held=held, locks=changed.locks
    )


def _begin(
    session: Session,
    cells: Cells,
    transactions: Transactions,
    envelope: PrintedEnvelope,
    proven: _Proven,
    *,
    settings: Settings,
    now: datetime,
) -> Ticket:
    """Open the enrol ask and write all that follows from the sign-in, in one commit."""
    opened = request_enrolment(
        session,
        transactions,
        cell=envelope.cell,
        signer_name=envelope.name,
        settings=settings,
        now=now,
        use_seconds=TICKET_SECONDS,
    )
    proof = password.check(
        cells,
        signer=envelope.signer,
        password_hash=proven.password_hash,
        verifier=proven.verifier,
        ask=opened.ask,
    )
    _keep_password(session, envelope, proven)
    add_enrolment(session, opened)
    ticket = _give_ticket(session, envelope, transaction=opened.id, proof=proof, now=now)
    session.commit()
    log.info("pairing begun", extra={"pairing_id": envelope.pairing, "signer_id": envelope.signer})
    return ticket


def _give_ticket(
    session: Session,
    envelope: PrintedEnvelope,
    *,
    transaction: UUID,
    proof: str | None,
    now: datetime,
) -> Ticket:
    """Write a new ticket in place of the one before."""
    ticket, expires_at = token_urlsafe(TICKET_BYTES), _end(now)
    begun = session.execute(
        update(Pairing)
        .where(
            Pairing.id == envelope.pairing,
            Pairing.state.in_(OPEN_STATES),
            Pairing.expires_at > now,
            not_frozen(Pairing.signer_id),
        )
        .values(
            state=PairingState.PRINTED,
            ticket_hash=ticket_hash(ticket),
            ticket_expires_at=expires_at,
            transaction_id=transaction,
            password_proof=proof,
            codes_sent=0,
            code_tries=0,
            code_sent_at=None,
        )
        .returning(Pairing.id)
    ).first()
    if begun is None:
        session.rollback()
        raise PairingOver("the envelope is used, or its pairing is frozen")
    return Ticket(ticket=ticket, expires_at=expires_at)


def _keep_password(session: Session, envelope: PrintedEnvelope, proven: _Proven) -> None:
    """Write verifier and locks, unless another request changed the password meanwhile."""
    kept = session.execute(
        update(Signer)
        .where(Signer.id == envelope.signer, Signer.password_verifier == envelope.verifier)
        .values(password_verifier=proven.verifier, password_change_due=False, password_tries=0)
        .returning(Signer.id)
    ).first()
    if kept is None or not reseal(session, proven.held, proven.locks):
        session.rollback()
        raise NothingTried("another try is running")


def _end(now: datetime) -> datetime:
    """The ticket ends with its ask."""
    return now.replace(microsecond=0) + timedelta(seconds=TICKET_SECONDS)
