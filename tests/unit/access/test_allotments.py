"""backend/access/allotments.py: one limit, however many processes spend it, on both databases."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session, sessionmaker

from backend.access.allotments import ALLOTMENTS, HELD, Allotments, Counted
from backend.access.relying_parties import add_relying_party
from backend.access.turns import MINUTE, forget_rates
from backend.errors import TooManyRequests
from backend.model.tables import AskingRate, RelyingParty
from tests.world.clock import SettableClock
from tests.world.statements import counted

Sessions = sessionmaker[Session]


class Process:
    """What one process spends."""

    def __init__(
        self, sessions: Sessions, clock: SettableClock, party: UUID, *, per_minute: int
    ) -> None:
        self.sessions, self.clock, self.party = sessions, clock, party
        self.allotments = Allotments(Counted.CALLS, per_minute=per_minute, what="calls")

    def call(self) -> None:
        with self.sessions() as session:
            self.allotments.take(session, self.party, now=self.clock())

    def passed(self, times: int = 100_000) -> int:
        """Call until it is refused; how many times it was not."""
        for count in range(times):
            try:
                self.call()
            except TooManyRequests:
                return count
        return times

    def refused(self) -> int:
        """Call, be refused; gives how long to wait."""
        with pytest.raises(TooManyRequests, match="too many calls in a minute") as error:
            self.call()
        return error.value.retry_after_seconds


def add_party(sessions: Sessions, clock: SettableClock, client_id: str = "shop") -> UUID:
    with sessions() as session:
        add_relying_party(session, name="Shop", client_id=client_id, now=clock())
        found = select(RelyingParty.id).where(RelyingParty.client_id == client_id)
        return session.scalars(found).one()


Start = Callable[..., Process]


@pytest.fixture
def start(session_factory: Sessions, clock: SettableClock) -> Start:
    """Starts a process that answers the one relying party."""
    party = add_party(session_factory, clock)

    def start(*, per_minute: int, party: UUID = party) -> Process:
        return Process(session_factory, clock, party, per_minute=per_minute)

    return start


def test_a_minutes_calls_are_let_in_and_no_more(start: Start) -> None:
    process = start(per_minute=700)

    assert process.passed() == 700
    assert process.refused() == 1


def test_a_restart_gives_no_fresh_budget(start: Start) -> None:
    """What a process dies with is at most one allotment; it is not spent twice."""
    first = start(per_minute=2000)
    assert first.passed(times=1234) == 1234
    left = start(per_minute=2000).passed()

    assert 2000 - 1234 - 2000 // ALLOTMENTS < left <= 2000 - 1234


def test_processes_together_are_let_in_exactly_so_often(start: Start) -> None:
    """Each with threads of its own, all at once."""
    processes = [start(per_minute=1000) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda number: processes[number % 4].passed(), range(8)))

    assert sum(counts) == 1000


def test_waiting_as_long_as_it_says_is_enough(start: Start, clock: SettableClock) -> None:
    one, other = start(per_minute=6), start(per_minute=6)
    assert one.passed() == 6
    seconds = [other.refused(), one.refused()]
    assert seconds == [10, 10]
    clock.advance(seconds=9)
    assert [one.refused(), other.refused()] == [1, 1]
    clock.advance(seconds=1)
    assert other.passed() == 1
    assert one.passed() == 0


def test_who_waits_a_minute_has_all_of_it_again(start: Start, clock: SettableClock) -> None:
    process = start(per_minute=600)
    assert process.passed() == 600
    clock.advance(seconds=61)
    assert process.passed() == 600


def test_a_call_costs_a_fraction_of_a_statement(start: Start, engine: Engine) -> None:
    process = start(per_minute=60_000)
    with counted(engine) as calling:
        assert process.passed(times=900) == 900

    assert len(calling.texts) == 3


def test_who_is_refused_costs_no_statement(
    start: Start, engine: Engine, clock: SettableClock
) -> None:
    process = start(per_minute=10)
    process.passed()
    with counted(engine) as calling:
        for _ in range(100):
            process.refused()
    assert calling.texts == []
    clock.advance(seconds=6)
    assert process.passed() == 1


def test_what_was_not_spent_goes_back(start: Start, clock: SettableClock) -> None:
    """Who calls seldom, at many processes, is not refused for what these keep ready."""
    processes = [start(per_minute=60_000) for _ in range(12)]
    for _ in range(6):
        for process in processes:
            process.call()
        clock.advance(seconds=HELD.total_seconds())
    with processes[0].sessions() as session:
        spent = session.scalar(select(AskingRate.spent_until))
    lead = (spent or 0) - int(clock().timestamp()) * 1_000_000

    assert lead <= 0


def test_what_is_held_too_long_is_not_spent_beside_a_whole_minute(
    start: Start, clock: SettableClock
) -> None:
    process = start(per_minute=2000)
    process.call()
    clock.advance(hours=1)
    assert process.passed() == 2000


def test_relying_parties_and_kinds_do_not_meet(
    start: Start, session_factory: Sessions, clock: SettableClock
) -> None:
    shop = start(per_minute=3)
    bank = start(per_minute=3, party=add_party(session_factory, clock, "bank"))
    shop.passed()
    tokens = start(per_minute=2)
    tokens.allotments = Allotments(Counted.TOKENS, per_minute=2, what="tokens")

    assert bank.passed() == 3
    assert tokens.passed() == 2


def test_a_row_that_no_clock_can_have_written_counts_as_none(
    start: Start, session_factory: Sessions
) -> None:
    """T-18, T-21."""
    start(per_minute=5).passed()
    with session_factory.begin() as session:
        session.execute(update(AskingRate).values(spent_until=AskingRate.spent_until + 60 * MINUTE))

    assert start(per_minute=5).passed() == 5


def test_a_clock_that_is_set_back_puts_nobody_off_for_long(
    start: Start, clock: SettableClock
) -> None:
    process = start(per_minute=5)
    clock.advance(hours=1)
    process.passed()
    clock.advance(hours=-1)

    assert process.passed() == 5


def test_the_worker_deletes_rows_that_say_nothing_any_more(
    start: Start, session_factory: Sessions, clock: SettableClock
) -> None:
    start(per_minute=5).passed()
    clock.advance(seconds=61)
    with session_factory() as session:
        assert forget_rates(session, clock()) == 1
    assert start(per_minute=5).passed() == 5


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    per_minute=st.integers(1, 900),
    calls=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40), st.floats(0, 30)), max_size=8),
)
def test_whenever_who_calls_no_interval_has_more_than_its_share(
    session_factory: Sessions,
    clock: SettableClock,
    per_minute: int,
    calls: list[tuple[int, int, float]],
) -> None:
    """A minute's turns, what time gives back, and what was taken before and is still held."""
    party = add_party(session_factory, clock, f"shop-{clock().timestamp()}")
    here = [Process(session_factory, clock, party, per_minute=per_minute) for _ in range(3)]
    made: list[float] = []
    for who, times, pause in calls:
        made += [clock().timestamp()] * here[who].passed(times=times)
        clock.advance(seconds=pause)
    held = len(here) * max(1, per_minute // ALLOTMENTS)
    for first, began in enumerate(made):
        for last in range(first, len(made)):
            share = per_minute + per_minute * (made[last] - began) / 60
            assert last - first + 1 <= share + held + 1
    clock.advance(seconds=timedelta(minutes=2).total_seconds())
