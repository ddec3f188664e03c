"""Who is calling, when a phone calls: its request proof, checked against the cell's record.

1. Rows only say where to look. A phone's request key is believed from the newest record of its
   cell, and a record only with the signature of KS, which comes from a file and not from a row.
2. A phone whose removal was asked for is refused at once, before the record follows (T-37).
3. A proof is good once: its ``jti`` is a row in the same database transaction as what the phone
   asked for (T-04). What is refused keeps no row, and changed nothing.
4. Where a phone only reads, its proof is noted at once in this process, and for the others by the
   next row of ``signing/sightings.py``.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, final
from uuid import UUID

import msgspec
from sqlalchemy import Row, Select, and_, delete, exists, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.errors import MalformedMessage, ProofReplayed, Unauthenticated
from backend.model.steps import look, table_of, value
from backend.model.tables import Cell, Device, Record, RequestProof
from backend.protocol.jose import PublicJwk
from backend.protocol.public_keys import PublicKeys
from backend.protocol.record import CellRecord, RecordDevice, verify_record
from backend.protocol.request_proof import (
    ACCEPTED_SECONDS,
    proof_id,
    proving_kid,
    verify_request_proof,
)

log = logging.getLogger(__name__)

SCHEME: Final = "DPoP "
LONGEST_PROOF: Final = 4096


Statement = Select[*tuple[Any, ...]]


@final
class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """What is read in the statement that looks for the phone."""

    statement: Statement
    """Made by :func:`phone_and`."""
    parameters: dict[str, object]


@final
class UsedProof(msgspec.Struct, frozen=True, kw_only=True):
    """A verified proof that is to be kept, so that it counts once."""

    jti: UUID
    expires_at: datetime
    """From then on it is too old anyway."""


@final
class ProvenCall(msgspec.Struct, frozen=True, kw_only=True):
    """A request that a phone made: to be answered when its proof has been used up."""

    phone: "AuthenticatedPhone"
    proof: UsedProof
    row: Row[*tuple[Any, ...]]
    """With what was read beside the phone; see :func:`phone_and`."""


@final
class AuthenticatedPhone(msgspec.Struct, frozen=True, kw_only=True):
    """A phone that proved it made this very request, and what the SAM says of it."""

    kid: bytes
    """Thumbprint of its approval key."""
    cell: UUID
    signer: UUID
    device: RecordDevice
    record: str
    """The newest record of its cell, verified."""
    wait_id: UUID
    """By which one waits for changes of its cell's transactions."""


def authenticate_phone(
    session: Session,
    *,
    authorization: str | None,
    method: str,
    address: str,
    body: bytes,
    public_keys: PublicKeys,
    now: datetime,
) -> AuthenticatedPhone:
    """Find out which phone made this request. Does not commit: the proof's row goes with the use.

    Args:
        session: the transaction of what the phone asks for.
        authorization: the header, as it came.
        method: HTTP method.
        address: scheme://host[:port]/path, as our settings name this server.
        body: the body, empty if there is none.
        public_keys: whose records are believed.
        now: the time.

    Raises:
        Unauthenticated: no proof, a false one, or one of a phone that is not paired any more.
        ProofReplayed: the proof came before.
    """
    proven = prove_phone(
        session,
        authorization=authorization,
        method=method,
        address=address,
        body=body,
        public_keys=public_keys,
        now=now,
    )
    use_up(session, proven.proof)
    return proven.phone


def prove_phone(
    session: Session,
    *,
    authorization: str | None,
    method: str,
    address: str,
    body: bytes,
    public_keys: PublicKeys,
    now: datetime,
    beside: Beside | None = None,
) -> ProvenCall:
    """Find out the same, and leave it to the caller to use up the proof. Writes nothing.

    Args:
        session: read from.
        authorization: the header, as it came.
        method: HTTP method.
        address: as above.
        body: the body.
        public_keys: whose records are believed.
        now: the time.
        beside: what is read in the same statement.

    Raises:
        Unauthenticated: no proof, a false one, or one of a phone that is not paired any more.
        ProofReplayed: the proof came before.
    """
    unverified_proof = proof_of(authorization)
    try:
        request_kid = proving_kid(unverified_proof)
        row = _look_up(session, request_kid, proof_id(unverified_proof), beside)
        claims = verified_record(row.record, public_keys.ks)
        device = _device(claims, row, request_kid)
        proof = verify_request_proof(
            unverified_proof,
            expected_key=device.request,
            method=method,
            address=address,
            body=body,
            now=int(now.timestamp()),
        )
    except MalformedMessage as error:
        raise Unauthenticated(f"the request proof is not valid: {error}") from error
    if row.replayed:
        raise ProofReplayed("this request proof came before")
    phone = AuthenticatedPhone(
        kid=device.kid,
        cell=claims.cell,
        signer=claims.signer,
        device=device,
        record=row.record,
        wait_id=row.wait_id,
    )
    expires_at = datetime.fromtimestamp(proof.iat, UTC) + timedelta(seconds=ACCEPTED_SECONDS + 1)
    used = UsedProof(jti=proof.jti, expires_at=expires_at)
    return ProvenCall(phone=phone, proof=used, row=row)


def use_up(session: Session, proof: UsedProof) -> None:
    """Keep a proof's id in the session's transaction. Does not commit.

    Raises:
        ProofReplayed: it came before.
    """
    try:
        session.execute(insert(RequestProof).values(jti=proof.jti, expires_at=proof.expires_at))
    except IntegrityError as error:
        session.rollback()
        raise ProofReplayed("this request proof came before") from error


@lru_cache(maxsize=4096)
def verified_record(unverified_record: str, ks: PublicJwk) -> CellRecord:
    """Verify a record once; the same text is the same record.

    Raises:
        MalformedMessage: KS did not sign it.
    """
    return verify_record(unverified_record, expected_ks=ks)


def forget_proofs(session: Session, now: datetime) -> int:
    """Forget proofs that are too old to be accepted again; gives their number. Commits."""
    forgotten = session.execute(
        delete(RequestProof).where(RequestProof.expires_at < now).returning(RequestProof.jti)
    ).all()
    session.commit()
    return len(forgotten)


def proof_of(authorization: str | None) -> str:
    """Take the unverified proof out of a request's header.

    Raises:
        Unauthenticated: there is none, or it is too long.
    """
    if authorization is None or not authorization.startswith(SCHEME):
        raise Unauthenticated("a request proof is needed: Authorization: DPoP …")
    if len(authorization) > len(SCHEME) + LONGEST_PROOF:
        raise Unauthenticated("the request proof is too long")
    return authorization.removeprefix(SCHEME)


_PHONE: Final = (
    select(
        Device.kid,
        Device.cell_id,
        Cell.epoch,
        Record.record,
        Cell.wait_id,
        exists().where(RequestProof.jti == value(table_of(RequestProof).c.jti)).label("replayed"),
    )
    .join(Cell, Cell.id == Device.cell_id)
    .join(Record, and_(Record.cell_id == Cell.id, Record.epoch == Cell.epoch))
    .where(
        Device.request_kid == value(table_of(Device).c.request_kid),
        Device.removal_asked_at.is_(None),
        Device.removed_at.is_(None),
    )
)


def phone_and(add: Callable[[Statement], Statement]) -> Statement:
    """Make a statement that reads a phone, of table ``devices``, and something beside it."""
    return add(_PHONE)


def _look_up(
    session: Session, request_kid: bytes, jti: UUID, beside: Beside | None
) -> Row[*tuple[Any, ...]]:
    statement = _PHONE if beside is None else beside.statement
    more = {} if beside is None else beside.parameters
    row = look(session, statement, {**more, "request_kid": request_kid, "jti": jti})
    if row is None:
        raise Unauthenticated("no paired phone has this key")
    return row


def _device(claims: CellRecord, row: Row[*tuple[Any, ...]], request_kid: bytes) -> RecordDevice:
    """Find the phone in the record; a row that says otherwise is nobody's word (T-09)."""
    if claims.cell != row.cell_id or claims.epoch != row.epoch:
        log.error("a row holds another record", extra={"cell_id": row.cell_id})
        raise Unauthenticated("no paired phone has this key")
    for device in claims.devices:
        if device.kid == row.kid and device.request.thumbprint() == request_kid:
            return device
    raise Unauthenticated("no paired phone has this key")
