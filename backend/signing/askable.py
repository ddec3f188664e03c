"""Whom one may ask: a cell with its newest record, and its signer, who is not frozen."""

from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, exists, select
from sqlalchemy.orm import Session

from backend.delivery.subscriptions import is_in_use
from backend.errors import NotFound, SignerFrozen
from backend.model.tables import Cell, Device, Record, Signer, Transaction, TransactionState
from backend.signers.freeze import not_frozen


def read_cell(
    session: Session,
    cell: UUID,
    *also: ColumnElement[Any],
    parameters: Mapping[str, object] | None = None,
) -> Row[*tuple[Any, ...]]:
    """Read a cell with its record and its signer, in one statement with the freeze.

    Args:
        session: read from.
        cell: which.
        also: what else is to be known of it.
        parameters: of that.

    Raises:
        NotFound: there is no such cell.
        SignerFrozen: the signer's access is locked.
    """
    found = session.execute(
        select(
            Cell.id,
            Cell.signer_id,
            Cell.algorithm,
            Cell.certificate,
            Cell.certificate_expires_at,
            Record.record,
            Signer.subject,
            Signer.lang,
            not_frozen(Cell.signer_id).label("may_go_on"),
            *also,
        )
        .join(Record, and_(Record.cell_id == Cell.id, Record.epoch == Cell.epoch))
        .join(Signer, Signer.id == Cell.signer_id)
        .where(Cell.id == cell),
        parameters,
    ).one_or_none()
    if found is None:
        raise NotFound("no such credential")
    if not found.may_go_on:
        raise SignerFrozen("the signer's access is locked")
    return found


def language(kept: str) -> Literal["ru", "en"]:
    """Give the language of a signer's row."""
    return "en" if kept == "en" else "ru"


def needs_certificate() -> ColumnElement[bool]:
    """Say in SQL of a cell that its signer is to be asked for the first approval.

    A phone is paired. Asked again is who did not answer in time, or whose answer the door refused;
    who said no, or whose request an operator cancelled, is not: the name was wrong, or the person.
    """
    asked = exists().where(
        Transaction.cell_id == Cell.id,
        Transaction.kind == "certificate_request",
        Transaction.state.not_in([TransactionState.EXPIRED, TransactionState.FAILED]),
    )
    paired = exists().where(Device.cell_id == Cell.id, is_in_use())
    return and_(Cell.certificate.is_(None), ~asked, paired)
