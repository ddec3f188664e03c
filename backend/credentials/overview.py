"""What an operator sees of signers: how far each is, and nothing secret."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, final
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, and_, func, select, true
from sqlalchemy.orm import Session

from backend.errors import NotFound
from backend.model.tables import Cell, Device, Pairing, RelyingParty, Signer, StoppedParty
from backend.signers.freeze import not_frozen
from backend.signers.registration import plain_login

MOST_STOPPED: Final = 100
"""Of them are shown."""


@final
class SignerOverview(msgspec.Struct, frozen=True, kw_only=True):
    """A signer with the newest cell."""

    login: str
    name: str
    number: str | None
    registered_by: str
    registered_at: datetime
    frozen: bool
    cell: UUID
    algorithm: str
    pairing: str
    """State of the newest envelope: printed, enrolled, confirmed or frozen."""
    printed_by: str
    envelope_expires_at: datetime
    phones: int
    """Paired ones, of every kind."""
    desktops: int
    """Those of them that call themselves a computer."""
    methods: str
    """By which the cell's record lets the signer approve; spaces between."""
    certificate_expires_at: datetime | None
    stopped: tuple[str, ...] = ()
    """Client ids of relying parties that the signer stopped by "not me"; of one signer alone."""


def every_signer(session: Session) -> Sequence[SignerOverview]:
    """List all signers by login."""
    return _read(session, true())


def one_signer(session: Session, login: str) -> SignerOverview:
    """Show one signer.

    Raises:
        NotFound: there is none of that login.
    """
    found = _read(session, Signer.login == plain_login(login))
    if not found:
        raise NotFound("no such signer")
    stopped = session.scalars(
        select(RelyingParty.client_id)
        .join(StoppedParty, StoppedParty.relying_party_id == RelyingParty.id)
        .join(Signer, Signer.id == StoppedParty.signer_id)
        .where(Signer.login == found[0].login)
        .order_by(RelyingParty.client_id)
        .limit(MOST_STOPPED)
    )
    return msgspec.structs.replace(found[0], stopped=tuple(stopped))


def _read(session: Session, which: ColumnElement[bool]) -> Sequence[SignerOverview]:
    rows = session.execute(_overviews().where(which).order_by(Signer.login))
    return [SignerOverview(**row._asdict()) for row in rows]


def _overviews() -> Select[*tuple[Any, ...]]:
    newest = (
        select(Pairing.id)
        .where(Pairing.signer_id == Signer.id)
        .order_by(Pairing.printed_at.desc(), Pairing.id)
        .limit(1)
        .correlate(Signer)
        .scalar_subquery()
    )
    phones = (
        select(func.count())
        .select_from(Device)
        .where(Device.cell_id == Cell.id, Device.removal_asked_at.is_(None))
        .correlate(Cell)
    )
    desktops = phones.where(Device.kind == "desktop")
    return (
        select(
            Signer.login,
            Signer.name,
            Signer.number,
            Signer.registered_by,
            Signer.registered_at,
            (~not_frozen(Signer.id)).label("frozen"),
            Cell.id.label("cell"),
            Cell.algorithm,
            Pairing.state.label("pairing"),
            Pairing.printed_by,
            Pairing.expires_at.label("envelope_expires_at"),
            phones.scalar_subquery().label("phones"),
            desktops.scalar_subquery().label("desktops"),
            Cell.methods,
            Cell.certificate_expires_at,
        )
        .join(Pairing, and_(Pairing.signer_id == Signer.id, Pairing.id == newest))
        .join(Cell, Cell.id == Pairing.cell_id)
    )
