"""What the rows say of a signer who wants to allow a code: cell, seeds, and earlier asks."""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, and_, exists, func, or_, select, update
from sqlalchemy.orm import Session

from backend.delivery.subscriptions import is_in_use
from backend.errors import (
    MalformedMessage,
    NotFound,
    SignerFrozen,
    TooManyRequests,
    TooManyTries,
    WrongCode,
)
from backend.model.tables import (
    SEED_ROWS,
    Cell,
    Device,
    Lock,
    Record,
    Signer,
    Transaction,
    TransactionState,
)
from backend.protocol.approval import SeedMethod
from backend.protocol.codes import typed_code
from backend.protocol.jose import unverified_payload
from backend.protocol.record import TYP, CellRecord
from backend.signers.freeze import not_frozen
from backend.signing.mistrust import BECAUSE as NOT_ME
from backend.signing.moves import erase_seals

KIND: Final = "amend"
BECAUSE_AGAIN: Final = "asked again"
WINDOW: Final = timedelta(hours=1)
MOST_IN_WINDOW: Final = 10
"""Asks of one cell."""
MOST_FIRST_CODES: Final = 3
_NO_SYNC: Final = {"synchronize_session": False}


def read_amendable(session: Session, signer: UUID) -> Row[*tuple[Any, ...]]:
    """Read the signer's newest certified cell that has a phone. Commits, which ends the read.

    Raises:
        NotFound: there is none.
        SignerFrozen: the signer's access is locked.
    """
    found = session.execute(
        select(
            Cell.id.label("cell"),
            Signer.id.label("signer"),
            Signer.login,
            Signer.number,
            Signer.subject,
            Signer.lang,
            Signer.zone,
            Signer.password_salt,
            Signer.password_tries,
            Signer.password_tried_at,
            Record.record,
            Lock.lock,
            not_frozen(Cell.signer_id).label("may_go_on"),
        )
        .join(Signer, Signer.id == Cell.signer_id)
        .join(Record, and_(Record.cell_id == Cell.id, Record.epoch == Cell.epoch))
        .outerjoin(Lock, and_(Lock.cell_id == Cell.id, Lock.kind == "password"))
        .where(
            Cell.signer_id == signer,
            Cell.certificate.is_not(None),
            exists().where(Device.cell_id == Cell.id, is_in_use()),
        )
        .order_by(Cell.created_at.desc())
        .limit(1)
    ).first()
    session.commit()
    if found is None:
        raise NotFound("there is no certificate and phone to allow it by")
    if not found.may_go_on:
        raise SignerFrozen("the signer's access is locked")
    return found


def named_seed(record: str, method: SeedMethod) -> bytes | None:
    """Which seed a record names; the SAM verifies what matters."""
    try:
        return unverified_payload(record, CellRecord, expected_typ=TYP).seed(method)
    except MalformedMessage:
        return None


def pending_seed(
    session: Session, held: Row[*tuple[Any, ...]], method: SeedMethod
) -> Row[*tuple[Any, ...]]:
    """Read the seed that was shown last and that the record does not name yet. Commits.

    Raises:
        NotFound: there is none.
    """
    seeds, named = SEED_ROWS[method], named_seed(held.record, method)
    found = session.execute(
        select(seeds.seed_hash, seeds.sealed, seeds.tries)
        .where(seeds.cell_id == held.cell, seeds.seed_hash != (named or b""))
        .order_by(seeds.created_at.desc())
        .limit(1)
    ).first()
    session.commit()
    if found is None:
        raise NotFound("no authenticator was shown a seed")
    return found


def typed_first_code(unverified_code: str, tries: int) -> str:
    """Read a first code; what has not eight digits costs no try.

    Raises:
        WrongCode: it has not.
    """
    try:
        return typed_code(unverified_code)
    except MalformedMessage as error:
        raise WrongCode(max(0, MOST_FIRST_CODES - tries)) from error


def count_first_code(session: Session, seed_hash: bytes, method: SeedMethod) -> None:
    """Count a first code before it is checked. Commits.

    Raises:
        TooManyTries: three were wrong.
    """
    seeds = SEED_ROWS[method]
    counted = session.scalar(
        update(seeds)
        .where(seeds.seed_hash == seed_hash, seeds.tries < MOST_FIRST_CODES)
        .values(tries=seeds.tries + 1)
        .returning(seeds.tries)
        .execution_options(**_NO_SYNC)
    )
    session.commit()
    if counted is None:
        raise TooManyTries("three first codes were wrong: begin again with another seed")


def asked_lately(session: Session, cell: UUID, now: datetime) -> tuple[int, int]:
    """Count the asks of the last hour, and how many of them were answered by "not me".

    Does not commit.
    """
    since = now - WINDOW
    not_me = Transaction.ended_because == NOT_ME
    asked, stopped = session.execute(
        select(func.count(), func.count().filter(not_me)).where(
            Transaction.cell_id == cell,
            Transaction.kind == KIND,
            or_(Transaction.created_at > since, and_(not_me, Transaction.answered_at > since)),
        )
    ).one()
    return asked, stopped


def refuse_often(session: Session, cell: UUID, now: datetime) -> None:
    """Go no further where a phone was asked again and again (T-01). Commits, which ends the read.

    Raises:
        TooManyRequests: it was, or its owner said "not me".
    """
    asked, stopped = asked_lately(session, cell, now)
    session.commit()
    if stopped or asked >= MOST_IN_WINDOW:
        raise TooManyRequests(
            "the phone was asked too often", retry_after_seconds=int(WINDOW.total_seconds())
        )


def end_asked(
    session: Session, cell: UUID, *states: TransactionState, because: str = BECAUSE_AGAIN
) -> None:
    """End what a phone was asked before and that is in one of these states. Does not commit."""
    ended = session.scalars(
        update(Transaction)
        .where(Transaction.cell_id == cell, Transaction.state.in_(states), Transaction.kind == KIND)
        .values(state=TransactionState.CANCELLED, ended_because=because)
        .returning(Transaction.id)
        .execution_options(**_NO_SYNC)
    ).all()
    erase_seals(session, ended)
