"""backend/signers/known_browsers.py, on both databases."""

from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.access.sessions import forget_browsers
from backend.errors import TooManyTries
from backend.model.tables import Cell, KnownBrowser
from backend.signers.known_browsers import (
    LIFE,
    MOST_BROWSERS,
    count_try,
    forget_others,
    give_try_back,
    remember,
    tries_in,
)
from backend.signers.password import FREE_TRIES, Tries
from tests.world.clock import SettableClock
from tests.world.woken_phones import add_cell

NONE = Tries(used=0, last_at=None)


@pytest.fixture
def session(session_factory: sessionmaker[Session]) -> Iterator[Session]:
    with session_factory() as opened:
        yield opened


def a_signer(session: Session, clock: SettableClock) -> UUID:
    cell = add_cell(session, now=clock())
    signer = session.get_one(Cell, cell).signer_id
    session.commit()
    return signer


@pytest.fixture
def anna(session: Session, clock: SettableClock) -> UUID:
    return a_signer(session, clock)


def known(session: Session, signer: UUID, token: str, clock: SettableClock) -> Tries | None:
    return tries_in(session, signer=signer, unverified_token=token, now=clock())


def sign_in(session: Session, signer: UUID, clock: SettableClock, token: str = "") -> str:
    return remember(session, signer=signer, unverified_token=token, now=clock())


def test_a_browser_is_known_for_who_signed_in_there(
    session: Session, anna: UUID, clock: SettableClock
) -> None:
    boris = a_signer(session, clock)
    token = sign_in(session, anna, clock)

    assert known(session, anna, token, clock) == NONE
    assert known(session, boris, token, clock) is None
    for made_up in ("", "x", token[:-1] + "~", token.swapcase(), "x" * 10_000):
        assert known(session, anna, made_up, clock) is None
    with session.begin():
        assert token.encode() not in session.scalars(select(KnownBrowser.token_hash)).one()


def test_several_sign_in_in_one_browser(session: Session, anna: UUID, clock: SettableClock) -> None:
    boris = a_signer(session, clock)
    token = sign_in(session, anna, clock)

    assert sign_in(session, boris, clock, token) == token
    assert known(session, anna, token, clock) == known(session, boris, token, clock) == NONE


@pytest.mark.parametrize("token", ["", "short", "ж" * 43, "x" * 44])
def test_a_browser_that_brings_nothing_fit_gets_256_random_bits(
    session: Session, anna: UUID, clock: SettableClock, token: str
) -> None:
    first, second = (sign_in(session, anna, clock, token) for _ in range(2))

    assert len(first) == len(second) == 43
    assert first != second


def test_of_two_tries_at_once_one_counts(
    session: Session, anna: UUID, clock: SettableClock
) -> None:
    """T-16: parallel guesses are counted too."""
    token = sign_in(session, anna, clock)
    read = known(session, anna, token, clock)
    assert read is not None

    count_try(session, signer=anna, token=token, tries=read, now=clock())
    with pytest.raises(TooManyTries):
        count_try(session, signer=anna, token=token, tries=read, now=clock())

    assert known(session, anna, token, clock) == Tries(used=1, last_at=clock())


def test_a_try_that_was_not_checked_is_given_back(
    session: Session, anna: UUID, clock: SettableClock
) -> None:
    token = sign_in(session, anna, clock)
    count_try(session, signer=anna, token=token, tries=NONE, now=clock())
    for _ in range(2):
        give_try_back(session, signer=anna, token=token)

    assert known(session, anna, token, clock) == Tries(used=0, last_at=clock())


def test_a_right_password_forgets_what_was_wrong_there(
    session: Session, anna: UUID, clock: SettableClock
) -> None:
    token = sign_in(session, anna, clock)
    for used in range(FREE_TRIES):
        tries = Tries(used=used, last_at=clock())
        count_try(session, signer=anna, token=token, tries=tries, now=clock())
    sign_in(session, anna, clock, token)

    assert known(session, anna, token, clock) == NONE


def test_so_many_are_known_and_the_oldest_is_forgotten_first(
    session: Session, anna: UUID, clock: SettableClock
) -> None:
    boris = a_signer(session, clock)
    theirs = sign_in(session, boris, clock)
    tokens = []
    for _ in range(MOST_BROWSERS + 2):
        clock.advance(seconds=1)
        tokens.append(sign_in(session, anna, clock))

    alive = [token for token in tokens if known(session, anna, token, clock)]
    assert alive == tokens[2:]
    assert known(session, boris, theirs, clock)


def test_with_a_new_password_the_others_are_forgotten(
    session: Session, anna: UUID, clock: SettableClock
) -> None:
    first, second = sign_in(session, anna, clock), sign_in(session, anna, clock)
    forget_others(session, signer=anna, token=second)
    session.commit()

    assert known(session, anna, first, clock) is None
    assert known(session, anna, second, clock)


def test_after_half_a_year_a_browser_is_unknown_and_its_row_deleted(
    session: Session, anna: UUID, clock: SettableClock
) -> None:
    token = sign_in(session, anna, clock)
    clock.advance(seconds=int(LIFE.total_seconds()) - 1)
    assert forget_browsers(session, clock()) == 0
    assert known(session, anna, token, clock)
    clock.advance(seconds=1)

    assert known(session, anna, token, clock) is None
    assert forget_browsers(session, clock()) == 1
    assert known(session, uuid4(), token, clock) is None
