"""backend/delivery/claiming.py: what is left to do is asked as it is claimed, on both databases."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, update

from backend.delivery.claiming import Full
from backend.delivery.errands import PushErrand, SmsErrand
from backend.delivery.outbox import Channel, enqueue_push
from backend.delivery.outcomes import Ended, NoPlace, Taken
from backend.delivery.recording import record
from backend.delivery.subscriptions import drop_subscription
from backend.model.tables import Freeze, PushSubscription, TransactionState
from tests.world.clock import SettableClock
from tests.world.outbox import Outbox, Sessions
from tests.world.statements import counted
from tests.world.woken_phones import LIFE, add_cell, add_phone, add_transaction


def test_a_wake_up_is_addressed_by_what_the_row_says_now(
    outbox: Outbox, session_factory: Sessions, phone: bytes, clock: SettableClock
) -> None:
    outbox.push()
    with session_factory.begin() as session:
        session.execute(update(PushSubscription).values(endpoint="https://push.cellkey.test/new"))
    (message,) = outbox.claim()
    errand = message.errand
    assert isinstance(errand, PushErrand)
    assert (errand.unverified_endpoint, errand.lang) == ("https://push.cellkey.test/new", "en")
    assert outbox.read_transaction().sent_at == clock()


@pytest.mark.parametrize(
    "state", [state for state in TransactionState if state is not TransactionState.PENDING]
)
def test_nothing_is_sent_for_a_transaction_that_is_over(
    outbox: Outbox, clock: SettableClock, state: TransactionState
) -> None:
    outbox.text()
    outbox.end_transaction(state)
    assert outbox.claim() == []
    row = outbox.row()
    assert (row.dead_at, row.sealed_sms) == (clock(), None)
    assert row.last_error == f"the transaction is {state.value}"
    assert outbox.read_transaction().sent_at is None


def test_nothing_is_sent_to_a_signer_who_is_frozen(
    outbox: Outbox, session_factory: Sessions, clock: SettableClock
) -> None:
    """R-048, T-14: whoever has the lost phone would get the code, and we would pay for it."""
    outbox.text()
    frozen = Freeze(
        id=uuid4(),
        signer_id=outbox.read_transaction().signer_id,
        frozen_at=clock(),
        frozen_by="phone",
    )
    with session_factory.begin() as session:
        session.add(frozen)
    assert outbox.claim() == []
    row = outbox.row()
    assert (row.dead_at, row.sealed_sms) == (clock(), None)
    assert row.last_error == "the signer's access is locked"


def test_a_freeze_that_was_lifted_holds_nothing_back(
    outbox: Outbox, session_factory: Sessions, clock: SettableClock
) -> None:
    outbox.text()
    lifted = Freeze(
        id=uuid4(),
        signer_id=outbox.read_transaction().signer_id,
        frozen_at=clock(),
        frozen_by="phone",
        lifted_at=clock(),
    )
    with session_factory.begin() as session:
        session.add(lifted)
    assert len(outbox.claim()) == 1


def test_a_phone_that_was_removed_meanwhile_is_not_woken(
    outbox: Outbox, session_factory: Sessions, phone: bytes
) -> None:
    outbox.push()
    with session_factory.begin() as session:
        assert drop_subscription(
            session, kid=phone, unverified_endpoint="https://push.cellkey.test/wpush/v2/phone"
        )
    assert outbox.claim() == []
    assert outbox.row().last_error == "the phone has no subscription"


def test_a_text_keeps_its_seal_until_it_is_sent(outbox: Outbox, clock: SettableClock) -> None:
    outbox.text("sealed to the worker")
    (message,) = outbox.claim()
    sealed = "sealed to the worker"
    assert message.errand == SmsErrand(sealed_sms=sealed, asked_by=None, is_counted=False)
    assert outbox.row().sealed_sms == "sealed to the worker"
    outbox.record((message, Taken()))
    row = outbox.row()
    assert (row.sent_at, row.sealed_sms, row.leased_by) == (clock(), None, None)
    assert outbox.read_transaction().delivered_at is None


# --- full destinations --------------------------------------------------------


def add_push(sessions: Sessions, clock: SettableClock, endpoint: str) -> UUID:
    with sessions.begin() as session:
        cell = add_cell(session, now=clock())
        add_phone(session, cell, now=clock(), endpoint=endpoint)
        transaction = add_transaction(session, cell, now=clock())
        enqueue_push(
            session, transaction=transaction, cell=cell, now=clock(), expires_at=clock() + LIFE
        )
    return transaction


def test_who_waits_for_a_full_destination_stands_in_nobodys_way(
    outbox: Outbox, session_factory: Sessions, clock: SettableClock
) -> None:
    """A hundred messages for a host that hangs, before one for another."""
    for _ in range(5):
        add_push(session_factory, clock, "https://dead.example.org/x")
    clock.advance(seconds=1)
    alike = add_push(session_factory, clock, "https://dead.example.org.example/x")
    outbox.text()
    full = Full(origins={"https://dead.example.org"})
    claimed = outbox.claim(limit=2, full=full)
    assert {message.transaction_id for message in claimed} == {alike, outbox.transaction}
    assert outbox.claim(full=full) == []
    assert len(outbox.claim()) == 5


def test_a_full_channel_is_not_claimed_for(
    outbox: Outbox, session_factory: Sessions, clock: SettableClock
) -> None:
    outbox.text()
    woken = add_push(session_factory, clock, "https://push.example.org/x")
    (claimed,) = outbox.claim(full=Full(channels={Channel.SMS}))
    assert claimed.transaction_id == woken


def test_what_found_no_place_is_due_as_before_and_lost_no_attempt(
    outbox: Outbox, clock: SettableClock
) -> None:
    outbox.text()
    before = outbox.row().due_at
    clock.advance(seconds=3)
    (message,) = outbox.claim()
    outbox.record((message, NoPlace(None)))
    row = outbox.row()
    assert (row.due_at, row.attempts, row.leased_by, row.last_error) == (before, 0, None, None)
    (message,) = outbox.claim()
    outbox.record((message, NoPlace(clock.advance(seconds=7))))
    assert outbox.row().due_at == clock()


# --- in bulk ------------------------------------------------------------------


def test_many_messages_cost_as_few_statements_as_one(
    outbox: Outbox,
    session_factory: Sessions,
    engine: Engine,
    clock: SettableClock,
) -> None:
    for _ in range(40):
        add_push(session_factory, clock, "https://push.example.org/x")
    with counted(engine) as claiming:
        messages = outbox.claim()
    with counted(engine) as recording:
        outbox.record(*((message, Taken()) for message in messages))
    assert len(messages) == 40
    assert (len(claiming.texts), claiming.commits) == (3, 1)
    assert (len(recording.texts), recording.commits) == (2, 1)
    assert all(row.sent_at for row in outbox.rows())


def test_an_outcome_that_is_written_twice_counts_once(
    outbox: Outbox, session_factory: Sessions, clock: SettableClock
) -> None:
    """A commit whose answer was lost is repeated; another worker may hold the message by then."""
    outbox.text()
    (message,) = outbox.claim()
    lost = [Ended(message=message, outcome=NoPlace(None))] * 2
    with session_factory.begin() as session:
        record(session, lost, now=clock())
    assert outbox.row().attempts == 0
    (theirs,) = outbox.claim(uuid4())
    outbox.record((message, NoPlace(None)))
    row = outbox.row()
    assert (row.attempts, row.leased_by) == (1, theirs.leased_by)
