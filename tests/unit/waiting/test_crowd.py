"""Places to wait, and who is woken."""

import asyncio
from contextlib import ExitStack

import pytest

from backend.errors import Overloaded, TooManyTries
from backend.waiting.crowd import SLICE, Bounds, Crowd


def test_there_are_no_more_places_than_all() -> None:
    """T-39."""
    crowd = Crowd(Bounds(all=2, of_id=9, of_address=9))
    with ExitStack() as held:
        for name in ("a", "b"):
            held.enter_context(crowd.place(name, address="10.0.0.1"))
        with pytest.raises(Overloaded), crowd.place("c", address="10.0.0.2"):
            pass


def test_one_address_takes_its_share_and_others_still_find_a_place() -> None:
    """T-22."""
    crowd = Crowd(Bounds(all=9, of_id=9, of_address=2))
    with ExitStack() as held:
        for name in ("a", "b"):
            held.enter_context(crowd.place(name, address="10.0.0.1"))
        with pytest.raises(TooManyTries), crowd.place("c", address="10.0.0.1"):
            pass
        held.enter_context(crowd.place("c", address="10.0.0.2"))


def test_one_id_has_few_places_from_all_addresses_together() -> None:
    crowd = Crowd(Bounds(all=9, of_id=2, of_address=9))
    with ExitStack() as held:
        for number in range(2):
            held.enter_context(crowd.place("a", address=f"10.0.0.{number}"))
        with pytest.raises(TooManyTries) as refused, crowd.place("a", address="10.0.0.9"):
            pass
        held.enter_context(crowd.place("b", address="10.0.0.9"))
    assert refused.value.retry_after_seconds


def test_who_leaves_leaves_nothing_behind() -> None:
    """An id that nobody waits for costs nothing, whether it exists or not."""
    crowd = Crowd(Bounds(all=1, of_id=1, of_address=1))
    for name in ("a", "b", "a"):
        with pytest.raises(ZeroDivisionError), crowd.place(name, address="10.0.0.1"):
            raise ZeroDivisionError

    assert len(crowd) == 0
    assert not crowd._waiting
    assert not crowd._of_address


def test_all_who_wait_for_an_id_are_woken_and_nobody_else() -> None:
    crowd = Crowd(Bounds())
    with (
        crowd.place("a", address="1") as first,
        crowd.place("a", address="2") as second,
        crowd.place("b", address="1") as other,
    ):
        crowd.wake("a")
        crowd.wake("nobody's")

        assert (first.is_set(), second.is_set(), other.is_set()) == (True, True, False)


def test_everybody_is_woken_a_few_at_a_time() -> None:
    crowd = Crowd(Bounds(all=10_000, of_address=10_000))

    async def wake() -> tuple[int, int]:
        with ExitStack() as held:
            woken = [
                held.enter_context(crowd.place(str(number), address="1"))
                for number in range(2 * SLICE)
            ]
            waking = asyncio.ensure_future(crowd.wake_all())
            await asyncio.sleep(0)
            at_first = sum(each.is_set() for each in woken)
            await waking
            return at_first, sum(each.is_set() for each in woken)

    assert asyncio.run(wake()) == (SLICE, 2 * SLICE)
