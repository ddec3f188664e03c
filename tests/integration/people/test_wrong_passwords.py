"""Pairing, step 1: wrong passwords are counted (T-16, T-21); on both databases."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from backend.devices.enrolment.ticket import SignIn, open_ticket
from backend.errors import (
    CellkeyError,
    SamUnavailable,
    TooManyTries,
    WrongPassword,
)
from backend.model.tables import Signer, Transaction
from backend.sam.client import SamClient
from tests.world.counter import NEW_PASSWORD, Counter

WRONG = "dfhj-dfhj-dfhj-dfhj"


def test_a_wrong_password_is_counted_and_a_right_one_forgets_it(begun: Counter) -> None:
    """T-16."""
    for _ in range(2):
        begun.refused_sign_in(new_password=WRONG)
    assert begun.password_tries == 2

    begun.sign_in()
    assert begun.password_tries == 0


def test_after_five_wrong_passwords_even_the_right_one_waits(begun: Counter) -> None:
    begun.write(update(Signer).values(password_tries=8, password_tried_at=begun.clock()))
    paused = begun.refused_sign_in()

    assert isinstance(paused, TooManyTries)
    assert paused.retry_after_seconds == 8


def test_the_owner_gets_in_when_the_pause_is_over(begun: Counter) -> None:
    """T-21: nobody is locked out for good."""
    begun.write(update(Signer).values(password_tries=1000, password_tried_at=begun.clock()))
    begun.clock.advance(minutes=15)

    assert begun.sign_in().ticket
    assert begun.password_tries == 0


def test_parallel_guesses_are_all_counted(begun: Counter) -> None:
    """T-16: four at once are not four for one."""
    begun.write(update(Signer).values(password_tries=4, password_tried_at=begun.clock()))
    with ThreadPoolExecutor(4) as pool:
        refused = list(pool.map(lambda _: begun.refused_sign_in(new_password=WRONG), range(4)))

    checked = [error for error in refused if isinstance(error, WrongPassword)]
    assert len(checked) == 1
    assert all(isinstance(error, WrongPassword | TooManyTries) for error in refused)
    assert begun.password_tries == 5


def test_a_try_that_nobody_could_check_is_given_back(begun: Counter, tmp_path: Path) -> None:
    """An outage of the SAM locks nobody out."""
    nobody = SamClient(tmp_path / "nobody-listens")
    sign_in = SignIn(
        login=begun.envelope.login,
        password=NEW_PASSWORD,
        new_password=None,
        pairing=begun.envelope.pairing,
    )
    with begun.session_factory() as session, pytest.raises(SamUnavailable):
        open_ticket(session, nobody, nobody, sign_in, settings=begun.settings, now=begun.clock())

    assert begun.password_tries == 0
    assert begun.row(select(func.count()).select_from(Transaction)) == 1


def test_of_two_first_sign_ins_at_once_one_password_stands(printed: Counter) -> None:
    """Whoever comes second is told to come again; the locks open with what the row says."""
    passwords = ["зелёный чайник 7", "красный диван 11"]

    def attempt(new_password: str) -> CellkeyError | None:
        try:
            printed.sign_in(new_password=new_password)
        except CellkeyError as error:
            return error
        return None

    with ThreadPoolExecutor(2) as pool:
        refused = list(pool.map(attempt, passwords))

    assert refused.count(None) == 1
    printed.clock.advance(minutes=1)
    printed.sign_in(password=passwords[refused.index(None)], new_password=None)
