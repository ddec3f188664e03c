"""Pairing, step 3: a phone is believed, once it is confirmed as the cell's policy demands.

1. A code is counted and the count committed before it is checked, so that parallel guesses count
   (T-15). What nobody could check, as the SAM did not answer, is given back.
2. An operator confirms only what another one printed (T-10); the 12 characters are compared in the
   SAM.
3. A confirmation is one commit: record, phone and its lock come; the envelope's lock and the sealed
   secret go. A crash before it leaves the pairing as it was; a repeat after it answers the same.
"""

import logging
from datetime import datetime
from typing import Final, final

import msgspec
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.devices.enrolment.epochs import believe
from backend.devices.enrolment.held import (
    HeldPairing,
    held_by_login,
    held_by_ticket,
    presented,
    refuse_over,
)
from backend.devices.enrolment.password_key import password_key
from backend.errors import (
    EnrolmentRefused,
    HsmUnavailable,
    NotConfirmed,
    PairingOver,
    RequestRefused,
    SamUnavailable,
    SignerFrozen,
    TooManyTries,
    WrongCode,
)
from backend.model.tables import Pairing, PairingState, TransactionState
from backend.sam.cells import Cells, Enrol, OperatorWord, PasswordKey
from backend.signers.freeze import not_frozen, same_person
from backend.signing.moves import move

log = logging.getLogger(__name__)

MOST_TRIES: Final = 3
"""Codes that may be typed for an ask."""
CODE_DIGITS: Final = 8


@final
class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What people brought to confirm a phone."""

    code: str | None = None
    operator: OperatorWord | None = None
    password: PasswordKey | None = None


def confirm_by_code(
    session: Session,
    cells: Cells,
    *,
    ticket: str,
    code: str,
    unverified_password: str | None = None,
    now: datetime,
) -> PairingState:
    """Believe the phone whose code arrived on the signer's number. Commits.

    Args:
        session: no transaction of it is open while the SAM works.
        cells: the SAM.
        ticket: of the pairing.
        code: as it was typed.
        unverified_password: needed, and looked at, only where the phone brought no secret.
        now: the time.

    Raises:
        Unauthenticated: no such ticket, or it is too old.
        SignerFrozen: the signer's access is locked.
        PairingOver: the pairing is frozen, or was begun again.
        NotConfirmed: no phone presented itself yet, or no code was sent to it.
        WrongCode: the code is wrong.
        TooManyTries: three codes were wrong; the pairing begins again at step 1. Or too many
            passwords were.
        WrongPassword: the password is wrong; no code was counted.
        MalformedMessage: there is none, and the phone brought no secret.
        EnrolmentRefused: the SAM does not accept the enrolment.
    """
    held = held_by_ticket(session, ticket, now=now)
    session.rollback()
    if held.state == PairingState.CONFIRMED:
        return PairingState.CONFIRMED
    refuse_over(held)
    presented(held)
    if held.codes_sent == 0:
        raise NotConfirmed("no code was sent to this phone's owner")
    typed = "".join(code.split()).replace("-", "")
    if len(typed) != CODE_DIGITS or not (typed.isascii() and typed.isdigit()):
        raise WrongCode(MOST_TRIES - held.code_tries)
    password = password_key(session, cells, held, unverified_password=unverified_password, now=now)
    left = MOST_TRIES - _count_try(session, held)
    answer = Answer(code=typed, password=password)
    try:
        return _enrol(session, cells, held, answer, now=now)
    except WrongCode as error:
        raise _wrong(session, held, left=min(left, error.tries_left)) from error
    except TooManyTries:
        _wrong(session, held, left=0)
        raise
    except (SamUnavailable, HsmUnavailable):
        _give_try_back(session, held)
        raise


def confirm_by_operator(
    session: Session, cells: Cells, *, login: str, operator: str, twelve: str, now: datetime
) -> PairingState:
    """Believe the phone whose 12 characters the signer read to an operator. Commits.

    Raises:
        NotFound: the signer has not begun to pair a phone.
        RequestRefused: the operator printed the envelope (T-10).
        SignerFrozen: the signer's access is locked.
        PairingOver: the pairing is frozen.
        NotConfirmed: no phone presented itself yet.
        EnrolmentRefused: other characters, or a code confirms this pairing.
    """
    held = held_by_login(session, login)
    session.rollback()
    if held.state == PairingState.CONFIRMED:
        return PairingState.CONFIRMED
    refuse_over(held)
    if same_person(operator, held.printed_by):
        raise RequestRefused("another operator than the one who printed has to confirm")
    presented(held)
    answer = Answer(operator=OperatorWord(operator=operator, twelve=twelve))
    state = _enrol(session, cells, held, answer, now=now)
    log.info("phone confirmed", extra={"pairing_id": held.pairing, "operator": operator})
    return state


def _count_try(session: Session, held: HeldPairing) -> int:
    """Count a code before it is checked; gives the number of tries. Commits."""
    tries = session.execute(
        update(Pairing)
        .where(
            Pairing.id == held.pairing,
            Pairing.transaction_id == held.transaction,
            Pairing.code_tries < MOST_TRIES,
        )
        .values(code_tries=Pairing.code_tries + 1)
        .returning(Pairing.code_tries)
    ).scalar_one_or_none()
    session.commit()
    if tries is None:
        raise TooManyTries("three codes were wrong; begin the pairing again")
    return tries


def _give_try_back(session: Session, held: HeldPairing) -> None:
    session.execute(
        update(Pairing)
        .where(Pairing.id == held.pairing, Pairing.transaction_id == held.transaction)
        .values(code_tries=Pairing.code_tries - 1)
    )
    session.commit()


def _wrong(session: Session, held: HeldPairing, *, left: int) -> WrongCode:
    """Note a wrong code; with the last one the ask is over, and the pairing begins again."""
    log.warning("wrong pairing code", extra={"pairing_id": held.pairing})
    if left == 0:
        move(
            session,
            held.transaction,
            TransactionState.FAILED,
            ended_because="three pairing codes were wrong",
        )
        session.commit()
    return WrongCode(left)


def _enrol(
    session: Session,
    cells: Cells,
    held: HeldPairing,
    answer: Answer,
    *,
    now: datetime,
) -> PairingState:
    """Have the SAM believe the phone, and write what it says. Commits."""
    enrolled = cells.enrol(
        Enrol(
            record=held.record,
            blob=held.blob,
            ask=held.ask,
            enrolment=presented(held),
            sealed=held.sealed,
            password=answer.password,
            password_proof=held.password_proof,
            code=answer.code,
            operator=answer.operator,
        )
    )
    try:
        if believe(session, held, enrolled, now=now):
            session.commit()
            log.info("phone paired", extra={"pairing_id": held.pairing, "cell_id": held.cell})
            return PairingState.CONFIRMED
        session.rollback()
    except IntegrityError as error:
        session.rollback()
        raise EnrolmentRefused(3, "these keys are paired already: make new ones") from error
    return _as_it_is_now(session, held)


def _as_it_is_now(session: Session, held: HeldPairing) -> PairingState:
    """Answer where somebody was faster: the same request, a freeze, or another beginning."""
    now_held = session.execute(
        select(Pairing.state, not_frozen(Pairing.signer_id).label("not_frozen")).where(
            Pairing.id == held.pairing
        )
    ).one()
    session.rollback()
    if now_held.state == PairingState.CONFIRMED:
        return PairingState.CONFIRMED
    if not now_held.not_frozen:
        raise SignerFrozen("the signer's access is locked")
    raise PairingOver("the pairing was begun again, or is frozen")
