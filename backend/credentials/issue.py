"""A cell becomes a credential: the certificate, after the signer's first approval.

1. The request's signature comes through the door like any other, before this; the authority checks
   ask and approval again, and builds the request itself (docs/phone-protocol.md, 7).
2. One commit holds certificate and the record that is confirmed by it. A crash before it costs
   nothing: the signature is stored, and the clerk comes again.
3. A cell has one certificate. Who comes second, or finds the record gone on, changes nothing.
"""

import logging
from datetime import datetime
from typing import final
from uuid import UUID

import msgspec
from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from backend.errors import NotApproved, NotFound
from backend.model.epochs import follow
from backend.model.tables import Approval, AuthorisedHash, Cell, Record, Transaction
from backend.pki.authority import Authority, NewCertificate

log = logging.getLogger(__name__)


@final
class _Approved(msgspec.Struct, frozen=True, kw_only=True):
    """An approved request and the cell it is for, as the rows have them."""

    cell: UUID
    certified: bool
    record: str
    ask: str
    approval: str
    items: tuple[str, ...]


def issue_certificate(
    session: Session,
    authority: Authority,
    *,
    transaction: UUID,
    signature: bytes,
    now: datetime,
) -> bool:
    """Have the certificate issued that the signer approved. Commits.

    Args:
        session: no transaction of it is open while the authority works.
        authority: who issues.
        transaction: the approved certificate request.
        signature: over the request, from ``signing.release.release_certificate_request``.
        now: the time.

    Returns:
        Whether this call wrote it; ``False`` where the cell has one, or changed meanwhile.

    Raises:
        NotFound: there is no such certificate request.
        NotApproved: the signer has not approved.
        DoorRefused: the authority does not accept the evidence.
    """
    approved = _read(session, transaction)
    session.rollback()
    if approved.certified:
        return False
    issued = authority.certify(
        record=approved.record,
        ask=approved.ask,
        items=approved.items,
        approval=approved.approval,
        signature=signature,
    )
    if not _keep(session, approved.cell, issued, now):
        session.rollback()
        return False
    session.commit()
    log.info("certificate issued", extra={"cell_id": approved.cell, "transaction_id": transaction})
    return True


def _read(session: Session, transaction: UUID) -> _Approved:
    row = session.execute(
        select(
            Cell.id,
            Cell.certificate,
            Record.record,
            Transaction.ask,
            Approval.approval,
        )
        .join(Cell, Cell.id == Transaction.cell_id)
        .join(Record, and_(Record.cell_id == Cell.id, Record.epoch == Cell.epoch))
        .outerjoin(Approval, Approval.transaction_id == Transaction.id)
        .where(Transaction.id == transaction, Transaction.kind == "certificate_request")
    ).one_or_none()
    if row is None:
        raise NotFound("no such certificate request")
    if row.approval is None:
        raise NotApproved("the signer has not approved the certificate request")
    items = session.scalars(
        select(AuthorisedHash.item)
        .where(AuthorisedHash.transaction_id == transaction)
        .order_by(AuthorisedHash.position)
    )
    return _Approved(
        cell=row.id,
        certified=row.certificate is not None,
        record=row.record,
        ask=row.ask,
        approval=row.approval,
        items=tuple(items),
    )


def _keep(session: Session, cell: UUID, issued: NewCertificate, now: datetime) -> bool:
    """Write certificate and record, if the record that it follows is still the newest."""
    return follow(
        session,
        cell,
        Cell.certificate.is_(None),
        record=issued.record,
        epoch=issued.epoch,
        now=now,
        certificate=issued.certificate,
        certificate_expires_at=issued.expires_at,
    )
