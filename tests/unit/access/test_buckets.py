"""backend/access/buckets.py and backend/access/doorman.py"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from backend.access.buckets import Buckets
from backend.access.doorman import NOWHERE, Doorman, network_of
from backend.errors import TooManyRequests, Unauthenticated
from tests.world.clock import SettableClock


def passed(call: Callable[[], object], times: int = 1000) -> int:
    """Call until it is refused; how many times it was not."""
    for count in range(times):
        try:
            call()
        except TooManyRequests:
            return count
    return times


def fail(doorman: Doorman, address: str | None, name: str, clock: SettableClock) -> None:
    with (
        pytest.raises(Unauthenticated),
        doorman.watching(address, name, now=clock()),
    ):
        raise Unauthenticated("no")


def prove(doorman: Doorman, address: str | None, name: str, clock: SettableClock) -> None:
    with doorman.watching(address, name, now=clock()):
        pass


def test_waiting_as_long_as_it_says_is_enough(clock: SettableClock) -> None:
    buckets = Buckets(per_minute=7, what="calls")
    assert passed(lambda: buckets.take("shop", now=clock())) == 7

    with pytest.raises(TooManyRequests, match="too many calls in a minute") as error:
        buckets.take("shop", now=clock())
    clock.advance(seconds=error.value.retry_after_seconds)

    assert passed(lambda: buckets.take("shop", now=clock())) == 1


def test_each_caller_has_a_bucket_of_its_own(clock: SettableClock) -> None:
    buckets = Buckets(per_minute=3, what="calls")
    passed(lambda: buckets.take("shop", now=clock()))

    assert passed(lambda: buckets.take("bank", now=clock())) == 3


def test_many_at_once_are_counted(clock: SettableClock) -> None:
    buckets = Buckets(per_minute=40, what="calls")
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda _: passed(lambda: buckets.take(1, now=clock())), range(8)))
    assert sum(counts) == 40


def test_so_many_callers_are_remembered_and_no_more(clock: SettableClock) -> None:
    """T-39: whoever comes from everywhere fills no memory."""
    buckets = Buckets(per_minute=1, what="calls", most_callers=2)
    for caller in ("a", "b", "c"):
        buckets.take(caller, now=clock())

    assert passed(lambda: buckets.take("c", now=clock())) == 0
    assert passed(lambda: buckets.take("a", now=clock())) == 1
    assert passed(lambda: buckets.take("b", now=clock())) == 1


def test_a_clock_that_is_set_back_puts_nobody_off(clock: SettableClock) -> None:
    buckets = Buckets(per_minute=1, what="calls")
    buckets.take("shop", now=clock() + timedelta(hours=1))

    assert passed(lambda: buckets.take("shop", now=clock())) == 1


def test_failures_that_come_at_once_put_nobody_off_for_longer_than_one(
    clock: SettableClock,
) -> None:
    buckets = Buckets(per_minute=60, what="failures")
    for _ in range(1000):
        buckets.count("there", now=clock())

    with pytest.raises(TooManyRequests) as error:
        buckets.check("there", now=clock())
    assert error.value.retry_after_seconds == 1


# --- the doorman --------------------------------------------------------------------


def test_only_failures_count(clock: SettableClock) -> None:
    doorman = Doorman(failures_per_minute=2)
    for _ in range(10):
        prove(doorman, "192.0.2.1", "phone", clock)

    assert passed(lambda: fail(doorman, "192.0.2.1", "nobody", clock)) == 2


def test_t_21_who_is_known_from_there_is_counted_apart(clock: SettableClock) -> None:
    doorman = Doorman(failures_per_minute=2)
    prove(doorman, "192.0.2.1", "phone", clock)
    passed(lambda: fail(doorman, "192.0.2.1", "nobody", clock))

    prove(doorman, "192.0.2.1", "phone", clock)
    with pytest.raises(TooManyRequests):
        prove(doorman, "192.0.2.1", "a phone that never called", clock)
    prove(doorman, "192.0.2.2", "a phone that never called", clock)


def test_another_error_is_no_failure(clock: SettableClock) -> None:
    doorman = Doorman(failures_per_minute=1)
    for _ in range(3):
        with pytest.raises(LookupError), doorman.watching("192.0.2.1", "x", now=clock()):
            raise LookupError


def test_so_many_known_callers_are_remembered_and_no_more(clock: SettableClock) -> None:
    doorman = Doorman(failures_per_minute=1, most_callers=2)
    for name in ("a", "b", "c"):
        prove(doorman, "192.0.2.1", name, clock)
    fail(doorman, "192.0.2.1", "nobody", clock)

    prove(doorman, "192.0.2.1", "c", clock)
    with pytest.raises(TooManyRequests):
        prove(doorman, "192.0.2.1", "a", clock)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("unknown, x" * 100, NOWHERE),
        ("", NOWHERE),
        (None, NOWHERE),
    ],
)
def test_an_address_counts_for_its_network(address: str | None, network: str) -> None:
    assert network_of(address) == network
