"""backend/delivery/outbox.py, claiming.py and recording.py, on both databases."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import update

from backend.delivery.errands import SmsErrand
from backend.delivery.outbox import MOST_ATTEMPTS, Channel, enqueue_push, enqueue_sms
from backend.delivery.outcomes import Never, Taken
from backend.delivery.subscriptions import drop_subscription
from backend.model.tables import OutboxMessage, PushSubscription, TransactionState
from tests.world.clock import SettableClock
from tests.world.outbox import OTHER_WORKER, Outbox, Sessions
from tests.world.woken_phones import LIFE, add_cell, add_phone

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
    assert [message.errand for message in first + second] == [
        SmsErrand(sealed_sms=f"sealed {number}", asked_by=None, is_counted=False)
        for number in range(4)
    ]


def test_nothing_is_claimed_before_it_is_due_nor_after_it_expired(
    outbox: Outbox, clock: SettableClock
) -> None:
    outbox.text()
    clock.advance(seconds=-1)
    assert outbox.claim() == []
    clock.advance(seconds=1 + LIFE.total_seconds())
    assert outbox.claim() == []


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
        outbox.record((message, Taken()))
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
    outbox.record((mine, Taken()))
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
    outbox.record((message, Never("no gateway")))
    outbox.record((message, Taken()))
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
