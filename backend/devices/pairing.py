"""Pairing, step 2: a new phone fetches its ask and sends its keys. No SAM here (design, 8).

1. Who holds the ticket gave login, password and the envelope's pairing id a moment ago. The ticket
   is kept as its SHA-256 and ends with the ask.
2. An enrolment is checked as far as it can be without secrets; the SAM checks all of it again.
3. The first enrolment for an ask stands. The same bytes are the same use; the same keys in other
   bytes are refused.
4. Other keys, while one phone waits to be confirmed, freeze the pairing and are reported: somebody
   else has the envelope (T-02). After the confirmation they are only reported.
"""

import logging
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, final

import msgspec
from sqlalchemy import Row, and_, exists, insert, select, update
from sqlalchemy.orm import Session, aliased

from backend.access.phones import verified_record
from backend.devices.conflict import (
    OPEN_STATES,
    refuse_known_keys,
    refuse_other_phone,
    refuse_other_use,
)
from backend.errors import (
    MalformedMessage,
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
    Transaction,
)
from backend.protocol.ask import verify_ask
from backend.protocol.enrolment import (
    EnrolmentClaims,
    check_enrols_for,
    read_enrolment,
    twelve_characters,
    verify_passkey,
)
from backend.protocol.jose import PublicJwk
from backend.protocol.public_keys import PublicKeys
from backend.protocol.record import CellRecord, Confirmation
from backend.protocol.sealed import check_sealed
from backend.settings import Settings
from backend.signers.freeze import not_frozen

log = logging.getLogger(__name__)


_RECOVERY: Final = aliased(Lock)
_PASSWORD: Final = aliased(Lock)
_Held = Row[*tuple[Any, ...]]


@final
class PairingView(msgspec.Struct, frozen=True, kw_only=True):
    """What the new phone is given."""

    state: PairingState
    ask: str
    ks: PublicJwk
    keys: tuple[str, ...]
    """``cell-keys+jwt``, oldest first."""
    envelope_lock: str | None
    """``None`` once it is used, for a cell that exists, or where the pairing is frozen."""
    recovery_lock: str | None
    """For a cell that exists: opens by the recovery code."""
    password_recovery: bool
    """For a cell that exists: whether the password, typed again at step 3, brings the secret."""
    confirmation: tuple[Confirmation, ...]
    """What the pairing waits for: all of them."""


@final
class StoredEnrolment(msgspec.Struct, frozen=True, kw_only=True):
    """The phone's keys are here; the 12 characters are what people compare."""

    state: PairingState
    twelve: str


def ticket_hash(ticket: str) -> bytes:
    """The form in which a ticket is kept."""
    return sha256(ticket.encode(errors="replace")).digest()


def pairing_view(
    session: Session, *, ticket: str, public_keys: PublicKeys, now: datetime
) -> PairingView:
    """Show the holder of a ticket how the pairing stands. Writes nothing.

    Raises:
        Unauthenticated: no such ticket, or it is too old.
        SignerFrozen: the signer's access is locked.
        MalformedMessage: a row holds what KS did not sign.
    """
    held = _held(session, ticket, now)
    record = verified_record(held.record, public_keys.ks)
    state = PairingState(held.state)
    recovers = held.for_existing and state in OPEN_STATES
    return PairingView(
        state=state,
        ask=held.ask,
        ks=public_keys.ks,
        keys=public_keys.keys,
        envelope_lock=held.lock if state in OPEN_STATES and not held.for_existing else None,
        recovery_lock=held.recovery_lock if recovers else None,
        password_recovery=recovers and _by_password(held, record),
        confirmation=record.policy.caps.confirm,
    )


def store_enrolment(
    session: Session,
    *,
    ticket: str,
    enrolment: str,
    sealed: str | None,
    public_keys: PublicKeys,
    settings: Settings,
    now: datetime,
) -> StoredEnrolment:
    """Take a new phone's keys. Commits.

    Raises:
        Unauthenticated: no such ticket, or it is too old.
        SignerFrozen: the signer's access is locked.
        PairingOver: the pairing is frozen.
        MalformedMessage: enrolment or seal is not in order.
        KindRefused: phones of this kind are not allowed.
        EnrolmentRefused: phones with these keys cannot be paired.
        PairingConflict: other keys, or other bytes of the same keys, came first.
    """
    held = _held(session, ticket, now)
    if held.state == PairingState.FROZEN:
        raise PairingOver("the pairing is frozen: another phone used the same envelope")
    claims = _verified(
        held, enrolment=enrolment, sealed=sealed, public_keys=public_keys, settings=settings
    )
    if held.kid is None:
        refuse_other_phone(session, pairing=held.id, claims=claims, now=now)
        refuse_known_keys(session, claims.keys.thumbprints())
        if _store(session, held, claims, enrolment=enrolment, sealed=sealed, now=now):
            return StoredEnrolment(state=PairingState.ENROLLED, twelve=twelve_characters(enrolment))
        held = _held(session, ticket, now)
    if held.kid is None:
        raise PairingOver("the pairing was started anew, or is frozen")
    if held.enrolment != enrolment:
        refuse_other_use(session, pairing=held.id, first_kid=held.kid, claims=claims)
    return StoredEnrolment(state=PairingState(held.state), twelve=twelve_characters(enrolment))


def _held(session: Session, ticket: str, now: datetime) -> _Held:
    """Read what the ticket stands for, and whether the signer is frozen."""
    held = session.execute(
        select(
            Pairing.id,
            Pairing.state,
            Pairing.cell_id,
            Pairing.signer_id,
            Pairing.transaction_id,
            Transaction.ask,
            Record.record,
            Lock.lock,
            Pairing.for_existing,
            _RECOVERY.lock.label("recovery_lock"),
            exists()
            .where(_PASSWORD.cell_id == Pairing.cell_id, _PASSWORD.kind == "password")
            .label("has_password_lock"),
            Enrolment.kid,
            Enrolment.enrolment,
            not_frozen(Pairing.signer_id).label("not_frozen"),
        )
        .join(Cell, Cell.id == Pairing.cell_id)
        .join(Record, and_(Record.cell_id == Cell.id, Record.epoch == Cell.epoch))
        .join(Transaction, Transaction.id == Pairing.transaction_id)
        .outerjoin(Lock, and_(Lock.cell_id == Pairing.cell_id, Lock.kind == "envelope"))
        .outerjoin(
            _RECOVERY,
            and_(
                _RECOVERY.cell_id == Pairing.cell_id,
                _RECOVERY.kind == "recovery",
                _RECOVERY.key_id == b"",
            ),
        )
        .outerjoin(Enrolment, Enrolment.transaction_id == Pairing.transaction_id)
        .where(Pairing.ticket_hash == ticket_hash(ticket), Pairing.ticket_expires_at > now)
    ).one_or_none()
    if held is None:
        raise Unauthenticated("the pairing ticket is not valid, or too old")
    if not held.not_frozen:
        raise SignerFrozen("the signer's access is locked")
    return held


def _by_password(held: _Held, record: CellRecord) -> bool:
    """Whether the password can bring the secret: it has a lock, and a code alone confirms."""
    alone = record.sms is not None and "operator" not in record.policy.caps.confirm
    return bool(held.for_existing and held.has_password_lock) and alone


def _verified(
    held: _Held, *, enrolment: str, sealed: str | None, public_keys: PublicKeys, settings: Settings
) -> EnrolmentClaims:
    """Check an enrolment by the rules 3 to 5 of ``enrol``, and that the seal belongs to it."""
    ask = verify_ask(held.ask, expected_ks=public_keys.ks)
    record = verified_record(held.record, public_keys.ks)
    claims = read_enrolment(enrolment)
    check_enrols_for(claims, ask)
    record.policy.check_kind(claims.kind)
    verify_passkey(claims, rp_id=settings.rp_id, origin=settings.app_url)
    if claims.sealed is None or claims.epk is None or sealed is None:
        if claims.sealed is not None or sealed is not None or not _by_password(held, record):
            raise MalformedMessage("this enrolment must bring the cell's secret, sealed")
        return claims
    check_sealed(
        sealed,
        expected_hash=claims.sealed,
        expected_epk=claims.epk,
        expected_sender=claims.keys.approval.thumbprint(),
        expected_tx_hash=ask.tx_hash,
    )
    return claims


def _store(
    session: Session,
    held: _Held,
    claims: EnrolmentClaims,
    *,
    enrolment: str,
    sealed: str | None,
    now: datetime,
) -> bool:
    """Keep the first enrolment; ``False`` where another request was faster."""
    taken = session.execute(
        update(Pairing)
        .where(
            Pairing.id == held.id,
            Pairing.state == PairingState.PRINTED,
            Pairing.transaction_id == held.transaction_id,
            not_frozen(Pairing.signer_id),
        )
        .values(state=PairingState.ENROLLED)
        .returning(Pairing.id)
    ).first()
    if taken is None:
        session.rollback()
        return False
    session.execute(
        insert(Enrolment).values(
            transaction_id=held.transaction_id,
            pairing_id=held.id,
            enrolment=enrolment,
            sealed=sealed,
            kid=claims.keys.approval.thumbprint(),
            received_at=now,
        )
    )
    session.commit()
    log.info("a phone presented itself", extra={"pairing_id": held.id, "cell_id": held.cell_id})
    return True
