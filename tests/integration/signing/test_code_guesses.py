"""Simulated attackers: a million guesses of codes by the real limits, in days that pass quickly.

What an attacker wins follows from the limits alone: each guess that is *looked at* wins with the
probability of its code, whatever was guessed; and then the password is still to be found. T-15,
ASVS 6.6.3: at most 10⁻⁶ for an account in a day.
"""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import pytest
from sqlalchemy import update

from backend.errors import TooManyTries, WrongCode
from backend.model.tables import Transaction, TransactionState
from backend.protocol.codes import DIGITS
from backend.sam.code_approvals import TRIES_A_DAY
from backend.sam.codes import TRIES
from backend.sam.hotp import LOOK_AHEAD, LOOK_AHEAD_OF_TWO
from backend.sam.totp import STEPS_AROUND
from backend.sam.tries import Tries
from backend.signing.code_asked import MOST_TRIES, MOST_TRIES_A_DAY, read_asked
from backend.signing.code_tries import count_try
from tests.world.code_world import CodeWorld, open_code_world
from tests.world.sam import open_sam_world
from tests.world.signing_world import SigningWorld, hashes

pytestmark = pytest.mark.sms

MOST_WON: Final = 1e-6
PER_SMS_GUESS: Final = 1 / 10**DIGITS
PER_TOTP_GUESS: Final = (2 * STEPS_AROUND + 1) / 10**DIGITS
PER_HOTP_GUESS: Final = LOOK_AHEAD / 10**DIGITS
PER_GUESS_OF_TWO: Final = LOOK_AHEAD_OF_TWO / 10.0 ** (2 * DIGITS)
PER_GUESS: Final = max(PER_SMS_GUESS, PER_TOTP_GUESS, PER_HOTP_GUESS, PER_GUESS_OF_TWO)
GUESSES: Final = 1_000_000
DAY: Final = 24 * 3600


@pytest.fixture
def victim(world_on_sqlite: SigningWorld) -> CodeWorld:
    world = world_on_sqlite
    return open_code_world(world.sam, world.sessions, world.clock, phone=True, login="boris")


def most_in_a_day(moments: list[int]) -> int:
    """Most guesses that were looked at in any 24 hours."""
    most, first = 0, 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - DAY:
            first += 1
        most = max(most, last - first + 1)
    return most


def won_in_a_day(moments: list[int]) -> float:
    """The chance to have found a code, by the best of the ways: a guess is made by one of them."""
    return most_in_a_day(moments) * PER_GUESS


def test_the_database_and_the_sam_have_the_same_limits() -> None:
    assert (MOST_TRIES, MOST_TRIES_A_DAY) == (TRIES, TRIES_A_DAY)
    assert 2 * TRIES_A_DAY <= 20  # T-15: for an account in a day


@pytest.mark.parametrize("every", [1, 61])
def test_of_a_million_guesses_the_sam_looks_at_so_few_that_none_is_likely_right(every: int) -> None:
    """By its memory alone, at one account, on as many transactions as anybody opens.

    A guess comes each so many seconds, for twelve days.
    """
    of_ask, of_day = Tries(allowed=TRIES), Tries(allowed=TRIES_A_DAY)
    looked_at: list[int] = []
    for guess in range(GUESSES // every):
        now = guess * every
        try:
            of_ask.count(guess // 2, until=now + 600, now=now)
            of_day.count("the cell", until=now + DAY, now=now)
        except TooManyTries:
            continue
        looked_at.append(now)
    assert looked_at
    assert won_in_a_day(looked_at) <= MOST_WON


def test_of_guesses_that_wait_for_the_days_edge_the_database_looks_at_no_more(
    victim: CodeWorld,
) -> None:
    """By the database alone, at the worst moments: just before a day is over, and just after."""
    started = victim.clock()
    looked_at: list[int] = []
    edges = [0, DAY - 600, DAY, 2 * DAY - 600, 2 * DAY, 2 * DAY + 600, 3 * DAY]
    for edge in edges:
        victim.clock.set(started + timedelta(seconds=edge))
        for place in range(3):
            moment = edge + place
            looked_at += [moment] * guessed(victim, started + timedelta(seconds=moment))
    assert len(looked_at) > TRIES_A_DAY
    assert won_in_a_day(looked_at) <= MOST_WON


@pytest.mark.parametrize("kept_for_the_end", [0, MOST_TRIES_A_DAY - 1], ids=["first", "last"])
def test_t_15_of_a_million_guesses_the_database_looks_at_twenty_a_day_and_the_owner_goes_on(
    victim: CodeWorld, kept_for_the_end: int
) -> None:
    """By its counter of the day alone, one guess each second, each at a new ask: for twelve days.

    Between a refusal and the end of the day nothing changes, so the clock goes on to its last
    seconds. In the one case all is guessed when a day begins; in the other every second day keeps
    all but one for its end, so that those of two days meet.
    """
    asked, far = victim.world.request(*hashes(1)).id, victim.clock() + timedelta(days=60)
    victim.world.overwrite(
        lambda session: session.execute(update(Transaction).values(expires_at=far, use_by=far))
    )
    began = victim.clock()
    looked_at: list[int] = []

    def until_refused(now: int, *, most: int) -> None:
        """Guess each second, until it is refused or there were as many."""
        for moment in range(now, now + most):
            if not guessed_once(victim, asked, began + timedelta(seconds=moment)):
                return
            looked_at.append(moment)

    for number, day in enumerate(range(0, GUESSES, DAY)):
        kept = 0 if number % 2 else kept_for_the_end
        until_refused(day, most=1 if kept else MOST_TRIES_A_DAY + 1)
        until_refused(day + DAY - 1 - kept, most=kept + 1)
    most = most_in_a_day(looked_at)

    assert len(looked_at) == MOST_TRIES_A_DAY * -(-GUESSES // DAY)
    assert most == MOST_TRIES_A_DAY + kept_for_the_end <= 2 * MOST_TRIES_A_DAY
    assert won_in_a_day(looked_at) <= MOST_WON
    assert guessed_once(victim, asked, began + timedelta(seconds=day + DAY))  # the owner's


def guessed_once(victim: CodeWorld, transaction: UUID, now: datetime) -> bool:
    """Whether the database lets one guess through, at an ask that has tries left."""
    with victim.world.sessions() as session:
        session.execute(update(Transaction).values(code_tries=0))
        session.commit()
        asked = read_asked(session, transaction=transaction, signer=victim.id)
        return count_try(session, asked, now=now) is not None


def guessed(victim: CodeWorld, now: datetime) -> int:
    """How many of some guesses at one transaction the database lets through."""
    victim.world.overwrite(
        lambda session: session.execute(
            update(Transaction).values(state=TransactionState.EXPIRED.value)
        )
    )
    requested = victim.world.request(*hashes(1))
    let_through = 0
    for _ in range(6):
        with victim.world.sessions() as session:
            asked = read_asked(session, transaction=requested.id, signer=victim.id)
            let_through += count_try(session, asked, now=now) is not None
    return let_through


def test_guesses_by_the_whole_way_end_and_the_owner_goes_on(victim: CodeWorld) -> None:
    """T-21: what the attacker used up is the way by code, for a day; the phone approves on."""
    wrong = 0
    for place in range(6):
        requested = victim.world.request(*hashes(1, seed=str(place)))
        victim.wait_for_sms()
        fresh = open_sam_world(victim.world.sam.hsm, victim.clock).sam
        for _ in range(5):
            try:
                victim.approve(requested.id, "00000000", sam=fresh)
            except WrongCode:
                wrong += 1
            except TooManyTries:
                continue
        victim.world.approve(requested.id)
    assert wrong == MOST_TRIES_A_DAY
    assert victim.ways(victim.world.request(*hashes(1)).id).sms.why_not == "used_up"

    victim.clock.advance(days=1)
    requested = victim.world.request(*hashes(1))
    victim.wait_for_sms()
    assert victim.approve(requested.id) is TransactionState.APPROVED
