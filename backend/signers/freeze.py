"""The freeze: an access lock that stops everything of a signer at once, in flight too (R-048).

1. One row decides, and every step of a transaction reads it in its own statement
   (:func:`not_frozen`): a freeze acts at once and calls nobody. Who asked is told by webhook.
2. Anybody who holds a paired phone, who has login and password, and any operator, may freeze.
   Lifting takes two people.
3. Nothing freezes a signer by itself: wrong passwords slow down whoever types them (T-21).
"""

import logging
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, SQLColumnExpression, exists, insert, literal, select, update
from sqlalchemy.orm import Session

from backend.delivery.outbox import enqueue_frozen
from backend.errors import NotFound, RequestRefused, SignerFrozen
from backend.model.tables import Freeze, Signer

log = logging.getLogger(__name__)

BY_PHONE: Final = "phone"
BY_PASSWORD: Final = "password"  # noqa: S105  # a way, not a secret
"""The signer, on our page."""


def not_frozen(signer_id: SQLColumnExpression[UUID]) -> ColumnElement[bool]:
    """Say in SQL that the signer of a row is not frozen; for the ``where`` of any statement."""
    return ~exists().where(Freeze.signer_id == signer_id, Freeze.lifted_at.is_(None))


def is_frozen(session: Session, signer: UUID) -> bool:
    """Tell whether the signer is frozen now."""
    active = exists().where(Freeze.signer_id == signer, Freeze.lifted_at.is_(None))
    return bool(session.scalar(select(active)))


def refuse_frozen(session: Session, signer: UUID) -> None:
    """Go no further for a frozen signer.

    Raises:
        SignerFrozen: the signer is.
    """
    if is_frozen(session, signer):
        raise SignerFrozen("the signer's access is locked")


def freeze(session: Session, *, signer: UUID, by: str, now: datetime) -> None:
    """Freeze a signer; who is frozen already stays so. Commits.

    Raises:
        NotFound: there is no such signer.
    """
    if session.scalar(select(Signer.id).where(Signer.id == signer)) is None:
        raise NotFound("no such signer")
    if not is_frozen(session, signer):
        values = {"id": uuid4(), "signer_id": signer, "frozen_at": now, "frozen_by": by}
        session.execute(insert(Freeze).values(values))
        enqueue_frozen(session, signer=signer, now=now)
    session.commit()
    log.warning("signer frozen", extra={"signer_id": signer, "operator": by})


def lift(session: Session, *, signer: UUID, operator: str, second: str, now: datetime) -> None:
    """Lift a freeze in the name of two people. Commits.

    Raises:
        RequestRefused: the two are one.
        NotFound: the signer is not frozen.
    """
    if same_person(operator, second):
        raise RequestRefused("lifting a freeze takes two different people")
    lifted = session.execute(
        update(Freeze)
        .where(Freeze.signer_id == literal(signer), Freeze.lifted_at.is_(None))
        .values(lifted_at=now, lifted_by=f"{operator}, {second}")
        .returning(Freeze.id)
    )
    if not lifted.all():
        session.rollback()
        raise NotFound("the signer is not frozen")
    session.commit()
    log.warning("freeze lifted", extra={"signer_id": signer, "operator": f"{operator}, {second}"})


def same_person(one: str, other: str) -> bool:
    """Compare two names of operators as people would."""
    return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()
