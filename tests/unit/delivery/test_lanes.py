"""backend/delivery/lanes.py"""

from datetime import timedelta

import pytest

from backend.delivery.claiming import Full
from backend.delivery.lanes import (
    FIRST_PLACES,
    IN_ALL,
    LARGEST_CLAIM,
    LONGEST_CLOSED_SECONDS,
    MOST_PLACES,
    SILENCES_IN_A_ROW,
    SMALLEST_CLAIM,
    SMS_LANE,
    SMS_PLACES,
    Lanes,
)
from backend.delivery.outbox import Channel
from backend.delivery.outcomes import NoPlace
from tests.world.clock import SettableClock

A, B = "https://a.example.org", "https://b.example.org"


class Traffic:
    """Messages that come and go."""

    def __init__(self, clock: SettableClock) -> None:
        self.lanes = Lanes()
        self.clock = clock

    def fill(self, destination: str) -> int:
        """Enter as often as it is let in."""
        count = 0
        while self.enter(destination) is None:
            count += 1
        return count

    def enter(self, destination: str) -> NoPlace | None:
        return self.lanes.enter(destination, now=self.clock())

    def leave(self, destination: str, count: int = 1, *, answered: bool) -> None:
        for _ in range(count):
            self.lanes.leave(destination, answered=answered, now=self.clock())

    def fall_silent(self, destination: str) -> None:
        """As many messages without an answer as close the lane."""
        for _ in range(SILENCES_IN_A_ROW):
            assert self.enter(destination) is None
            self.leave(destination, answered=False)

    def full(self) -> Full:
        return self.lanes.room(now=self.clock()).full

    def limit(self) -> int:
        return self.lanes.room(now=self.clock()).limit


@pytest.fixture
def traffic(clock: SettableClock) -> Traffic:
    return Traffic(clock)


def test_a_destination_that_hangs_takes_its_own_places_only(traffic: Traffic) -> None:
    assert traffic.fill(A) == FIRST_PLACES
    assert traffic.enter(A) == NoPlace(None)
    assert traffic.full() == Full(
        origins=frozenset({A}), relying_parties=frozenset(), channels=frozenset()
    )
    assert traffic.limit() >= SMALLEST_CLAIM
    assert traffic.fill(B) == FIRST_PLACES


def test_answers_widen_a_lane_up_to_its_bound(traffic: Traffic) -> None:
    for _ in range(20):
        traffic.leave(A, traffic.fill(A), answered=True)
        assert traffic.enter(A) is None
    assert traffic.fill(A) + 20 == MOST_PLACES


def test_after_silence_in_a_row_a_lane_is_closed_then_tried_by_one(
    traffic: Traffic, clock: SettableClock
) -> None:
    traffic.fall_silent(A)
    closed = traffic.enter(A)
    assert closed is not None
    assert closed.until is not None
    assert traffic.full() == Full(
        origins=frozenset(), relying_parties=frozenset(), channels=frozenset()
    )
    clock.set(closed.until)
    assert traffic.fill(A) == 1
    traffic.leave(A, answered=True)
    assert traffic.fill(A) >= FIRST_PLACES


def test_a_lane_stays_closed_longer_each_time_but_not_for_ever(
    traffic: Traffic, clock: SettableClock
) -> None:
    traffic.fall_silent(A)
    pauses: list[timedelta] = []
    for _ in range(20):
        closed = traffic.enter(A)
        assert closed is not None
        assert closed.until is not None
        pauses.append(closed.until - clock())
        clock.set(closed.until)
        assert traffic.enter(A) is None
        traffic.leave(A, answered=False)
    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[-1] == timedelta(seconds=LONGEST_CLOSED_SECONDS)


def test_many_who_hang_together_close_a_lane_once(traffic: Traffic, clock: SettableClock) -> None:
    traffic.leave(A, traffic.fill(A), answered=False)
    closed = traffic.enter(A)
    assert closed is not None
    assert closed.until is not None
    assert closed.until - clock() <= timedelta(seconds=2)


def test_one_answer_among_silences_keeps_a_lane_open(traffic: Traffic) -> None:
    for number in range(1, 5 * SILENCES_IN_A_ROW):
        assert traffic.enter(A) is None
        traffic.leave(A, answered=number % SILENCES_IN_A_ROW == 0)
    assert traffic.enter(A) is None


def test_texts_have_as_many_places_as_threads_and_no_more(traffic: Traffic) -> None:
    for _ in range(3):
        count = traffic.fill(SMS_LANE)
        traffic.leave(SMS_LANE, count, answered=True)
        assert count == SMS_PLACES
    traffic.fill(SMS_LANE)
    assert traffic.full() == Full(
        origins=frozenset(), relying_parties=frozenset(), channels=frozenset({Channel.SMS})
    )


def test_sockets_are_bounded_however_many_destinations_hang(traffic: Traffic) -> None:
    entered = 0
    for number in range(IN_ALL):
        for _ in range(traffic.limit()):
            entered += traffic.enter(f"https://h{number}.example.org") is None
    assert entered == IN_ALL
    assert traffic.limit() == 0


def test_no_more_is_claimed_than_the_emptiest_lane_has_room_for(traffic: Traffic) -> None:
    assert traffic.limit() == FIRST_PLACES
    for _ in range(20):
        traffic.leave(A, traffic.fill(A), answered=True)
        assert traffic.enter(A) is None
    assert traffic.limit() == LARGEST_CLAIM
    traffic.fill(A)
    traffic.leave(A, 20, answered=True)
    assert traffic.limit() == 20
    # One that fills up with what hangs makes the others' claims no smaller.
    for _ in range(FIRST_PLACES - 1):
        traffic.enter(B)
    assert traffic.limit() == 20


def test_what_a_lane_has_learnt_outlasts_a_moment_without_messages(traffic: Traffic) -> None:
    """Messages come in bursts: all answered, then all at once again."""
    sizes = []
    for _ in range(4):
        traffic.limit()
        sizes.append(traffic.fill(A))
        traffic.leave(A, sizes[-1], answered=True)
    assert sizes == sorted(sizes)
    assert sizes[-1] == MOST_PLACES


def test_a_lane_that_nobody_uses_is_forgotten(traffic: Traffic, clock: SettableClock) -> None:
    for number in range(1000):
        traffic.enter(f"https://h{number}.example.org")
        traffic.leave(f"https://h{number}.example.org", answered=True)
    assert traffic.enter(A) is None
    clock.advance(minutes=10)
    traffic.limit()
    assert list(traffic.lanes._lanes) == [A]
