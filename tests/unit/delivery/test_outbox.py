"""backend/delivery/outbox.py, on both databases."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from backend.delivery.errands import PushErrand, SmsErrand, look_up
from backend.delivery.outbox import (
    MOST_ATTEMPTS,
    Channel,
    ClaimedMessage,
    bury,
    bury_message,
    claim,
    enqueue_push,
    enqueue_sms,
    mark_failed,
    mark_sent,
)
from backend.delivery.subscriptions import drop_subscription
from backend.model.tables import OutboxMessage, PushSubscription, Transaction, TransactionState
from tests.world.clock import SettableClock
from tests.world.woken_phones import LIFE, add_cell, add_phone, add_transaction

WORKER, OTHER_WORKER = uuid4(), uuid4()
Sessions = sessionmaker[Session]


@pytest.fixture
def cell(session_factory: Sessions, clock: SettableClock) -> UUID:
    with session_factory.begin() as session:
        return add_cell(session, now=clock())


@pytest.fixture
def transaction(session_factory: Sessions, cell: UUID, clock: SettableClock) -> UUID:
    with session_factory.begin() as session:
        return add_transaction(session, cell, now=clock())


@pytest.fixture
def phone(session_factory: Sessions, cell: UUID, clock: SettableClock) -> bytes:
    with session_factory.begin() as session:
        return add_phone(session, cell, now=clock())


class Outbox:
    """The outbox of one transaction, a commit for each step."""

    def __init__(
        self, sessions: Sessions, *, transaction: UUID, cell: UUID, clock: SettableClock
    ) -> None:
        self.sessions = sessions
        self.transaction = transaction
        self.cell = cell
        self.clock = clock

    def push(self) -> None:
        with self.sessions.begin() as session:
            enqueue_push(
                session,
                transaction=self.transaction,
                cell=self.cell,
                now=self.clock(),
                expires_at=self.clock() + LIFE,
            )

    def text(self, sealed_sms: str = "sealed") -> None:
        with self.sessions.begin() as session:
            enqueue_sms(
                session,
                transaction=self.transaction,
                sealed_sms=sealed_sms,
                now=self.clock(),
                expires_at=self.clock() + LIFE,
            )

    def claim(self, worker: UUID = WORKER, *, limit: int = 100) -> list[ClaimedMessage]:
        with self.sessions.begin() as session:
            return claim(session, worker=worker, now=self.clock(), limit=limit, lease_seconds=30)

    def fail(self, message: ClaimedMessage, *, retry_after_seconds: int | None = None) -> None:
        with self.sessions.begin() as session:
            mark_failed(
                session,
                message,
                now=self.clock(),
                reason="answered 503",
                retry_after_seconds=retry_after_seconds,
            )

    def bury(self) -> int:
        with self.sessions.begin() as session:
            return bury(session, now=self.clock())

    def rows(self) -> list[OutboxMessage]:
        with self.sessions() as session:
            return list(session.scalars(select(OutboxMessage)))

    def row(self) -> OutboxMessage:
        (row,) = self.rows()
        return row

    def end_transaction(self, state: TransactionState) -> None:
        with self.sessions.begin() as session:
            session.execute(update(Transaction).values(state=state.value))

    def read_transaction(self) -> Transaction:
        with self.sessions() as session:
            return session.get_one(Transaction, self.transaction)


@pytest.fixture
def outbox(
    session_factory: Sessions, transaction: UUID, cell: UUID, clock: SettableClock
) -> Outbox:
    return Outbox(session_factory, transaction=transaction, cell=cell, clock=clock)


# --- adding -------------------------------------------------------------------


def test_each_phone_that_can_be_woken_gets_one_message(
    outbox: Outbox, session_factory: Sessions, cell: UUID, clock: SettableClock
) -> None:
    with session_factory.begin() as session:
        woken = {add_phone(session, cell, now=clock()) for _ in range(3)}
        add_phone(session, cell, now=clock(), endpoint=None)
        add_phone(session, cell, now=clock(), removed_at=clock())
        add_phone(session, cell, now=clock(), removal_asked_at=clock())
        add_phone(session, add_cell(session, now=clock()), now=clock())
    outbox.push()
    rows = outbox.rows()
    assert {row.kid for row in rows} == woken
    assert len({row.id for row in rows}) == 3
    assert {(row.channel, row.attempts, row.due_at) for row in rows} == {("push", 0, clock())}


def test_a_cell_without_phones_adds_nothing_and_is_no_error(outbox: Outbox) -> None:
    outbox.push()
    assert outbox.rows() == []


def test_a_message_whose_reason_is_rolled_back_was_never_there(
    outbox: Outbox, session_factory: Sessions, phone: bytes, clock: SettableClock
) -> None:
    with session_factory() as session:
        enqueue_push(
            session,
            transaction=outbox.transaction,
            cell=outbox.cell,
            now=clock(),
            expires_at=clock() + LIFE,
        )
        enqueue_sms(
            session,
            transaction=outbox.transaction,
            sealed_sms="sealed",
            now=clock(),
            expires_at=clock() + LIFE,
        )
        session.rollback()
    assert outbox.rows() == []


# --- claiming -----------------------------------------------------------------


def test_a_claimed_message_is_nobody_elses_until_its_lease_is_over(
    outbox: Outbox, phone: bytes, clock: SettableClock
) -> None:
    outbox.push()
    (mine,) = outbox.claim()
    assert (mine.channel, mine.kid, mine.attempts) == (Channel.PUSH, phone, 1)
    assert outbox.claim(OTHER_WORKER) == []
    clock.advance(seconds=30)
    (theirs,) = outbox.claim(OTHER_WORKER)
    assert (theirs.id, theirs.attempts, theirs.leased_by) == (mine.id, 2, OTHER_WORKER)


def test_no_more_is_claimed_than_can_be_sent_and_the_longest_due_first(
    outbox: Outbox, clock: SettableClock
) -> None:
    for number in range(5):
        outbox.text(f"sealed {number}")
        clock.advance(seconds=1)
    first = outbox.claim(limit=2)
    second = outbox.claim(limit=2)
    assert [message.sealed_sms for message in first + second] == [
        f"sealed {number}" for number in range(4)
    ]


def test_nothing_is_claimed_before_it_is_due_nor_after_it_expired(
    outbox: Outbox, clock: SettableClock
) -> None:
    outbox.text()
    clock.advance(seconds=-1)
    assert outbox.claim() == []
    clock.advance(seconds=1 + LIFE.total_seconds())
    assert outbox.claim() == []


# --- just before sending ------------------------------------------------------


def test_a_wake_up_is_addressed_by_what_the_row_says_now(
    outbox: Outbox, session_factory: Sessions, phone: bytes, clock: SettableClock
) -> None:
    outbox.push()
    (message,) = outbox.claim()
    with session_factory.begin() as session:
        session.execute(update(PushSubscription).values(endpoint="https://push.cellkey.test/new"))
    with session_factory.begin() as session:
        errand = look_up(session, message, now=clock())
    assert isinstance(errand, PushErrand)
    assert (errand.unverified_endpoint, errand.lang) == ("https://push.cellkey.test/new", "en")
    assert outbox.read_transaction().sent_at == clock()


@pytest.mark.parametrize(
    "state", [state for state in TransactionState if state is not TransactionState.PENDING]
)
def test_nothing_is_sent_for_a_transaction_that_is_over(
    outbox: Outbox, session_factory: Sessions, clock: SettableClock, state: TransactionState
) -> None:
    outbox.text()
    (message,) = outbox.claim()
    outbox.end_transaction(state)
    with session_factory.begin() as session:
        assert look_up(session, message, now=clock()) is None
    row = outbox.row()
    assert (row.dead_at, row.sealed_sms) == (clock(), None)
    assert row.last_error == f"the transaction is {state.value}"
    assert outbox.read_transaction().sent_at is None


def test_a_phone_that_was_removed_meanwhile_is_not_woken(
    outbox: Outbox, session_factory: Sessions, cell: UUID, phone: bytes, clock: SettableClock
) -> None:
    outbox.push()
    (message,) = outbox.claim()
    with session_factory.begin() as session:
        assert drop_subscription(
            session, kid=phone, unverified_endpoint="https://push.cellkey.test/wpush/v2/phone"
        )
    with session_factory.begin() as session:
        assert look_up(session, message, now=clock()) is None
    assert outbox.row().last_error == "the phone has no subscription"


def test_a_text_keeps_its_seal_until_it_is_sent(
    outbox: Outbox, session_factory: Sessions, clock: SettableClock
) -> None:
    outbox.text("sealed to the worker")
    (message,) = outbox.claim()
    with session_factory.begin() as session:
        errand = look_up(session, message, now=clock())
    assert errand == SmsErrand(sealed_sms="sealed to the worker")
    with session_factory.begin() as session:
        mark_sent(session, message, now=clock())
    row = outbox.row()
    assert (row.sent_at, row.sealed_sms, row.leased_by) == (clock(), None, None)
    assert outbox.read_transaction().delivered_at is None


# --- afterwards ---------------------------------------------------------------


def test_what_the_push_service_took_counts_as_delivered_at_its_first_time(
    outbox: Outbox, session_factory: Sessions, cell: UUID, clock: SettableClock
) -> None:
    with session_factory.begin() as session:
        add_phone(session, cell, now=clock())
        add_phone(session, cell, now=clock())
    outbox.push()
    first = clock()
    for message in outbox.claim():
        with session_factory.begin() as session:
            look_up(session, message, now=clock())
            mark_sent(session, message, now=clock())
        clock.advance(seconds=5)
    row = outbox.read_transaction()
    assert (row.sent_at, row.delivered_at) == (first, first)
    assert outbox.claim() == []


def test_sent_is_sent_though_the_lease_was_lost(
    outbox: Outbox, session_factory: Sessions, clock: SettableClock
) -> None:
    outbox.text()
    (mine,) = outbox.claim()
    clock.advance(seconds=31)
    outbox.claim(OTHER_WORKER)
    with session_factory.begin() as session:
        mark_sent(session, mine, now=clock())
    clock.advance(seconds=31)
    assert outbox.claim() == []


def test_who_lost_the_lease_cannot_postpone_the_message(
    outbox: Outbox, clock: SettableClock
) -> None:
    outbox.text()
    (mine,) = outbox.claim()
    clock.advance(seconds=31)
    outbox.claim(OTHER_WORKER)
    outbox.fail(mine)
    assert outbox.row().leased_by == OTHER_WORKER


def test_a_failure_is_tried_again_after_what_the_service_asked_for(
    outbox: Outbox, clock: SettableClock
) -> None:
    outbox.text()
    (message,) = outbox.claim()
    outbox.fail(message, retry_after_seconds=60)
    row = outbox.row()
    assert clock() + timedelta(seconds=60) < row.due_at <= clock() + timedelta(seconds=61)
    assert (row.last_error, row.lease_until) == ("answered 503", None)
    clock.advance(seconds=60)
    assert outbox.claim() == []
    clock.advance(seconds=1)
    assert [again.id for again in outbox.claim()] == [message.id]


def test_after_its_last_attempt_a_message_is_a_dead_letter(
    outbox: Outbox, clock: SettableClock, session_factory: Sessions
) -> None:
    outbox.text()
    with session_factory.begin() as session:
        session.execute(update(OutboxMessage).values(attempts=MOST_ATTEMPTS - 1))
    (message,) = outbox.claim()
    outbox.fail(message)
    row = outbox.row()
    assert (row.dead_at, row.last_error, row.sealed_sms) == (clock(), "answered 503", None)
    assert outbox.claim() == []


def test_a_message_that_could_only_come_too_late_is_not_tried_again(
    outbox: Outbox, clock: SettableClock
) -> None:
    outbox.text()
    (message,) = outbox.claim()
    outbox.fail(message, retry_after_seconds=int(LIFE.total_seconds()))
    assert outbox.row().dead_at == clock()


def test_a_message_that_kills_each_worker_is_buried_in_the_end(
    outbox: Outbox, clock: SettableClock, session_factory: Sessions
) -> None:
    outbox.text()
    with session_factory.begin() as session:
        session.execute(update(OutboxMessage).values(expires_at=clock() + timedelta(days=1)))
    for attempt in range(1, MOST_ATTEMPTS + 1):
        (message,) = outbox.claim()
        assert message.attempts == attempt
        assert outbox.bury() == 0
        clock.advance(seconds=30)
    assert outbox.claim() == []
    assert outbox.bury() == 1
    assert outbox.row().dead_at == clock()


def test_what_expired_unsent_is_buried_without_its_text(
    outbox: Outbox, clock: SettableClock
) -> None:
    outbox.text()
    assert outbox.bury() == 0
    clock.advance(seconds=LIFE.total_seconds())
    assert outbox.bury() == 1
    row = outbox.row()
    assert (row.dead_at, row.sealed_sms, row.last_error) == (clock(), None, "too late, or over")
    assert outbox.bury() == 0


def test_what_waits_for_a_transaction_that_is_over_is_buried_but_not_while_it_is_sent(
    outbox: Outbox, clock: SettableClock
) -> None:
    outbox.text()
    outbox.claim()
    outbox.end_transaction(TransactionState.REJECTED)
    assert outbox.bury() == 0
    clock.advance(seconds=30)
    assert outbox.bury() == 1


def test_a_dead_letter_stays_dead(
    outbox: Outbox, session_factory: Sessions, clock: SettableClock
) -> None:
    outbox.text()
    (message,) = outbox.claim()
    with session_factory.begin() as session:
        bury_message(session, message, now=clock(), reason="no gateway")
    with session_factory.begin() as session:
        mark_sent(session, message, now=clock())
    row = outbox.row()
    assert (row.sent_at, row.last_error) == (None, "no gateway")


def test_a_subscription_that_was_renewed_meanwhile_is_not_dropped(
    session_factory: Sessions, phone: bytes
) -> None:
    with session_factory.begin() as session:
        assert not drop_subscription(
            session, kid=phone, unverified_endpoint="https://push.cellkey.test/the-old-one"
        )
    with session_factory() as session:
        assert session.get(PushSubscription, phone) is not None
