"""Whom one may ask: a cell with its newest record, and its signer, who is not frozen."""

from functools import cache
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, exists, or_, select
from sqlalchemy.orm import Session

from backend.delivery.subscriptions import is_in_use
from backend.errors import NotFound, SignerFrozen
from backend.model.steps import look, table_of, value
from backend.model.tables import (
    CERTIFICATE_REQUEST,
    Cell,
    Device,
    Record,
    Signer,
    Transaction,
    TransactionState,
)
from backend.signers.freeze import not_frozen
from backend.signing.limits import Asker, may_ask

SMS_METHOD: Final = "password+sms"

_CELL: Final = (
    select(
        Cell.id,
        Cell.signer_id,
        Cell.algorithm,
        Cell.certificate,
        Cell.certificate_expires_at,
        Record.record,
        Cell.methods,
        Signer.subject,
        Signer.number,
        Signer.lang,
        Signer.zone,
        not_frozen(Cell.signer_id).label("may_go_on"),
        exists().where(Device.cell_id == Cell.id, is_in_use()).label("has_phone"),
    )
    .join(Record, and_(Record.cell_id == Cell.id, Record.epoch == Cell.epoch))
    .join(Signer, Signer.id == Cell.signer_id)
    .where(Cell.id == value(table_of(Cell).c.id))
)


@cache
def _asked_by_somebody(slots: int) -> Select[*tuple[Any, ...]]:
    """The same, and whether somebody may ask now."""
    return _CELL.add_columns(may_ask(slots=slots).label("may_ask"))


def read_cell(session: Session, cell: UUID, *, asker: Asker | None = None) -> Row[*tuple[Any, ...]]:
    """Read a cell with its record and its signer, in one statement with the freeze.

    Args:
        session: read from.
        cell: which.
        asker: also tell whether this one may ask now (``may_ask``).

    Raises:
        NotFound: there is no such cell.
        SignerFrozen: the signer's access is locked.
    """
    if asker is None:
        found = look(session, _CELL, {"id": cell})
    else:
        statement = _asked_by_somebody(asker.slots)
        found = look(session, statement, {"id": cell}, named=asker.parameters)
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

    A phone is paired, or a code may stand for one and the first password was changed: the password
    is half of such an approval. Asked again is who did not answer in time, or whose answer the door
    refused; who said no, or whose request an operator cancelled, is not: the name was wrong, or the
    person.
    """
    asked = exists().where(
        Transaction.cell_id == Cell.id,
        Transaction.kind == CERTIFICATE_REQUEST,
        Transaction.state.not_in([TransactionState.EXPIRED, TransactionState.FAILED]),
    )
    paired = exists().where(Device.cell_id == Cell.id, is_in_use())
    by_code = and_(
        Cell.methods.contains(SMS_METHOD),
        exists().where(Signer.id == Cell.signer_id, Signer.password_change_due.is_(False)),
    )
    return and_(Cell.certificate.is_(None), ~asked, or_(paired, by_code))
