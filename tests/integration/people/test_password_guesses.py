"""Simulated attackers: a million guesses of passwords by the counters of rows (T-16, T-21).

One comes each second. Within a pause only its last moment is tried: the row is the same for all.
SAM and Argon2 are not asked, so that the counters alone decide.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from backend.errors import TooManyTries
from backend.model.tables import Cell, Signer
from backend.signers import known_browsers, password
from backend.signers.password import FREE_TRIES, LONGEST_PAUSE_SECONDS, Tries
from backend.wiring import make_engine, make_session_factory
from tests.world.clock import SettableClock
from tests.world.woken_phones import add_cell

GUESSES: Final = 1_000_000
DAY: Final = 24 * 3600
MOST_A_DAY: Final = FREE_TRIES + 10 + DAY // LONGEST_PAUSE_SECONDS
"""Pauses double ten times before they are the longest: 111 of 86 400 are judged."""


@dataclass(kw_only=True)
class Victim:
    """A row where tries count, and the functions that do it."""

    clock: SettableClock
    read: Callable[[], Tries]
    count: Callable[[Tries], None]
    sign_in: Callable[[], object]
    """What follows a right password."""

    def guessed(self) -> bool:
        """Whether a guess of now comes before the judge."""
        return self.counted(self.read())

    def counted(self, read: Tries) -> bool:
        """The same for who has read the row before."""
        try:
            password.refuse_paused(read, now=self.clock())
            self.count(read)
        except TooManyTries:
            return False
        return True


@pytest.fixture
def session(sqlite_url: str) -> Iterator[Session]:
    engine = make_engine(sqlite_url)
    with make_session_factory(engine)() as opened:
        yield opened
    engine.dispose()


@pytest.fixture
def signer(session: Session, clock: SettableClock) -> UUID:
    found = session.get_one(Cell, add_cell(session, now=clock())).signer_id
    session.commit()
    return found


@pytest.fixture(params=["the signer's", "a known browser's"])
def victim(
    request: pytest.FixtureRequest, session: Session, signer: UUID, clock: SettableClock
) -> Victim:
    """Each of the two counters of a sign-in."""
    if request.param == "the signer's":
        return of_signer(session, signer, clock)
    return of_browser(session, signer, clock)


def of_signer(session: Session, signer: UUID, clock: SettableClock) -> Victim:
    def read() -> Tries:
        row = session.get_one(Signer, signer, populate_existing=True)
        found = Tries(used=row.password_tries, last_at=row.password_tried_at)
        session.commit()
        return found

    return Victim(
        clock=clock,
        read=read,
        count=lambda read: password.count_try(session, signer=signer, tries=read, now=clock()),
        sign_in=lambda: password.forget_tries(session, signer=signer),
    )


def of_browser(session: Session, signer: UUID, clock: SettableClock) -> Victim:
    def remember(token: str) -> str:
        return known_browsers.remember(session, signer=signer, unverified_token=token, now=clock())

    token = remember("")

    def read() -> Tries:
        found = known_browsers.tries_in(session, signer=signer, unverified_token=token, now=clock())
        assert found is not None
        return found

    return Victim(
        clock=clock,
        read=read,
        count=lambda read: known_browsers.count_try(
            session, signer=signer, token=token, tries=read, now=clock()
        ),
        sign_in=lambda: remember(token),
    )


def judged(victim: Victim, *, rest: int = 0) -> list[int]:
    """The seconds of those that were judged; after each fifteenth the attacker rests so long."""
    began, now, moments = victim.clock(), 0, list[int]()
    read = victim.read()
    while now < GUESSES:
        victim.clock.set(began + timedelta(seconds=now))
        assert victim.counted(read)
        assert not victim.counted(read)  # another that ran at once
        moments.append(now)
        read = victim.read()
        pause = password.pause_seconds(read.used)
        if pause > 1:
            victim.clock.set(began + timedelta(seconds=now + pause - 1))
            assert not victim.counted(read)
        now += max(pause, 1) + (rest if len(moments) % 15 == 0 else 0)
    return moments


def most_in_a_day(moments: list[int]) -> int:
    """Most of them in any 24 hours."""
    return max(
        sum(moment - DAY < each <= moment for each in moments[max(0, at - 200) : at + 1])
        for at, moment in enumerate(moments)
    )


@pytest.mark.parametrize("rest", [0, DAY], ids=["all the time", "until all is forgotten"])
def test_t_16_of_a_million_guesses_of_a_password_few_are_judged_and_the_owner_goes_on(
    victim: Victim, rest: int
) -> None:
    """Whoever waits until tries are forgotten gets fewer than who never rests."""
    moments = judged(victim, rest=rest)

    most = most_in_a_day(moments)
    assert (FREE_TRIES < most < 20) if rest else (most > DAY // LONGEST_PAUSE_SECONDS)
    assert most <= MOST_A_DAY
    assert len(moments) <= MOST_A_DAY * -(-GUESSES // DAY)
    victim.clock.advance(seconds=LONGEST_PAUSE_SECONDS)
    assert victim.guessed()
    victim.sign_in()
    assert victim.read().used == 0
    assert victim.guessed()
