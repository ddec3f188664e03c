"""How often a relying party may ask: durable, exact, and without a row that all its asks wait for.

1. A minute's worth of turns, each given back a minute divided by their number after it was taken
   (the generic cell rate algorithm, ITU-T I.371): one number a row, and no window with an edge.
2. A turn is taken by one statement, in the commit of what it is for: asks that come at once are
   counted one after the other, and what is refused or rolled back has taken none.
3. The turns are split over shards. A shard's row is locked until the commit of who took a turn, so
   one row alone would let a relying party ask no faster than the disk commits. Who finds its shard
   empty is told another one, until all are empty: the sum is exact.
4. A row whose turns are all given back says the same as no row; the worker deletes it. A row that
   says more than turns can is the word of a wrong clock, or nobody's, and counts as none.

Statements are made once; what differs from call to call are parameters: making them anew took
longer than executing them.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from math import ceil
from random import SystemRandom
from typing import Final, final
from uuid import UUID

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Uuid,
    and_,
    bindparam,
    case,
    delete,
    func,
    or_,
    select,
)
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert

from backend.errors import TooManyRequests
from backend.model.tables import AskingRate
from backend.model.upsert import upsert

SHARDS: Final = 16
MINUTE: Final = 60_000_000
"""In microseconds, as the column counts."""
Turn = ReturningInsert[tuple[int]]
_PARTY: Final = bindparam("turn_party", type_=Uuid())
_NOW: Final = bindparam("turn_now", type_=BigInteger())
_STEP: Final = bindparam("turn_step", type_=BigInteger())
_NONSENSE: Final = bindparam("turn_nonsense", type_=BigInteger())
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RANDOM: Final = SystemRandom()


@final
class Shard(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a relying party's turns."""

    number: int
    turns: int
    """Of a minute; at least one."""

    @property
    def step(self) -> int:
        """How long until a turn is given back."""
        return -(-MINUTE // self.turns)

    @property
    def furthest(self) -> int:
        """How far ahead of the clock the row may be for another turn to be free."""
        return self.step * (self.turns - 1)


@cache
def shards(per_minute: int) -> tuple[Shard, ...]:
    """Split so many turns a minute."""
    count = min(SHARDS, per_minute)
    least, rest = divmod(per_minute, count)
    return tuple(Shard(number=number, turns=least + (number < rest)) for number in range(count))


def any_shard(per_minute: int) -> Shard:
    """Choose where to take a turn first."""
    return _RANDOM.choice(shards(per_minute))


@cache
def take_turn(*, on_postgresql: bool) -> Turn:
    """Make the statement that takes a turn and returns a row; none, if the shard is empty.

    Its parameters are those of :func:`turn_parameters`.
    """
    spent_until = AskingRate.spent_until
    nonsense = spent_until > _NONSENSE
    given_back = (spent_until < _NOW) | nonsense
    return upsert(
        AskingRate,
        {
            "relying_party_id": _PARTY,
            "shard": bindparam("turn_shard", type_=Integer()),
            "spent_until": _NOW + _STEP,
        },
        otherwise={"spent_until": case((given_back, _NOW), else_=spent_until) + _STEP},
        where=(spent_until <= bindparam("turn_latest", type_=BigInteger())) | nonsense,
        on_postgresql=on_postgresql,
    ).returning(AskingRate.shard)


def turn_parameters(shard: Shard, *, relying_party: UUID, now: datetime) -> dict[str, object]:
    """Give the parameters of :func:`take_turn`."""
    instant = microseconds(now)
    return {
        "turn_party": relying_party,
        "turn_shard": shard.number,
        "turn_now": instant,
        "turn_step": shard.step,
        "turn_latest": instant + shard.furthest,
        "turn_nonsense": instant + 2 * MINUTE,
    }


@cache
def turns_left() -> ColumnElement[bool]:
    """Say in SQL that a turn is free somewhere; takes none. See :func:`left_parameters`."""
    first = AskingRate.shard < bindparam("turn_rest", type_=Integer())
    count = bindparam("turn_shards", type_=Integer())
    empty = or_(
        and_(first, AskingRate.spent_until > bindparam("turn_latest_more", type_=BigInteger())),
        and_(~first, AskingRate.spent_until > bindparam("turn_latest_less", type_=BigInteger())),
    )
    empties = select(func.count()).where(
        AskingRate.relying_party_id == _PARTY,
        AskingRate.shard < count,
        AskingRate.spent_until <= _NONSENSE,
        empty,
    )
    return empties.scalar_subquery() < count


def left_parameters(*, relying_party: UUID, per_minute: int, now: datetime) -> dict[str, object]:
    """Give the parameters of :func:`turns_left`."""
    instant = microseconds(now)
    parts = shards(per_minute)
    more, less = parts[0], parts[-1]
    return {
        "turn_party": relying_party,
        "turn_shards": len(parts),
        "turn_rest": per_minute % len(parts),
        "turn_latest_more": instant + more.furthest,
        "turn_latest_less": instant + less.furthest,
        "turn_nonsense": instant + 2 * MINUTE,
    }


def spent_shards(session: Session, *, relying_party: UUID) -> dict[int, int]:
    """Read until when each shard's turns are spent. Does not commit."""
    rows = select(AskingRate.shard, AskingRate.spent_until).where(
        AskingRate.relying_party_id == relying_party
    )
    return {row.shard: row.spent_until for row in session.execute(rows)}


def free_shard(spent: Mapping[int, int], *, per_minute: int, now: datetime) -> Shard:
    """Choose a shard where a turn is free.

    Args:
        spent: see :func:`spent_shards`.
        per_minute: how many turns there are.
        now: the time.

    Raises:
        TooManyRequests: there is none; says when there will be one.
    """
    instant = microseconds(now)
    ahead = {shard: spent.get(shard.number, instant) - instant for shard in shards(per_minute)}
    free = [shard for shard, lead in ahead.items() if lead <= shard.furthest or lead > 2 * MINUTE]
    if free:
        return _RANDOM.choice(free)
    wait = min(lead - shard.furthest for shard, lead in ahead.items())
    raise TooManyRequests(
        "too many requests in a minute", retry_after_seconds=ceil(wait / 1_000_000)
    )


def forget_rates(session: Session, now: datetime) -> int:
    """Delete rows that say the same as none; gives their number. Commits."""
    instant = microseconds(now)
    forgotten = session.scalars(
        delete(AskingRate)
        .where(AskingRate.spent_until < instant)
        .returning(AskingRate.shard)
        .execution_options(synchronize_session=False)
    ).all()
    session.commit()
    return len(forgotten)


def microseconds(moment: datetime) -> int:
    """Write an instant as the column counts."""
    return (moment - _EPOCH) // timedelta(microseconds=1)
