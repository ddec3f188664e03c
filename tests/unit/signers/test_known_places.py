"""backend/signers/known_places.py"""

from uuid import uuid4

import pytest

from backend.errors import TooManyTries
from backend.signers.known_places import MOST_PLACES, KnownPlaces
from backend.signers.password import Tries
from tests.world.clock import SettableClock

ANNA, BORIS = uuid4(), uuid4()


def test_only_where_somebody_signed_in_is_known() -> None:
    places = KnownPlaces()
    places.remember(ANNA, "home")

    assert places.tries(ANNA, "home") == Tries(used=0, last_at=None)
    assert places.tries(ANNA, "away") is None
    assert places.tries(BORIS, "home") is None


def test_of_two_tries_at_once_one_counts(clock: SettableClock) -> None:
    """T-16: parallel guesses are counted too."""
    places = KnownPlaces()
    places.remember(ANNA, "home")
    read = places.tries(ANNA, "home")
    assert read is not None

    places.count(ANNA, "home", read, now=clock())
    with pytest.raises(TooManyTries):
        places.count(ANNA, "home", read, now=clock())

    assert places.tries(ANNA, "home") == Tries(used=1, last_at=clock())


def test_a_try_that_was_not_checked_is_given_back(clock: SettableClock) -> None:
    places = KnownPlaces()
    places.remember(ANNA, "home")
    read = places.tries(ANNA, "home")
    assert read is not None
    places.count(ANNA, "home", read, now=clock())

    for _ in range(2):
        places.give_back(ANNA, "home")
    places.give_back(ANNA, "away")

    assert places.tries(ANNA, "home") == Tries(used=0, last_at=clock())
    assert places.tries(ANNA, "away") is None


def test_so_many_places_and_signers_are_known_and_no_more(clock: SettableClock) -> None:
    """Who was forgotten between reading and counting counts nowhere, and is not checked."""
    places = KnownPlaces(most_signers=1)
    for number in range(MOST_PLACES + 1):
        places.remember(ANNA, str(number))
    known = [number for number in range(MOST_PLACES + 1) if places.tries(ANNA, str(number))]
    read = places.tries(ANNA, "1")
    assert read is not None
    places.remember(BORIS, "home")

    assert known == list(range(1, MOST_PLACES + 1))
    assert places.tries(ANNA, "1") is None
    with pytest.raises(TooManyTries):
        places.count(ANNA, "1", read, now=clock())
