"""Pairing, step 3: the code for the signer's verified number.

The SAM renders the text and seals it to the worker; neither number nor code lies in a row in clear.
At most three for an ask (T-14), counted in the commit that sends.
"""

from datetime import datetime
from typing import Final, final

import msgspec
from sqlalchemy import update
from sqlalchemy.orm import Session

from backend.delivery.outbox import enqueue_sms
from backend.devices.enrolment.confirmation import MOST_TRIES
from backend.devices.enrolment.held import HeldPairing, held_by_ticket, presented, refuse_over
from backend.errors import NotConfirmed, TooManyTries
from backend.model.tables import Pairing, PairingState
from backend.sam.cells import Cells, SendPairingCode
from backend.settings import Settings
from backend.signers.freeze import not_frozen

MOST_CODES: Final = 3


@final
class CodeSent(msgspec.Struct, frozen=True, kw_only=True):
    """The code is on its way."""

    tries_left: int
    """How often a code may be typed."""


def send_code(
    session: Session, cells: Cells, *, ticket: str, settings: Settings, now: datetime
) -> CodeSent:
    """Send the pairing code to the signer's verified number. Commits.

    Raises:
        Unauthenticated: no such ticket, or it is too old.
        SignerFrozen: the signer's access is locked.
        PairingOver: the pairing is frozen, or a phone is confirmed.
        NotConfirmed: no phone presented itself yet, an operator confirms this pairing, or no text
            can be sent here.
        TooManyTries: the code was sent three times.
        EnrolmentRefused: the SAM does not accept the enrolment.
        RecordRefused: the number is not the one that was verified.
    """
    held = held_by_ticket(session, ticket, now=now)
    session.rollback()
    refuse_over(held)
    if held.number is None:
        raise NotConfirmed("no number is verified: an operator confirms this pairing")
    if not settings.sends_sms:
        # The cell was made while one could. Nothing is counted, and nobody waits in vain.
        raise NotConfirmed("no text can be sent now: ask who gave you the envelope")
    if held.codes_sent >= MOST_CODES:
        raise TooManyTries("the code was sent three times; begin the pairing again")
    asked = SendPairingCode(
        record=held.record,
        ask=held.ask,
        enrolment=presented(held),
        number=held.number,
        lang=held.lang,
    )
    sealed = cells.pairing_code(asked)
    _count_code(session, held, now)
    enqueue_sms(
        session,
        transaction=held.transaction,
        sealed_sms=sealed.sms,
        now=now,
        expires_at=held.use_by,
    )
    session.commit()
    return CodeSent(tries_left=MOST_TRIES - held.code_tries)


def _count_code(session: Session, held: HeldPairing, now: datetime) -> None:
    """Count an SMS in the commit that sends it."""
    counted = session.execute(
        update(Pairing)
        .where(
            Pairing.id == held.pairing,
            Pairing.state == PairingState.ENROLLED,
            Pairing.transaction_id == held.transaction,
            Pairing.codes_sent < MOST_CODES,
            not_frozen(Pairing.signer_id),
        )
        .values(codes_sent=Pairing.codes_sent + 1, code_sent_at=now)
        .returning(Pairing.id)
    ).first()
    if counted is None:
        session.rollback()
        raise TooManyTries("the code was sent three times; begin the pairing again")
