"""An envelope for a cell that exists: the phone is lost, the key stays.

1. It holds no lock, so whoever has it, or prints it, has no way to the key: the cell's secret comes
   from the recovery code, which only the signer has, or from the password (design, 8). QR 2 names
   the pairing and pins KS.
2. The signer keeps the password, unless the operator resets it. A reset destroys the password lock
   in the same commit: then only the recovery code, or another phone, gives the secret (T-10, T-36).
   Who knew the old password may be in a browser now: the signer's sessions end, and no browser is
   known any more.
3. The newest envelope stands; one that was printed before and not used is worthless.
4. Old phones are removed or kept, as the signer says. What is to be removed stops at once (T-37).
5. It is printed for a frozen signer too, but opens no pairing until two people lift the freeze.
"""

import logging
import secrets
from datetime import datetime, timedelta
from typing import Final, final
from uuid import UUID

import msgspec
from sqlalchemy import delete, exists, insert, select, update
from sqlalchemy.orm import Session

from backend.access.sessions import end_sessions_of
from backend.devices.conflict import OPEN_STATES
from backend.devices.removal import stop_phones
from backend.errors import AlreadyThere
from backend.model.tables import Cell, Device, Lock, Pairing, PairingState, Signer
from backend.protocol.invitation import addresses_text, pairing_text
from backend.protocol.locks import pairing_id
from backend.protocol.public_keys import PublicKeys
from backend.sam.cells import Cells, ResetPassword
from backend.settings import Settings
from backend.signers.known_browsers import forget_others
from backend.signers.password import SALT_BYTES, argon2_hash
from backend.signers.registration import find_signer, make_first_password, plain_first_password

log = logging.getLogger(__name__)

SECRET_BYTES: Final = 16


@final
class ReplacementOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator was asked for."""

    login: str
    operator: str
    remove_phones: bool
    """Whether all phones of the cell stop now."""
    reset_password: bool
    """Whether the signer gets a first password again."""


@final
class Replacement(msgspec.Struct, frozen=True, kw_only=True):
    """What is printed. Shown once; kept nowhere."""

    name: str
    lang: str
    zone: str
    login: str
    first_password: str | None
    """``None``: the signer keeps the password."""
    qr1: str
    qr2: str
    """Secret and thumbprint of KS; too long to be typed."""
    pairing: UUID
    expires_at: datetime


def print_replacement(
    session: Session,
    cells: Cells,
    order: ReplacementOrder,
    *,
    settings: Settings,
    public_keys: PublicKeys,
    now: datetime,
) -> Replacement:
    """Print an envelope for the cell that a signer has. Commits.

    Raises:
        NotFound: there is no such signer.
        AlreadyThere: no phone was ever paired with the cell: its first envelope is to be printed.
    """
    signer = find_signer(session, order.login)
    cell = _cell_of(session, signer.id)
    session.commit()
    secret = secrets.token_bytes(SECRET_BYTES)
    first_password = _reset(session, cells, signer) if order.reset_password else None
    _end_others(session, cell)
    expires_at = now + timedelta(hours=settings.envelope_hours)
    pairing = pairing_id(secret)
    session.execute(
        insert(Pairing).values(
            id=pairing,
            cell_id=cell,
            signer_id=signer.id,
            printed_by=order.operator,
            printed_at=now,
            expires_at=expires_at,
            state=PairingState.PRINTED,
            for_existing=True,
            codes_sent=0,
            code_tries=0,
        )
    )
    if order.remove_phones:
        stop_phones(session, cell=cell, now=now)
    session.commit()
    log.warning(
        "envelope printed for a cell that exists",
        extra={"signer_id": signer.id, "operator": order.operator, "pairing_id": pairing},
    )
    return Replacement(
        name=signer.name,
        lang=signer.lang,
        zone=signer.zone,
        login=signer.login,
        first_password=first_password,
        qr1=addresses_text(
            settings.app_url,
            authorization_server=settings.authorization_server_url,
            mobile_api=settings.mobile_api_url,
        ),
        qr2=pairing_text(secret, ks=public_keys.ks),
        pairing=pairing,
        expires_at=expires_at,
    )


def _cell_of(session: Session, signer: UUID) -> UUID:
    """Find the signer's newest cell with which a phone was ever paired."""
    paired = exists().where(Device.cell_id == Cell.id)
    cell = session.scalars(
        select(Cell.id)
        .where(Cell.signer_id == signer, paired)
        .order_by(Cell.created_at.desc())
        .limit(1)
    ).one_or_none()
    if cell is None:
        raise AlreadyThere("no phone was paired with this cell yet: reprint its envelope")
    return cell


def _reset(session: Session, cells: Cells, signer: Signer) -> str:
    """Give a first password, and destroy what the old one opens. Does not commit."""
    first_password = make_first_password()
    salt = secrets.token_bytes(SALT_BYTES)
    hashed = argon2_hash(plain_first_password(first_password), salt)
    reset = cells.reset_password(ResetPassword(signer=signer.id, password_hash=hashed))
    session.execute(
        update(Signer)
        .where(Signer.id == signer.id)
        .values(
            password_salt=salt,
            password_verifier=reset.verifier,
            password_change_due=True,
            password_tries=0,
        )
    )
    session.execute(
        delete(Lock).where(
            Lock.kind == "password",
            Lock.cell_id.in_(select(Cell.id).where(Cell.signer_id == signer.id)),
        )
    )
    end_sessions_of(session, signer.id)
    forget_others(session, signer=signer.id, token="")
    return first_password


def _end_others(session: Session, cell: UUID) -> None:
    """Rule 3."""
    session.execute(
        update(Pairing)
        .where(Pairing.cell_id == cell, Pairing.state.in_(OPEN_STATES))
        .values(state=PairingState.FROZEN)
    )
