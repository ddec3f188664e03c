"""backend/delivery/sms_budgets.py: what texts may cost in a day (T-14), on both databases."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from uuid import UUID, uuid4

import msgspec
import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.orm import Session, sessionmaker

from backend.delivery.claiming import claim
from backend.delivery.desk import LEASE_SECONDS
from backend.delivery.dispatch import pack
from backend.delivery.outbox import enqueue_sms
from backend.delivery.outcomes import Ended, Never, Taken
from backend.delivery.recording import record
from backend.delivery.sms import CountedSms, OutgoingSms, Reports, SilentGateway
from backend.delivery.sms_budgets import SmsCounter, SmsRules, forget_budgets
from backend.delivery.sms_reports import SmsState
from backend.errors import DeliveryFailed, NotAnswered
from backend.model.steps import table_of
from backend.model.tables import OutboxMessage, RelyingParty, SmsBudget, Transaction
from backend.protocol.sms import open_sms
from tests.world.clock import SettableClock
from tests.world.texts import LIFE, NUMBER, Texts, channels_of, sealed
from tests.world.woken_phones import add_cell, add_transaction
from tests.world.worker import KEY, UNBOUNDED

Sessions = sessionmaker[Session]


class Till(SilentGateway):
    """A gateway that is paid for each part that it takes; fails as told."""

    def __init__(self) -> None:
        self.parts = 0
        self.numbers: Counter[str] = Counter()
        self.failures: list[Exception] = []

    async def send(self, sms: OutgoingSms) -> tuple[str, ...]:
        if self.failures:
            raise self.failures.pop(0)
        self.parts += len(sms.parts)
        self.numbers[sms.number] += 1
        return ()


@pytest.fixture
def texts(session_factory: Sessions, clock: SettableClock) -> Texts:
    return Texts(session_factory, clock)


def rules(**changed: int) -> SmsRules:
    return msgspec.structs.replace(UNBOUNDED, prefixes=("+79",), **changed)


def reasons(texts: Texts) -> Counter[str | None]:
    return Counter(row.last_error for row in texts.rows())


def spent(texts: Texts) -> dict[str, int]:
    with texts.sessions() as session:
        rows = session.execute(select(SmsBudget.payer, SmsBudget.parts)).all()
    return {row.payer.partition(":")[0]: row.parts for row in rows}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_t_14_ten_thousand_requests_over_neighbouring_numbers_cost_the_budget_and_no_more(
    session_factory: Sessions, clock: SettableClock
) -> None:
    """Owners of other numbers get their texts meanwhile; nothing is dropped without a reason."""
    texts = Texts(session_factory, clock)
    with session_factory.begin() as session:
        other = add_transaction(session, add_cell(session, now=clock()), now=clock())
    neighbours = [sealed("Code 1234 5678", f"+7900123{last:04}") for last in range(200)]
    owners = [sealed("Code 1234 5678", f"+7912{block:03}0001") for block in range(20)]
    requests = [(texts.transaction, neighbours[each % 200]) for each in range(10_000)]
    for place, owner in enumerate(owners):
        requests.insert(place * 500 + 250, (other, owner))
    _ask(session_factory, requests, now=clock())
    clock.advance(seconds=1)

    paid: Counter[str] = Counter()
    counter = SmsCounter(
        KEY, rules=rules(per_neighbourhood=300, per_number=45), reports=Reports.PARTS
    )
    while _take_turn(session_factory, counter, paid, now=clock()):
        pass
    owned = {f"+7912{block:03}0001" for block in range(20)}
    assert {number: paid[number] for number in owned} == dict.fromkeys(owned, 1)
    assert paid.total() == 300 + len(owned)
    assert reasons(texts) == {
        None: 320,
        "the number's neighbours had their texts of today": 9_700,
    }


def _ask(sessions: Sessions, requests: list[tuple[UUID, str]], *, now: datetime) -> None:
    rows = [
        {
            "id": uuid4(),
            "transaction_id": transaction,
            "channel": "sms",
            "sealed_sms": text,
            "attempts": 0,
            "due_at": now + timedelta(microseconds=place),
            "expires_at": now + LIFE,
        }
        for place, (transaction, text) in enumerate(requests)
    ]
    with sessions.begin() as session:
        session.execute(insert(table_of(OutboxMessage)), rows)
        session.execute(text("ANALYZE outbox"))  # as the database does by itself, a minute later


def _take_turn(
    sessions: Sessions, counter: SmsCounter, paid: Counter[str], *, now: datetime
) -> bool:
    """Claim, count and write down as the worker's desk does, but many at once."""
    with sessions.begin() as session:
        claimed = claim(session, worker=uuid4(), now=now, limit=500, lease_seconds=30)
        ended: list[Ended] = []
        for message in counter.count_texts(session, claimed, now=now):
            parcel = pack(message, channels_of(Till()))
            if isinstance(parcel, Never):
                ended.append(Ended(message=message, outcome=parcel))
                continue
            assert isinstance(message.errand, CountedSms)
            paid[open_sms(message.errand.sealed_sms, KEY).number] += 1
            ended.append(Ended(message=message, outcome=Taken()))
        record(session, ended, now=now)
    return bool(claimed)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"per_number": 3}, "the number had its texts of today"),
        ({"per_neighbourhood": 3}, "the number's neighbours had their texts of today"),
        ({"per_relying_party": 3}, "the relying party had its texts of today"),
        ({"per_day": 3}, "the installation had its texts of today"),
    ],
)
def test_each_budget_holds_by_itself_and_says_so(
    texts: Texts, limits: dict[str, int], reason: str
) -> None:
    till = Till()
    for _ in range(3):
        texts.add("ж" * 100)  # two parts
    texts.send(till, rules(**limits))
    assert till.parts == 2
    assert reasons(texts) == {None: 1, reason: 2}
    assert [row.sealed_sms for row in texts.rows()] == [None] * 3
    # Tomorrow is another day.
    texts.clock.set(texts.clock() + timedelta(days=1))
    texts.add("ж" * 100)
    texts.send(till, rules(**limits))
    assert till.parts == 4


def test_a_text_counts_in_all_its_budgets_or_in_none(texts: Texts) -> None:
    texts.add("a")
    texts.add("b")
    texts.send(Till(), rules(per_day=1))
    assert spent(texts) == {"number": 1, "neighbours": 1, "pairing": 1, "all": 1}


def test_who_wears_out_one_number_leaves_its_neighbour_alone(texts: Texts) -> None:
    till = Till()
    for number in [NUMBER] * 5 + [NUMBER[:-1] + "8"]:
        texts.add("Code", number)
    texts.send(till, rules(per_number=3))
    assert till.numbers == {NUMBER: 3, NUMBER[:-1] + "8": 1}


def test_relying_parties_have_budgets_of_their_own_and_pairings_have_one_too(
    texts: Texts, session_factory: Sessions
) -> None:
    till = Till()
    for party in (None, add_party(session_factory, texts), add_party(session_factory, texts)):
        with texts.sessions.begin() as session:
            cell = add_cell(session, now=texts.clock())
            transaction = add_transaction(session, cell, now=texts.clock())
            session.execute(
                update(Transaction)
                .where(Transaction.id == transaction)
                .values(relying_party_id=party)
            )
            for _ in range(2):
                enqueue_sms(
                    session,
                    transaction=transaction,
                    sealed_sms=sealed("Code"),
                    now=texts.clock(),
                    expires_at=texts.clock() + LIFE,
                )
    texts.send(till, rules(per_relying_party=1))
    assert till.parts == 3


def add_party(sessions: Sessions, texts: Texts) -> UUID:
    party = RelyingParty(
        id=uuid4(),
        client_id=str(uuid4()),
        name="Marketplace",
        secret_hash=bytes(32),
        created_at=texts.clock(),
        disabled_at=None,
    )
    with sessions.begin() as session:
        session.add(party)
    return party.id


@pytest.mark.parametrize("number", ["+78001234567", "+15005550006", "+7712345678"])
def test_a_number_that_begins_otherwise_gets_nothing(texts: Texts, number: str) -> None:
    till = Till()
    texts.add("Code", number)
    texts.send(till, rules())
    assert till.parts == 0
    assert spent(texts) == {}
    assert str(texts.row().last_error).endswith("CELLKEY_SMS_PREFIXES")
    assert number not in str(texts.row().last_error)


def test_a_text_of_too_many_parts_is_a_dead_letter_that_says_so(texts: Texts) -> None:
    texts.add("ж" * 202)
    texts.send(Till(), rules())
    assert texts.row().last_error == "a text has one to 3 parts, this one 4"


def test_a_text_that_was_surely_not_taken_keeps_its_place(texts: Texts) -> None:
    till = Till()
    till.failures = [DeliveryFailed("busy"), NotAnswered("nothing there")]
    texts.add("Code")
    for _ in range(3):
        texts.send(till, rules(per_day=1))
        texts.clock.advance(seconds=5)
    assert texts.row().last_error is None
    assert (till.parts, spent(texts)["all"]) == (1, 1)


def test_a_text_that_may_have_been_taken_is_counted_again(texts: Texts) -> None:
    """So a gateway that takes and does not answer costs no more than the budget."""
    till = Till()
    till.failures = [NotAnswered("silence", perhaps_taken=True) for _ in range(9)]
    texts.add("Code")
    for _ in range(9):
        texts.send(till, rules(per_day=3))
        texts.clock.advance(seconds=20)
    assert spent(texts)["all"] == 3
    assert texts.row().last_error == "the installation had its texts of today"


def test_a_text_in_the_hand_of_a_worker_that_died_is_counted_again(
    texts: Texts, session_factory: Sessions
) -> None:
    """Between submitting and writing it down nobody knows whether it was taken."""
    texts.add("Code")
    counter = SmsCounter(KEY, rules=rules(), reports=Reports.NOTHING)

    def take_up() -> None:
        with session_factory.begin() as session:
            claimed = claim(
                session,
                worker=uuid4(),
                now=texts.clock(),
                limit=10,
                lease_seconds=LEASE_SECONDS,
            )
            (message,) = counter.count_texts(session, claimed, now=texts.clock())
            assert isinstance(message.errand, CountedSms)

    take_up()
    assert spent(texts)["all"] == 1
    texts.clock.advance(seconds=LEASE_SECONDS)
    take_up()
    assert spent(texts)["all"] == 2


def test_workers_that_count_at_once_are_counted_one_after_the_other(
    texts: Texts, session_factory: Sessions
) -> None:
    at_once, each = 4, 12
    # Rows that are there already are not fought for by inserting them.
    texts.add("Code")
    texts.send(Till(), rules())
    for number in range(at_once * each):
        # Each worker's numbers in another order than the others'.
        texts.add("Code", f"+7900{number * 7 % 48:03}0001")
    together = Barrier(at_once)
    counter = SmsCounter(KEY, rules=rules(per_day=21), reports=Reports.PARTS)

    def work() -> int:
        with session_factory() as session:
            together.wait()
            claimed = claim(
                session, worker=uuid4(), now=texts.clock(), limit=each, lease_seconds=30
            )
            counted = counter.count_texts(session, claimed, now=texts.clock())
            session.commit()
        return sum(isinstance(message.errand, CountedSms) for message in counted)

    with ThreadPoolExecutor(at_once) as pool:
        counts = [future.result() for future in [pool.submit(work) for _ in range(at_once)]]
    assert sum(counts) == 20
    assert spent(texts)["all"] == 21


def test_no_row_says_whose_number_it_is(texts: Texts) -> None:
    texts.add("Code")
    texts.send(Till(), rules())
    with texts.sessions() as session:
        payers = list(session.scalars(select(SmsBudget.payer)))
    assert len(payers) == 4
    for payer in payers:
        assert NUMBER[1:-4] not in payer


def test_without_a_gateway_nothing_is_counted(texts: Texts) -> None:
    texts.add("Code")
    texts.send(None)
    assert spent(texts) == {}
    assert texts.progress().state is SmsState.FAILED
    assert texts.progress().reason == "there is no SMS gateway"


def test_days_that_are_over_are_forgotten(texts: Texts, session_factory: Sessions) -> None:
    texts.add("Code")
    texts.send(Till(), rules())
    with session_factory() as session:
        forget_budgets(session, texts.clock() + timedelta(days=2))
        assert spent(texts) != {}
        forget_budgets(session, texts.clock() + timedelta(days=3))
    assert spent(texts) == {}
