"""Who may ask now: a free slot at the signer, a turn of the relying party, and no "not me".

1. A relying party has so many slots at a signer, and an unanswered request keeps one. A unique
   index says it, so that races say it too. An answer, or the end of its time, frees the slot;
   nothing has to be counted down. Another relying party has slots of its own (T-22).
2. A relying party has so many turns a minute (``access/turns.py``). With slots and the time that a
   request lives they bound how much of it is unanswered in all: there is no third count.
3. Slot and turn are taken in the commit that adds the transaction, or none of the three happens.
   What is refused changed nothing; but for races it is refused before the SAM does any work.
4. Nothing here touches what a signer has: it can be fetched, approved and refused (T-21).
"""

from collections.abc import Mapping
from datetime import datetime
from random import SystemRandom
from typing import Final, final
from uuid import UUID

import msgspec
from sqlalchemy import (
    ColumnElement,
    Uuid,
    and_,
    case,
    exists,
    func,
    literal,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased
from sqlalchemy.sql.dml import ReturningInsert

from backend.access.turns import (
    Shard,
    Turn,
    any_shard,
    free_shard,
    spent_shards,
    take_turn,
    turns_left,
)
from backend.errors import PartyStopped, SignerFrozen, TooManyRequests
from backend.model.tables import Transaction, TransactionState
from backend.model.upsert import is_postgresql
from backend.settings import Settings
from backend.signers.freeze import not_frozen
from backend.signing.mistrust import not_stopped

MOST_ATTEMPTS: Final = 64
"""In a race each attempt lets at least one other through."""
_RANDOM: Final = SystemRandom()
_PENDING: Final[ColumnElement[str]] = literal_column("'pending'")
"""Word for word as in the index ``uq_transactions_slot``; a parameter would not do."""


@final
class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks whom, and how much of that there may be."""

    signer: UUID
    relying_party: UUID
    slots: int
    turns_per_minute: int


def asking(*, signer: UUID, relying_party: UUID, settings: Settings) -> Asking:
    """Take the limits from the settings."""
    return Asking(
        signer=signer,
        relying_party=relying_party,
        slots=settings.pending_per_signer,
        turns_per_minute=settings.requests_per_minute,
    )


# --- parts of other statements --------------------------------------------------


def free_slot(
    signer: InstrumentedAttribute[UUID] | ColumnElement[UUID], relying_party: UUID, *, slots: int
) -> ColumnElement[int | None]:
    """Say in SQL which slot is free; ``NULL`` where none is. Each time in another order."""
    order = _RANDOM.sample(range(1, slots + 1), slots)
    return case(*((~_taken(signer, relying_party, slot), slot) for slot in order))


def may_ask(
    signer: InstrumentedAttribute[UUID], relying_party: UUID, *, settings: Settings, now: datetime
) -> ColumnElement[bool]:
    """Say in SQL, before the SAM works, that asking is not in vain; takes nothing."""
    slot = free_slot(signer, relying_party, slots=settings.pending_per_signer)
    turns = turns_left(relying_party, per_minute=settings.requests_per_minute, now=now)
    return and_(not_stopped(signer, relying_party), slot.is_not(None), turns)


def adding(
    session: Session, row: Mapping[str, object], asked: Asking, *, turn: Turn
) -> ReturningInsert[tuple[int | None]]:
    """Make the statement that adds the transaction, if it may be there; it returns its slot.

    On PostgreSQL it takes the turn too. SQLite has no such statements in one another: there the
    turn is taken before, under the lock of the whole database.
    """
    columns = Transaction.__table__.c
    signer = literal(asked.signer, Uuid())
    free = select(free_slot(signer, asked.relying_party, slots=asked.slots).label("slot")).cte(
        "free"
    )
    values = [literal(value, columns[name].type) for name, value in row.items()]
    chosen = select(*values, free.c.slot).where(free.c.slot.is_not(None), _welcome(asked))
    names = [*row, "slot"]
    if not is_postgresql(session):
        plain = sqlite.insert(Transaction).from_select(names, chosen, include_defaults=False)
        return plain.on_conflict_do_nothing().returning(Transaction.slot)
    taken = turn.cte("turn")
    adds = postgresql.insert(Transaction).from_select(
        names, chosen.where(exists(select(taken.c.shard))), include_defaults=False
    )
    return adds.add_cte(taken).on_conflict_do_nothing().returning(Transaction.slot)


# --- a use case's own -----------------------------------------------------------


def admit(session: Session, row: Mapping[str, object], asked: Asking, *, now: datetime) -> None:
    """Add the transaction's row, or say why not. Does not commit; an error rolls back.

    To be the first that a database transaction writes: another attempt begins it anew.

    Raises:
        TooManyRequests: no slot or no turn is free.
        PartyStopped: the signer said "not me".
        SignerFrozen: the signer's access is locked.
    """
    shard = any_shard(asked.turns_per_minute)
    for _ in range(MOST_ATTEMPTS):
        if _attempt(session, row, asked, shard=shard, now=now):
            return
        session.rollback()
        shard = refuse_or_go_on(session, asked, now=now)
    raise TooManyRequests("too many ask this signer at the same time", retry_after_seconds=1)


def refuse_or_go_on(session: Session, asked: Asking, *, now: datetime) -> Shard:
    """Find out why an attempt failed. Commits.

    Returns:
        Where to take a turn at the next attempt: whatever stood in the way is gone.

    Raises:
        TooManyRequests: no slot or no turn is free; says when one will be at the latest.
        PartyStopped: the signer said "not me".
        SignerFrozen: the signer's access is locked.
    """
    _write_expired(session, asked, now)
    signer = literal(asked.signer, Uuid())
    pending = select(func.count(), func.min(Transaction.expires_at)).where(*_pending(asked))
    taken, first_free_at = session.execute(pending).one()
    trusted, unfrozen = session.execute(
        select(not_stopped(signer, asked.relying_party), not_frozen(signer))
    ).one()
    spent = spent_shards(session, relying_party=asked.relying_party)
    session.commit()
    if not trusted:
        raise PartyStopped("the signer has stopped this relying party")
    if not unfrozen:
        raise SignerFrozen("the signer's access is locked")
    if taken >= asked.slots:
        seconds = int((first_free_at - now).total_seconds()) + 1
        raise TooManyRequests(
            "too many requests to this signer wait for an answer", retry_after_seconds=seconds
        )
    return free_shard(spent, per_minute=asked.turns_per_minute, now=now)


def _attempt(
    session: Session, row: Mapping[str, object], asked: Asking, *, shard: Shard, now: datetime
) -> bool:
    """Take turn and slot and add the row: one statement, or on SQLite two under its one lock."""
    turn = take_turn(session, shard, relying_party=asked.relying_party, now=now)
    if not is_postgresql(session) and session.execute(turn).first() is None:
        return False
    return session.execute(adding(session, row, asked, turn=turn)).first() is not None


def _welcome(asked: Asking) -> ColumnElement[bool]:
    signer = literal(asked.signer, Uuid())
    return and_(not_stopped(signer, asked.relying_party), not_frozen(signer))


def _taken(
    signer: InstrumentedAttribute[UUID] | ColumnElement[UUID], relying_party: UUID, slot: int
) -> ColumnElement[bool]:
    other = aliased(Transaction)
    return exists().where(
        other.signer_id == signer,
        other.relying_party_id == relying_party,
        other.slot == slot,
        other.state == _PENDING,
    )


def _pending(asked: Asking) -> tuple[ColumnElement[bool], ...]:
    return (
        Transaction.signer_id == asked.signer,
        Transaction.relying_party_id == asked.relying_party,
        Transaction.state == _PENDING,
    )


def _write_expired(session: Session, asked: Asking, now: datetime) -> None:
    """Free slots of what is over, should the worker be late."""
    session.execute(
        update(Transaction)
        .where(*_pending(asked), Transaction.expires_at < now)
        .values(
            state=TransactionState.EXPIRED, ended_because="nobody answered or collected in time"
        )
        .execution_options(synchronize_session=False)
    )
