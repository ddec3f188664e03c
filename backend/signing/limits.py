"""Who may ask now: a free slot at the signer, a turn of the relying party, and no "not me".

1. A relying party has so many slots at a signer, and an unanswered request keeps one. A unique
   index says it, so that races say it too. An answer, or the end of its time, frees the slot;
   nothing has to be counted down. Another relying party has slots of its own (T-22).
2. A relying party has so many turns a minute (``access/turns.py``). With slots and the time that a
   request lives they bound how much of it is unanswered in all: there is no third count.
3. Slot and turn are taken in the commit that adds the transaction, or none of the three happens.
   What is refused changed nothing; but for races it is refused before the SAM does any work.
4. Nothing here touches what a signer has: it can be fetched, approved and refused (T-21).

Statements are made once; what differs from call to call are parameters: making them anew took
longer than executing them.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from random import SystemRandom
from typing import Final, final
from uuid import UUID

import msgspec
from sqlalchemy import (
    ColumnElement,
    Integer,
    Uuid,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from backend.access.turns import (
    Shard,
    free_shard,
    left_parameters,
    spent_shards,
    take_turn,
    turns_left,
)
from backend.errors import PartyStopped, SignerFrozen, TooManyRequests
from backend.model.steps import table_of
from backend.model.tables import Cell, Transaction, TransactionState
from backend.model.upsert import Upsert
from backend.settings import Settings
from backend.signers.freeze import not_frozen
from backend.signing.mistrust import not_stopped
from backend.signing.moves import PENDING

_RANDOM: Final = SystemRandom()
_SIGNER: Final = bindparam("ask_signer", type_=Uuid())
_PARTY: Final = bindparam("ask_party", type_=Uuid())


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


# --- parts of other statements, made once ---------------------------------------


@cache
def free_slot(signer: ColumnElement[UUID], *, slots: int) -> ColumnElement[int | None]:
    """Say in SQL which slot is free; ``NULL`` where none is. See :func:`slot_parameters`."""
    numbers = [bindparam(f"slot_{place}", type_=Integer()) for place in range(slots)]
    return case(*((~_taken(signer, number), number) for number in numbers))


def slot_parameters(*, relying_party: UUID, slots: int) -> dict[str, object]:
    """Give the parameters of :func:`free_slot`: the slots, each time in another order."""
    order = _RANDOM.sample(range(1, slots + 1), slots)
    numbers = {f"slot_{place}": slot for place, slot in enumerate(order)}
    return {"ask_party": relying_party, **numbers}


@cache
def may_ask(*, slots: int) -> ColumnElement[bool]:
    """Say in SQL of a cell, before the SAM works, that asking is not in vain; takes nothing.

    Its parameters are those of :func:`may_ask_parameters`.
    """
    signer = table_of(Cell).c.signer_id
    slot = free_slot(signer, slots=slots)
    return and_(not_stopped(signer, _PARTY), slot.is_not(None), turns_left())


def may_ask_parameters(
    *, relying_party: UUID, settings: Settings, now: datetime
) -> dict[str, object]:
    """Give the parameters of :func:`may_ask`."""
    slots = slot_parameters(relying_party=relying_party, slots=settings.pending_per_signer)
    per_minute = settings.requests_per_minute
    return slots | left_parameters(relying_party=relying_party, per_minute=per_minute, now=now)


@final
class Asker(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants to know whether it may ask."""

    slots: int
    parameters: dict[str, object]
    """Those of :func:`may_ask`."""


def asker(*, relying_party: UUID, settings: Settings, now: datetime) -> Asker:
    """Take the limits from the settings."""
    return Asker(
        slots=settings.pending_per_signer,
        parameters=may_ask_parameters(relying_party=relying_party, settings=settings, now=now),
    )


def adding(*, names: tuple[str, ...], slots: int, on_postgresql: bool) -> Upsert:
    """Make the statement that adds a transaction, if it may be there.

    On PostgreSQL it takes the turn too. SQLite has no such statements in one another: there the
    turn is taken before, under the lock of the whole database. Its parameters are those of
    :func:`slot_parameters`, :func:`row_parameters`, ``ask_signer``, and on PostgreSQL
    ``turn_parameters``.
    """
    table = table_of(Transaction)
    free = select(free_slot(_SIGNER, slots=slots).label("slot")).cte("free")
    free = free.prefix_with("MATERIALIZED", dialect="postgresql")
    values = [bindparam(f"row_{name}", type_=table.c[name].type) for name in names]
    welcome = and_(not_stopped(_SIGNER, _PARTY), not_frozen(_SIGNER))
    chosen = select(*values, free.c.slot).where(free.c.slot.is_not(None), welcome)
    columns = [*names, "slot"]
    if not on_postgresql:
        plain = sqlite.insert(table).from_select(columns, chosen, include_defaults=False)
        return plain.on_conflict_do_nothing()
    turn = take_turn(on_postgresql=True).cte("turn")
    adds = postgresql.insert(table).from_select(
        columns, chosen.where(exists(select(turn.c.shard))), include_defaults=False
    )
    return adds.add_cte(turn).on_conflict_do_nothing()


def row_parameters(row: Mapping[str, object]) -> dict[str, object]:
    """Give the row's parameters of :func:`adding`."""
    return {f"row_{name}": value for name, value in row.items()}


# --- a use case's own -----------------------------------------------------------


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
        select(not_stopped(signer, literal(asked.relying_party, Uuid())), not_frozen(signer))
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


def _taken(signer: ColumnElement[UUID], number: ColumnElement[int]) -> ColumnElement[bool]:
    other = table_of(Transaction).alias().c
    return exists().where(
        other.signer_id == signer,
        other.relying_party_id == _PARTY,
        other.slot == number,
        other.state == PENDING,
    )


def _pending(asked: Asking) -> tuple[ColumnElement[bool], ...]:
    return (
        Transaction.signer_id == asked.signer,
        Transaction.relying_party_id == asked.relying_party,
        Transaction.state == PENDING,
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
