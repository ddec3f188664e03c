"""How much may be under way to each destination, so that a dead one takes nobody else's place.

1. A lane begins with ``FIRST_PLACES``. Each answer adds one, up to ``MOST_PLACES``; each silence
   takes half away.
2. After ``SILENCES_IN_A_ROW`` the lane is closed for a while, longer each time; then one message
   tries it. Any answer opens it again, also an error: whoever speaks is there.
3. What finds no place costs nobody anything: it is given back, and claimed when there is a place.
4. All lanes together have ``IN_ALL`` places, so that sockets are bounded. Each relying party's
   webhook has a lane of its own, and all of them together no more than ``WEBHOOK_PLACES``: however
   many are dead, phones are woken.
"""

from datetime import datetime, timedelta
from typing import Final, final
from uuid import UUID

import msgspec

from backend.delivery.back_off import pause_seconds
from backend.delivery.claiming import NOTHING_FULL, Full
from backend.delivery.outbox import Channel
from backend.delivery.outcomes import NoPlace

FIRST_PLACES: Final = 16
MOST_PLACES: Final = 100
FEWEST_PLACES: Final = 2
SMS_PLACES: Final = 8
FIRST_WEBHOOK_PLACES: Final = 4
MOST_WEBHOOK_PLACES: Final = 32
WEBHOOK_PLACES: Final = 100
IN_ALL: Final = 400
"""Below the 1024 files that a process may commonly open."""
SILENCES_IN_A_ROW: Final = 5
LONGEST_CLOSED_SECONDS: Final = 30.0
REMEMBERED: Final = timedelta(minutes=10)
"""How long what a lane has learnt is kept when nobody uses it."""
LARGEST_CLAIM: Final = 64
SMALLEST_CLAIM: Final = 8

SMS_LANE: Final = "sms"
"""No origin is called so."""
_WEBHOOK: Final = "webhook "


def webhook_lane(relying_party: UUID) -> str:
    """Name the lane of a relying party's webhook."""
    return f"{_WEBHOOK}{relying_party}"


@final
class _Lane(msgspec.Struct, kw_only=True):
    places: int = FIRST_PLACES
    most: int = MOST_PLACES
    under_way: int = 0
    silences: int = 0
    closings: int = 0
    closed_until: datetime | None = None
    used_at: datetime

    def free(self) -> int:
        return max(0, self.places - self.under_way)

    def is_closed(self, now: datetime) -> bool:
        return self.closed_until is not None and now < self.closed_until


@final
class Room(msgspec.Struct, frozen=True, kw_only=True):
    """What may be claimed now."""

    limit: int
    full: Full


NO_ROOM: Final = Room(limit=0, full=NOTHING_FULL)


@final
class Lanes:
    """The lanes of one process.

    ``destination`` is a push endpoint's origin, a :func:`webhook_lane` or ``SMS_LANE``.
    """

    def __init__(self) -> None:
        """Nothing is under way."""
        self._lanes: dict[str, _Lane] = {}
        self._webhooks_under_way = 0

    def enter(self, destination: str, *, now: datetime) -> NoPlace | None:
        """Take a place, or say why there is none."""
        lane = self._lanes.get(destination)
        if lane is None:
            lane = self._lanes[destination] = _new_lane(destination, now=now)
        if lane.is_closed(now):
            return NoPlace(lane.closed_until)
        if not lane.free() or (_tells(destination) and self._webhooks_are_full()):
            return NoPlace(None)
        lane.under_way += 1
        self._webhooks_under_way += _tells(destination)
        return None

    def leave(self, destination: str, *, answered: bool, now: datetime) -> None:
        """Give the place back, and learn from how it went."""
        lane = self._lanes[destination]
        lane.under_way -= 1
        self._webhooks_under_way -= _tells(destination)
        lane.used_at = now
        if answered:
            _open(lane)
        else:
            _fall_silent(lane, now=now)

    def room(self, *, now: datetime) -> Room:
        """Say how many messages would find a place, and for whom there is none.

        As many as the emptiest lane has room for: what is bound for a fuller one and finds no
        place is given back. Some always, for who waits behind may be bound elsewhere.
        """
        self._forget_idle(now)
        lanes = {name: lane for name, lane in self._lanes.items() if not lane.is_closed(now)}
        full = {name for name, lane in lanes.items() if not lane.free()}
        rooms = [lane.free() for name, lane in lanes.items() if name not in full]
        wanted = max(SMALLEST_CLAIM, min(LARGEST_CLAIM, max(rooms, default=FIRST_PLACES)))
        left = IN_ALL - sum(lane.under_way for lane in self._lanes.values())
        return Room(
            limit=max(0, min(wanted, left)),
            full=self._full(full),
        )

    def _full(self, lanes: set[str]) -> Full:
        webhooks = {lane for lane in lanes if _tells(lane)}
        channels = {Channel.SMS} if SMS_LANE in lanes else set()
        if self._webhooks_are_full():
            channels.add(Channel.WEBHOOK)
        return Full(
            origins=frozenset(lanes - webhooks - {SMS_LANE}),
            relying_parties=frozenset(UUID(lane.removeprefix(_WEBHOOK)) for lane in webhooks),
            channels=frozenset(channels),
        )

    def _webhooks_are_full(self) -> bool:
        return self._webhooks_under_way >= WEBHOOK_PLACES

    def _forget_idle(self, now: datetime) -> None:
        idle = [
            name
            for name, lane in self._lanes.items()
            if not lane.under_way and now - lane.used_at >= REMEMBERED
        ]
        for name in idle:
            del self._lanes[name]


def _new_lane(destination: str, *, now: datetime) -> _Lane:
    if destination == SMS_LANE:
        return _Lane(places=SMS_PLACES, most=SMS_PLACES, used_at=now)
    if _tells(destination):
        return _Lane(places=FIRST_WEBHOOK_PLACES, most=MOST_WEBHOOK_PLACES, used_at=now)
    return _Lane(used_at=now)


def _tells(destination: str) -> bool:
    return destination.startswith(_WEBHOOK)


def _open(lane: _Lane) -> None:
    if lane.closed_until is not None:
        lane.places = min(FIRST_PLACES, lane.most)
    lane.places = min(lane.most, lane.places + 1)
    lane.silences, lane.closings, lane.closed_until = 0, 0, None


def _fall_silent(lane: _Lane, *, now: datetime) -> None:
    lane.silences += 1
    lane.places = max(FEWEST_PLACES, lane.places // 2)
    if lane.silences < SILENCES_IN_A_ROW or lane.is_closed(now):
        return
    lane.closings += 1
    pause = pause_seconds(lane.closings + 1, jitter=0.0, retry_after_seconds=None)
    lane.closed_until = now + timedelta(seconds=min(LONGEST_CLOSED_SECONDS, pause))
    # Whoever tries it next is alone.
    lane.places = 1
