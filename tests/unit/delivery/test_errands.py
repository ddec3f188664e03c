"""backend/delivery/errands.py, on both databases."""

from uuid import UUID

import pytest
from sqlalchemy import update

from backend.delivery.errands import PushErrand, SmsErrand, look_up
from backend.delivery.outbox import (
    mark_sent,
)
from backend.delivery.subscriptions import drop_subscription
from backend.model.tables import PushSubscription, TransactionState
from tests.world.clock import SettableClock
from tests.world.outbox import Outbox, Sessions


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
