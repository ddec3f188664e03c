"""Places to wait: for how many, and for how many of one."""

from contextlib import ExitStack

import pytest

from backend.access.seats import Seats
from backend.errors import Overloaded


def test_one_holder_takes_its_share_and_others_still_find_a_place() -> None:
    """T-22."""
    seats = Seats(total=4, each=2)
    with ExitStack() as held:
        for _ in range(2):
            held.enter_context(seats.taken_by("shop"))
        with pytest.raises(Overloaded), seats.taken_by("shop"):
            pass
        held.enter_context(seats.taken_by("bank"))


def test_there_are_no_more_places_than_all() -> None:
    """T-39."""
    seats = Seats(total=2, each=2)
    with ExitStack() as held:
        for holder in ("shop", "bank"):
            held.enter_context(seats.taken_by(holder))
        with pytest.raises(Overloaded), seats.taken_by("market"):
            pass


def test_a_place_is_free_again_whatever_happened_in_it() -> None:
    seats = Seats(total=1, each=1)
    with pytest.raises(ZeroDivisionError), seats.taken_by("shop"):
        raise ZeroDivisionError

    with seats.taken_by("shop"):
        pass
