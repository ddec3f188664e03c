"""The envelope: a new cell, the first password and one secret, shown once, to be printed.

1. The secret and the first password are in no row and in no log; nobody can show them again. "It
   did not print" makes a new cell and destroys the unpaired one.
2. The SAM is asked before the database is written, and no transaction is open meanwhile. What a
   crash leaves behind is a cell that no row knows: nothing.
3. Who prints is remembered, because another operator has to confirm where no number is verified.
"""

import logging
import secrets
from datetime import datetime, timedelta
from typing import Final, final
from urllib.parse import quote
from uuid import UUID, uuid4

import msgspec
from sqlalchemy import and_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.access.phones import verified_record
from backend.algorithms import KeyAlgorithm
from backend.devices.unpaired import destroy_unpaired, refuse_paired
from backend.errors import AlreadyThere, RequestRefused
from backend.model.tables import Cell, Lock, Pairing, PairingState, Record, Signer
from backend.protocol.encoding import secret_text, sha256
from backend.protocol.public_keys import PublicKeys
from backend.protocol.record import Caps, DeviceKind, Method, Policy
from backend.sam.cells import Cells, MadeCell, MakeCell
from backend.settings import Environment, Settings
from backend.signers.code_caps import code_caps
from backend.signers.freeze import refuse_frozen
from backend.signers.password import SALT_BYTES, argon2_hash
from backend.signers.registration import (
    Applicant,
    check_applicant,
    find_signer,
    make_first_password,
    make_login,
    plain_first_password,
    plain_login,
    subject_der,
    written_name,
)

log = logging.getLogger(__name__)

QR_2: Final = "cellkey:pair?s="
BY_SMS: Final[Method] = "password+sms"


@final
class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What is printed. Shown once; kept nowhere."""

    name: str
    lang: str
    zone: str
    login: str
    first_password: str
    qr1: str
    """Opens the app and tells it the two addresses (R-034, R-038)."""
    qr2: str
    """The secret that binds a phone to the cell (R-040)."""
    secret_text: str
    """The same, to be typed."""
    pairing: UUID
    expires_at: datetime


def register_signer_with_cell(
    session: Session,
    cells: Cells,
    applicant: Applicant,
    *,
    algorithm: KeyAlgorithm,
    operator: str,
    settings: Settings,
    now: datetime,
) -> Envelope:
    """Register an applicant whom the operator checked, and make the first cell. Commits.

    Raises:
        AlreadyThere: the login is taken.
        RequestRefused: a number, login or time zone is not fit, or no text can be sent.
        SummaryRefused: the name could not be shown to the signer.
    """
    check_applicant(applicant)
    if applicant.by_sms and not settings.sends_sms:
        raise RequestRefused("no text can be sent here: CELLKEY_SMS_GATEWAY")
    signer = _new_signer(applicant, operator=operator, settings=settings, now=now)
    policy = standard_policy(
        settings,
        with_number=applicant.number is not None,
        by_sms=applicant.by_sms,
        desktop=applicant.desktop,
    )
    made, first_password = _make_cell(signer, cells, algorithm=algorithm, policy=policy)
    try:
        session.add(signer)
        session.flush()
        pairing = _keep(
            session,
            signer,
            made,
            algorithm=algorithm,
            policy=policy,
            operator=operator,
            settings=settings,
            now=now,
        )
        session.commit()
    except IntegrityError as error:
        session.rollback()
        raise AlreadyThere("a signer of that login is registered already") from error
    log.info("signer registered", extra={"signer_id": signer.id, "operator": operator})
    return _printed(
        signer, made.envelope.secret, first_password, pairing=pairing, settings=settings
    )


def _new_signer(
    applicant: Applicant, *, operator: str, settings: Settings, now: datetime
) -> Signer:
    return Signer(
        id=uuid4(),
        login=plain_login(applicant.login) if applicant.login else make_login(),
        name=written_name(applicant.name),
        subject=subject_der(applicant.name),
        number=applicant.number,
        lang=applicant.lang,
        zone=applicant.zone or settings.time_zone,
        registered_by=operator,
        registered_at=now,
    )


def reprint(
    session: Session,
    cells: Cells,
    *,
    login: str,
    operator: str,
    settings: Settings,
    public_keys: PublicKeys,
    now: datetime,
) -> Envelope:
    """Make a new cell and envelope, and destroy the cell whose envelope did not print. Commits.

    Raises:
        NotFound: there is no such signer.
        SignerFrozen: the signer's access is locked.
        AlreadyThere: a phone is paired already: nothing is to be destroyed.
        MalformedMessage: the row holds a record that is not the SAM's.
    """
    signer = find_signer(session, login)
    refuse_frozen(session, signer.id)
    refuse_paired(session, signer.id)
    newest = (
        select(Record.record)
        .join(Cell, and_(Cell.id == Record.cell_id, Cell.epoch == Record.epoch))
        .where(Cell.signer_id == signer.id)
    )
    row = session.execute(newest.order_by(Cell.created_at.desc()).limit(1)).one()
    session.commit()
    unpaired = verified_record(row.record, public_keys.ks)
    algorithm = unpaired.alg
    policy = standard_policy(
        settings,
        with_number=signer.number is not None,
        by_sms=BY_SMS in unpaired.policy.methods,
        desktop="desktop" in unpaired.policy.caps.kinds,
    )
    made, first_password = _make_cell(signer, cells, algorithm=algorithm, policy=policy)
    session.flush()
    destroy_unpaired(session, signer.id)
    refuse_paired(session, signer.id)
    pairing = _keep(
        session,
        signer,
        made,
        algorithm=algorithm,
        policy=policy,
        operator=operator,
        settings=settings,
        now=now,
    )
    session.commit()
    log.warning("envelope printed anew", extra={"signer_id": signer.id, "operator": operator})
    return _printed(
        signer, made.envelope.secret, first_password, pairing=pairing, settings=settings
    )


def _make_cell(
    signer: Signer, cells: Cells, *, algorithm: KeyAlgorithm, policy: Policy
) -> tuple[MadeCell, str]:
    """Have the SAM make a cell under a new first password, and note its verifier on the signer."""
    first_password = make_first_password()
    salt = secrets.token_bytes(SALT_BYTES)
    made = cells.make_cell(
        MakeCell(
            signer=signer.id,
            subject=sha256(signer.subject),
            algorithm=algorithm,
            policy=policy,
            number=signer.number,
            password_hash=argon2_hash(plain_first_password(first_password), salt),
        )
    )
    signer.password_salt = salt
    signer.password_verifier = made.password.verifier if made.password else None
    signer.password_change_due = True
    signer.password_tries = 0
    return made, first_password


def standard_policy(
    settings: Settings, *, with_number: bool, by_sms: bool = False, desktop: bool | None = None
) -> Policy:
    """What a new cell allows: signing by the app, pairing by code or by operator.

    Args:
        settings: with the installation's bounds.
        with_number: whether the signer's number is verified.
        by_sms: by password and SMS code too.
        desktop: on a computer's browser too; ``None``: as the installation says.
    """
    computers = settings.app_desktop if desktop is None else desktop
    kinds: tuple[DeviceKind, ...] = ("pwa", "native", *(("desktop",) if computers else ()))
    return Policy(
        methods=("app", BY_SMS) if by_sms else ("app",),
        caps=Caps(
            multisign=settings.multisign,
            kinds=kinds if settings.environment is Environment.PRODUCTION else (*kinds, "virtual"),
            confirm=("sms",) if with_number and settings.sends_sms else ("operator",),
            **(code_caps(settings) if by_sms else {}),
        ),
    )


def _keep(
    session: Session,
    signer: Signer,
    made: MadeCell,
    *,
    algorithm: KeyAlgorithm,
    policy: Policy,
    operator: str,
    settings: Settings,
    now: datetime,
) -> Pairing:
    """Write the rows of a new cell."""
    session.add(
        Cell(
            id=made.cell,
            signer_id=signer.id,
            algorithm=algorithm,
            spki=made.spki,
            blob=made.blob,
            epoch=1,
            methods=" ".join(policy.methods),
            created_at=now,
        )
    )
    session.flush()
    _keep_locks(session, signer, made, now=now)
    session.add(Record(cell_id=made.cell, epoch=1, record=made.record, created_at=now))
    pairing = Pairing(
        id=made.envelope.pairing,
        cell_id=made.cell,
        signer_id=signer.id,
        printed_by=operator,
        printed_at=now,
        expires_at=now + timedelta(hours=settings.envelope_hours),
        state=PairingState.PRINTED,
        codes_sent=0,
        code_tries=0,
    )
    session.add(pairing)
    return pairing


def _keep_locks(session: Session, signer: Signer, made: MadeCell, *, now: datetime) -> None:
    locks = {("envelope", made.envelope.pairing.bytes): made.envelope.lock}
    if made.password:
        locks["password", signer.id.bytes] = made.password.lock
    session.add_all(
        Lock(cell_id=made.cell, kind=kind, key_id=key_id, lock=lock, created_at=now)
        for (kind, key_id), lock in locks.items()
    )


def _printed(
    signer: Signer, secret: bytes, first_password: str, *, pairing: Pairing, settings: Settings
) -> Envelope:
    """Put together what is printed."""
    text = secret_text(secret)
    servers = (
        f"as={quote(settings.authorization_server_url, safe='')}"
        f"&api={quote(settings.mobile_api_url, safe='')}"
    )
    return Envelope(
        name=signer.name,
        lang=signer.lang,
        zone=signer.zone,
        login=signer.login,
        first_password=first_password,
        qr1=f"{settings.app_url}/#{servers}",
        qr2=QR_2 + text.replace("-", ""),
        secret_text=text,
        pairing=pairing.id,
        expires_at=pairing.expires_at,
    )
