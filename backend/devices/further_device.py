"""A further phone, seen from itself: three keys, for which nobody but a paired phone vouches.

1. It is found by the thumbprint of its request key, which a paired phone read from its screen. The
   caller has proved to hold that key; for who holds another one there is nothing here.
2. What it is given before it is paired is worth nothing to anybody: an ask that a paired phone has
   to approve, and no secret. Its lock opens by its unlock key alone.
3. Its enrolment brings no secret; the first for an ask stands.

No SAM here: ``devices/enrolment/further.py`` has what follows.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal, final
from uuid import UUID

import msgspec
from sqlalchemy import Row, and_, select, update
from sqlalchemy.orm import Session

from backend.access.phones import UsedProof, use_up, verified_record
from backend.devices.conflict import refuse_known_keys
from backend.errors import (
    MalformedMessage,
    NotFound,
    PairingConflict,
    SignerFrozen,
    TransactionOver,
)
from backend.model.tables import (
    FURTHER,
    Cell,
    Device,
    FurtherPhone,
    Lock,
    Record,
    Transaction,
    TransactionState,
)
from backend.protocol.ask import verify_ask
from backend.protocol.enrolment import (
    EnrolmentClaims,
    check_enrols_for,
    verify_passkey,
)
from backend.protocol.jose import PublicJwk
from backend.protocol.public_keys import PublicKeys
from backend.settings import Settings
from backend.signers.freeze import not_frozen
from backend.signing.evidence import approving_phone_stays
from backend.signing.moves import state_at

log = logging.getLogger(__name__)

_RUNS: Final = (TransactionState.PENDING, TransactionState.APPROVED)
FurtherState = Literal["waiting", "confirmed", "over"]
_Asked = Row[*tuple[Any, ...]]


@final
class FurtherView(msgspec.Struct, frozen=True, kw_only=True):
    """What the new phone is given."""

    state: FurtherState
    ask: str
    ks: PublicJwk
    keys: tuple[str, ...]
    """``cell-keys+jwt``, oldest first."""
    lock: str | None
    """Its lock, once it is paired."""
    pin: bytes | None
    """Beside the lock: vouches for ``ks`` (``protocol.locks.pin``)."""


def further_view(
    session: Session, *, request_key: PublicJwk, public_keys: PublicKeys, now: datetime
) -> FurtherView:
    """Show a new phone, which holds this key, how far it is. Commits, which ends the read.

    Raises:
        NotFound: no paired phone has read its QR code.
    """
    asked = _asked(session, request_key)
    session.commit()
    state = _state(asked, now)
    paired = state == "confirmed"
    return FurtherView(
        state=state,
        ask=asked.ask,
        ks=public_keys.ks,
        keys=public_keys.keys,
        lock=asked.lock if paired else None,
        pin=asked.pin if paired else None,
    )


def store_further_enrolment(
    session: Session,
    *,
    enrolment: str,
    claims: EnrolmentClaims,
    proof: UsedProof,
    public_keys: PublicKeys,
    settings: Settings,
    now: datetime,
) -> FurtherState:
    """Take the new phone's keys. Commits.

    Args:
        session: in one transaction of which it happens.
        enrolment: ``cell-enrolment+jwt``.
        claims: what was read from it; its approval key signed it.
        proof: by its request key; it is used up.
        public_keys: whose asks and records are believed.
        settings: where the app lives, for passkeys.
        now: the moment of arrival.

    Raises:
        NotFound: no paired phone has read its QR code.
        SignerFrozen: the signer's access is locked.
        TransactionOver: it was refused, or took too long.
        MalformedMessage: the enrolment is not for this ask, or brings a secret.
        KindRefused: phones of this kind are not allowed.
        EnrolmentRefused: phones with these keys cannot be paired.
        PairingConflict: another enrolment came first.
        ProofReplayed: the request came before.
    """
    use_up(session, proof)
    asked = _asked(session, claims.keys.request)
    if asked.enrolment is None:
        _check(session, asked, claims, public_keys=public_keys, settings=settings, now=now)
        if _store(session, asked.transaction_id, enrolment):
            session.commit()
            log.info("a further phone presented itself", extra={"cell_id": asked.cell_id})
            return "waiting"
        session.rollback()
        asked = _asked(session, claims.keys.request)
    session.commit()
    if asked.enrolment != enrolment:
        raise PairingConflict("another enrolment came first; send that one again")
    return _state(asked, now)


def further_to_finish(session: Session, now: datetime) -> Sequence[UUID]:
    """Name the asks that a paired phone approved and whose new phone has sent its keys."""
    return session.scalars(
        select(Transaction.id)
        .join(FurtherPhone, FurtherPhone.transaction_id == Transaction.id)
        .where(
            Transaction.kind == FURTHER,
            Transaction.state == TransactionState.APPROVED,
            Transaction.use_by > now,
            FurtherPhone.enrolment.is_not(None),
            not_frozen(Transaction.signer_id),
            approving_phone_stays(Transaction.id),
        )
        .order_by(Transaction.created_at)
    ).all()


def _asked(session: Session, request_key: PublicJwk) -> _Asked:
    """Read the newest ask for the holder of a request key."""
    found = session.execute(
        select(
            FurtherPhone.transaction_id,
            FurtherPhone.enrolment,
            FurtherPhone.kid,
            FurtherPhone.pin,
            Transaction.cell_id,
            Transaction.ask,
            Transaction.state,
            Transaction.expires_at,
            Transaction.use_by,
            Record.record,
            Lock.lock,
            not_frozen(Transaction.signer_id).label("may_go_on"),
        )
        .join(Transaction, Transaction.id == FurtherPhone.transaction_id)
        .join(Cell, Cell.id == Transaction.cell_id)
        .join(Record, and_(Record.cell_id == Cell.id, Record.epoch == Cell.epoch))
        .outerjoin(Device, and_(Device.kid == FurtherPhone.kid, Device.removal_asked_at.is_(None)))
        .outerjoin(
            Lock,
            and_(
                Lock.cell_id == Transaction.cell_id,
                Lock.kind == "device",
                Lock.key_id == Device.kid,
            ),
        )
        .where(FurtherPhone.request_kid == request_key.thumbprint())
        .order_by(FurtherPhone.asked_at.desc(), FurtherPhone.transaction_id)
        .limit(1)
    ).one_or_none()
    if found is None:
        raise NotFound("no paired phone has read this phone's QR code")
    return found


def _state(asked: _Asked, now: datetime) -> FurtherState:
    if asked.lock is not None:
        return "confirmed"
    state = state_at(asked.state, expires_at=asked.expires_at, use_by=asked.use_by, now=now)
    return "waiting" if state in _RUNS else "over"


def _check(
    session: Session,
    asked: _Asked,
    claims: EnrolmentClaims,
    *,
    public_keys: PublicKeys,
    settings: Settings,
    now: datetime,
) -> None:
    """Check an enrolment by the rules 3 to 5 of ``enrol``; the SAM checks all of it again."""
    if not asked.may_go_on:
        raise SignerFrozen("the signer's access is locked")
    state = state_at(asked.state, expires_at=asked.expires_at, use_by=asked.use_by, now=now)
    if state not in _RUNS:
        raise TransactionOver(state)
    check_enrols_for(claims, verify_ask(asked.ask, expected_ks=public_keys.ks))
    if claims.sealed is not None:
        raise MalformedMessage("a further phone brings no secret of its own")
    record = verified_record(asked.record, public_keys.ks)
    record.policy.check_kind(claims.kind)
    verify_passkey(claims, rp_id=settings.rp_id, origin=settings.app_url)
    refuse_known_keys(session, claims.keys.thumbprints())


def _store(session: Session, transaction: UUID, enrolment: str) -> bool:
    """Keep the first enrolment; ``False`` where another request was faster."""
    kept = session.execute(
        update(FurtherPhone)
        .where(FurtherPhone.transaction_id == transaction, FurtherPhone.enrolment.is_(None))
        .values(enrolment=enrolment)
        .returning(FurtherPhone.transaction_id)
        .execution_options(synchronize_session=False)
    )
    return kept.first() is not None
