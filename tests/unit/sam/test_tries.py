"""Wrong attempts are counted for each key, until their time is over."""

import pytest

from backend.errors import TooManyTries
from backend.sam.tries import Tries


def test_one_that_is_given_back_is_one_more_to_try() -> None:
    """A wrong code before a right one stays counted."""
    tries = Tries(allowed=3)
    for left in (2, 1, 0):
        assert tries.count("a", until=100, now=0) == left
    tries.give_back("a")
    assert tries.count("a", until=100, now=0) == 0
    with pytest.raises(TooManyTries):
        tries.count("a", until=100, now=0)


def test_after_two_of_which_one_was_right_one_is_counted() -> None:
    tries = Tries(allowed=3)
    tries.count("a", until=100, now=0)
    tries.count("a", until=100, now=0)
    tries.give_back("a")
    assert tries.count("a", until=100, now=0) == 1


def test_what_is_given_back_leaves_the_time_of_the_others() -> None:
    tries = Tries(allowed=2)
    tries.count("a", until=100, now=0)
    tries.count("a", until=900, now=50)
    tries.give_back("a")
    assert tries.count("a", until=900, now=99) == 0
    with pytest.raises(TooManyTries) as caught:
        tries.count("a", until=900, now=99)
    assert caught.value.retry_after_seconds == 1
    assert tries.count("a", until=900, now=100) == 1


def test_the_only_one_that_is_given_back_takes_its_time_along() -> None:
    """Or the next wrong one would be forgotten early."""
    tries = Tries(allowed=2)
    tries.count("a", until=100, now=0)
    tries.give_back("a")
    tries.count("a", until=900, now=50)
    assert tries.count("a", until=900, now=200) == 0


def test_one_of_another_key_gives_nothing_back() -> None:
    tries = Tries(allowed=2)
    tries.count("a", until=100, now=0)
    tries.give_back("b")
    assert tries.count("a", until=100, now=0) == 0
    assert tries.count("b", until=100, now=0) == 1
