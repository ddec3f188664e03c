"""How often a relying party may call: one limit for all processes, durable, at a price of little.

1. The limit is a row: a minute's worth of turns, each given back a minute divided by their number
   after it was taken, as in ``turns.py``. A restart finds it as it was.
2. A process takes turns from the row many at a time, by one statement, and spends them from memory.
   What it has not spent after ``HELD`` goes back with the next take. So no more turns are spent
   than were taken, and who calls often costs a fraction of a statement a call.
3. A process that dies takes its one allotment with it: a two-hundredth of a minute's turns.
4. Who is refused is told when a turn is free, and is refused from memory until then.

The statements are transactions of their own: the session they go by must be in none.
"""

import threading
from collections import OrderedDict
from datetime import datetime, timedelta
from enum import IntEnum
from functools import cache
from math import ceil
from typing import Final, NoReturn, final
from uuid import UUID

import msgspec
from sqlalchemy import BigInteger, Integer, Uuid, bindparam, case, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert

from backend.access.turns import MINUTE, microseconds
from backend.errors import TooManyRequests
from backend.model.steps import look, write
from backend.model.tables import AskingRate
from backend.model.upsert import is_postgresql, upsert

ALLOTMENTS: Final = 200
"""Into so many a minute's turns are divided."""
HELD: Final = timedelta(seconds=10)
MOST_PARTIES: Final = 10_000
MOST_ATTEMPTS: Final = 32
"""In a race each attempt lets at least one other through."""
_SECOND: Final = 1_000_000
_PARTY: Final = bindparam("allotment_party", type_=Uuid())
_ROW: Final = bindparam("allotment_row", type_=Integer())
_NOW: Final = bindparam("allotment_now", type_=BigInteger())
_TAKEN: Final = bindparam("allotment_taken", type_=BigInteger())
_BACK: Final = bindparam("allotment_back", type_=BigInteger())
_LATEST: Final = bindparam("allotment_latest", type_=BigInteger())
_NONSENSE: Final = bindparam("allotment_nonsense", type_=BigInteger())


class Counted(IntEnum):
    """What is counted, by the number of its row; below stand the shards of ``turns.py``."""

    CALLS = 100
    TOKENS = 101


@final
class _Pool(msgspec.Struct, kw_only=True):
    """What this process holds for one relying party."""

    lock: threading.Lock = msgspec.field(default_factory=threading.Lock)
    left: int = 0
    taken_at: datetime | None = None
    refused_until: datetime | None = None

    def is_fresh(self, now: datetime) -> bool:
        return self.taken_at is not None and timedelta(0) <= now - self.taken_at < HELD


@final
class Allotments:
    """One kind of turns, as one process spends them."""

    def __init__(
        self, counted: Counted, *, per_minute: int, what: str, most_parties: int = MOST_PARTIES
    ) -> None:
        """Allow so many a minute to each relying party; ``what`` they are, for who is refused."""
        self._counted = counted
        self._per_minute = per_minute
        self._size = max(1, per_minute // ALLOTMENTS)
        self._step = -(-MINUTE // per_minute)
        self._what = what
        self._most = most_parties
        self._pools: OrderedDict[UUID, _Pool] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, session: Session, relying_party: UUID, *, now: datetime) -> None:
        """Spend a turn.

        Raises:
            TooManyRequests: none is free; says when one will be. Nothing was spent.
        """
        pool = self._pool(relying_party)
        # Who finds it empty fetches for all who come meanwhile.
        with pool.lock:
            if not (pool.left and pool.is_fresh(now)):
                self._refuse_again(pool, now)
                self._fetch(session, relying_party, pool, now)
            pool.left -= 1

    def _pool(self, relying_party: UUID) -> _Pool:
        with self._lock:
            pool = self._pools.setdefault(relying_party, _Pool())
            self._pools.move_to_end(relying_party)
            if len(self._pools) > self._most:
                self._pools.popitem(last=False)
        return pool

    def _fetch(self, session: Session, party: UUID, pool: _Pool, now: datetime) -> None:
        wanted = self._size
        for _ in range(MOST_ATTEMPTS):
            named = self._parameters(party, take=wanted, back=pool.left, now=now)
            if write(session, _take(on_postgresql=is_postgresql(session)), named) is not None:
                pool.left, pool.taken_at = wanted, now
                return
            lead = self._lead(session, party, now) - pool.left * self._step
            free = self._per_minute - ceil(lead / self._step)
            if free < 1:
                wait = lead - self._step * (self._per_minute - 1)
                self._refuse(pool, seconds=ceil(wait / _SECOND), now=now)
            wanted = min(self._size, free)
        self._refuse(pool, seconds=1, now=now)

    def _lead(self, session: Session, party: UUID, now: datetime) -> int:
        """How far the row is ahead of the clock."""
        row = {"allotment_party": party, "allotment_row": int(self._counted)}
        found = look(session, _SPENT, {}, named=row)
        return 0 if found is None else max(0, found.spent_until - microseconds(now))

    def _parameters(self, party: UUID, *, take: int, back: int, now: datetime) -> dict[str, object]:
        instant = microseconds(now)
        return {
            "allotment_party": party,
            "allotment_row": int(self._counted),
            "allotment_now": instant,
            "allotment_taken": take * self._step,
            "allotment_back": back * self._step,
            "allotment_latest": instant + (self._per_minute - take + back) * self._step,
            "allotment_nonsense": instant + 2 * MINUTE,
        }

    def _refuse_again(self, pool: _Pool, now: datetime) -> None:
        """Refuse from memory who was told to wait; a clock that was set back puts nobody off."""
        until = pool.refused_until
        if until is not None and now < until <= now + timedelta(minutes=2):
            self._refuse(pool, seconds=ceil((until - now).total_seconds()), now=now)

    def _refuse(self, pool: _Pool, *, seconds: int, now: datetime) -> NoReturn:
        pool.refused_until = now + timedelta(seconds=seconds)
        raise TooManyRequests(f"too many {self._what} in a minute", retry_after_seconds=seconds)


@cache
def _take(*, on_postgresql: bool) -> ReturningInsert[tuple[int]]:
    """Make the statement that takes turns and returns a row; none, if so many are not free."""
    spent_until = AskingRate.spent_until
    nonsense = spent_until > _NONSENSE
    given_back = (spent_until - _BACK < _NOW) | nonsense
    return upsert(
        AskingRate,
        {"relying_party_id": _PARTY, "shard": _ROW, "spent_until": _NOW + _TAKEN},
        otherwise={"spent_until": case((given_back, _NOW), else_=spent_until - _BACK) + _TAKEN},
        where=(spent_until <= _LATEST) | nonsense,
        on_postgresql=on_postgresql,
    ).returning(spent_until)


_SPENT: Final = select(AskingRate.spent_until).where(
    AskingRate.relying_party_id == _PARTY, AskingRate.shard == _ROW
)
