"""What a relying party may know of a credential (CSC API 3.4, 3.5).

A cell becomes a credential with its certificate; before that nobody outside hears of it. What is
said of its bounds comes from the record that the SAM signed, not from rows.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, final
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Row, Select, and_, select
from sqlalchemy.orm import Session

from backend.access.phones import verified_record
from backend.algorithms import KeyAlgorithm
from backend.errors import NotFound
from backend.model.tables import Cell, Record, Signer
from backend.pki.certificates import CertificateFacts, read_certificate, read_root
from backend.protocol.public_keys import PublicKeys
from backend.protocol.record import CellRecord
from backend.settings import Settings
from backend.signers.freeze import not_frozen
from backend.signers.registration import plain_login


@final
class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """A key and its certificate."""

    id: UUID
    """The cell; ``credentialID`` on the wire."""
    login: str
    name: str
    """The registered name, as people write it."""
    lang: str
    algorithm: KeyAlgorithm
    key_enabled: bool
    """False while the signer is frozen, or has neither a phone nor a code to approve by."""
    has_phone: bool
    expired: bool
    certificate: CertificateFacts
    chain: tuple[bytes, ...]
    """DER, the signer's first."""
    multisign: int
    """Most hashes for one approval."""

    @property
    def usable(self) -> bool:
        """Whether a request for signatures could be fulfilled now."""
        return self.key_enabled and not self.expired


def credential_for(
    session: Session,
    *,
    credential: UUID,
    public_keys: PublicKeys,
    settings: Settings,
    now: datetime,
    signer: UUID | None = None,
) -> Credential:
    """Show one credential.

    Args:
        session: read from.
        credential: which.
        public_keys: whose records are believed.
        settings: where the authority's root lies.
        now: the time.
        signer: whose it must be; ``None``: anybody's.

    Raises:
        NotFound: there is none of that id.
        MalformedMessage: its row holds a record that KS did not sign.
    """
    which = _credentials().where(Cell.id == credential)
    if signer is not None:
        which = which.where(Cell.signer_id == signer)
    row = session.execute(which).one_or_none()
    if row is None:
        raise NotFound("no such credential")
    return _credential(row, public_keys=public_keys, settings=settings, now=now)


def credentials_of(
    session: Session,
    *,
    signer: str | UUID,
    public_keys: PublicKeys,
    settings: Settings,
    now: datetime,
) -> Sequence[Credential]:
    """Show a signer's credentials, the oldest first; an unknown one has none (T-17).

    Args:
        session: read from.
        signer: login, or id.
        public_keys: whose records are believed.
        settings: where the authority's root lies.
        now: the time.
    """
    whose: ColumnElement[bool] = Signer.id == signer
    if isinstance(signer, str):
        whose = Signer.login == plain_login(signer)
    rows = session.execute(_credentials().where(whose).order_by(Cell.created_at, Cell.id))
    return [_credential(row, public_keys=public_keys, settings=settings, now=now) for row in rows]


def _credentials() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Cell.id,
            Cell.algorithm,
            Cell.certificate,
            Record.record,
            Signer.login,
            Signer.name,
            Signer.lang,
            not_frozen(Cell.signer_id).label("not_frozen"),
        )
        .join(Record, and_(Record.cell_id == Cell.id, Record.epoch == Cell.epoch))
        .join(Signer, Signer.id == Cell.signer_id)
        .where(Cell.certificate.is_not(None))
    )


def _credential(
    row: Row[*tuple[Any, ...]], *, public_keys: PublicKeys, settings: Settings, now: datetime
) -> Credential:
    record = verified_record(row.record, public_keys.ks)
    facts = read_certificate(row.certificate)
    return Credential(
        id=row.id,
        login=row.login,
        name=row.name,
        lang=row.lang,
        algorithm=KeyAlgorithm(row.algorithm),
        key_enabled=row.not_frozen and (bool(record.devices) or _has_code(record)),
        has_phone=bool(record.devices),
        expired=not facts.valid_from <= now <= facts.valid_to,
        certificate=facts,
        chain=(row.certificate, read_root(settings.root_certificate_path)),
        multisign=record.policy.caps.multisign,
    )


def _has_code(record: CellRecord) -> bool:
    """Whether the signer may approve by password and code on our page."""
    return any(method.startswith("password") for method in record.policy.methods)
