"""What becomes of one message, from the row to its end, with a real push service."""

import io
import json
import logging

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from backend.delivery.dispatch import Channels
from backend.delivery.endpoints import AllowedHost
from backend.delivery.outbox import enqueue_push, enqueue_sms
from backend.delivery.sms import ConsoleGateway, OutgoingSms, SilentGateway
from backend.delivery.web_push import VapidIdentity
from backend.delivery.worker import Worker
from backend.errors import DeliveryFailed
from backend.model.tables import (
    OutboxMessage,
    PushSubscription,
    Signer,
    Transaction,
    TransactionState,
)
from backend.protocol.jose import PublicJwk
from backend.protocol.sms import Sms, seal_sms
from tests.world.clock import SettableClock
from tests.world.push_phone import PushPhone
from tests.world.push_service import PushService
from tests.world.woken_phones import LIFE, PhoneKeys, add_cell, add_phone, add_transaction

SMS_KEY = ec.generate_private_key(ec.SECP256R1())


class Desk:
    """One transaction whose phone waits at the push service, and the worker's hand."""

    def __init__(
        self, sessions: sessionmaker[Session], *, clock: SettableClock, channels: Channels
    ) -> None:
        self.sessions = sessions
        self.clock = clock
        self.channels = channels

    def prepare(self, *, endpoint: str, keys: PhoneKeys) -> None:
        with self.sessions.begin() as session:
            self.cell = add_cell(session, now=self.clock())
            self.kid = add_phone(session, self.cell, now=self.clock(), endpoint=endpoint, keys=keys)
            self.transaction = add_transaction(session, self.cell, now=self.clock())

    def push(self) -> None:
        with self.sessions.begin() as session:
            enqueue_push(
                session,
                transaction=self.transaction,
                cell=self.cell,
                now=self.clock(),
                expires_at=self.clock() + LIFE,
            )

    def text(self, sealed_sms: str) -> None:
        with self.sessions.begin() as session:
            enqueue_sms(
                session,
                transaction=self.transaction,
                sealed_sms=sealed_sms,
                now=self.clock(),
                expires_at=self.clock() + LIFE,
            )

    def work(self) -> OutboxMessage:
        """Let the worker send what is due; gives the newest message as it is now."""
        worker = Worker(sessions=self.sessions, channels=self.channels, jobs=(), clock=self.clock)
        worker.run_once()
        with self.sessions() as session:
            newest = select(OutboxMessage).order_by(OutboxMessage.due_at.desc()).limit(1)
            return session.scalars(newest).one()

    def change(self, table: type[object], **values: object) -> None:
        with self.sessions.begin() as session:
            session.execute(update(table).values(**values))

    def is_subscribed(self) -> bool:
        with self.sessions() as session:
            return session.scalar(select(PushSubscription.kid)) == self.kid

    def read_transaction(self) -> Transaction:
        with self.sessions() as session:
            return session.get_one(Transaction, self.transaction)


@pytest.fixture
def printed() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def desk(
    session_factory: sessionmaker[Session],
    clock: SettableClock,
    allowed_hosts: tuple[AllowedHost, ...],
    identity: VapidIdentity,
    printed: io.StringIO,
    push_phone: PushPhone,
) -> Desk:
    channels = Channels(
        allowed_hosts=allowed_hosts,
        identity=identity,
        app_url="https://app.example.org",
        sms_key=SMS_KEY,
        sms_gateway=ConsoleGateway(printed),
    )
    desk = Desk(session_factory, clock=clock, channels=channels)
    desk.prepare(endpoint=push_phone.endpoint, keys=push_phone.keys)
    return desk


def test_a_phone_is_woken_and_every_step_is_on_record(
    desk: Desk, push_phone: PushPhone, push_service: PushService
) -> None:
    """T-28, T-29: what left holds the transaction's id, sealed, and nothing of its ask."""
    desk.push()
    row = desk.work()
    assert row.sent_at == desk.clock()
    transaction = desk.read_transaction()
    assert (transaction.sent_at, transaction.delivered_at) == (desk.clock(), desk.clock())
    (clear,) = push_phone.read_all()
    assert json.loads(clear)["notification"]["data"] == {"id": str(desk.transaction)}
    (received,) = push_service.received
    for outside in (clear, received.body, repr(received.headers).encode()):
        assert b"CANARY" not in outside
        assert b"Ann Example" not in outside


def test_a_signer_is_woken_in_their_language(desk: Desk, push_phone: PushPhone) -> None:
    desk.push()
    desk.work()
    desk.change(Signer, lang="ru")
    desk.push()
    desk.work()
    english, russian = (json.loads(clear)["notification"] for clear in push_phone.read_all())
    assert english["title"].isascii()
    assert not russian["title"].isascii()


def test_nobody_is_woken_for_what_was_answered_meanwhile(
    desk: Desk, push_service: PushService
) -> None:
    desk.push()
    push_service.faults.answer(503)
    desk.work()
    push_service.received.clear()
    desk.change(Transaction, state=TransactionState.APPROVED.value)
    desk.clock.advance(seconds=2)
    row = desk.work()
    assert (row.dead_at, row.sent_at) == (desk.clock(), None)
    assert push_service.received == []


@pytest.mark.parametrize("status", [404, 410])
def test_a_subscription_that_is_gone_is_forgotten(
    desk: Desk, push_service: PushService, status: int
) -> None:
    push_service.faults.answer(status)
    desk.push()
    row = desk.work()
    assert row.dead_at == desk.clock()
    assert not desk.is_subscribed()


def test_a_phone_that_subscribed_anew_meanwhile_is_woken_there(
    desk: Desk, push_phone: PushPhone, push_service: PushService
) -> None:
    """The old subscription's end must not cost the new one."""
    desk.change(PushSubscription, endpoint=push_phone.endpoint + "-old")
    push_service.faults.answer(
        410,
        meanwhile=lambda: desk.change(PushSubscription, endpoint=push_phone.endpoint),
    )
    desk.push()
    row = desk.work()
    assert (row.dead_at, row.sent_at) == (None, None)
    assert desk.is_subscribed()
    desk.clock.advance(seconds=2)
    assert desk.work().sent_at == desk.clock()
    assert len(push_phone.read_all()) == 1


def test_a_failure_is_tried_again_under_the_same_id(
    desk: Desk, push_service: PushService, push_phone: PushPhone
) -> None:
    push_service.faults.answer(503, retry_after="7")
    desk.push()
    row = desk.work()
    assert (row.sent_at, row.dead_at, row.attempts) == (None, None, 1)
    assert str(row.last_error).endswith("answered 503")
    desk.clock.advance(seconds=8)
    again = desk.work()
    assert (again.id, again.sent_at) == (row.id, desk.clock())
    assert len({received.headers["topic"] for received in push_service.received}) == 1
    assert len(push_phone.read_all()) == 1


@pytest.mark.parametrize(
    "column", [{"endpoint": "https://127.0.0.1/x"}, {"p256dh": "x"}, {"auth": ""}]
)
def test_a_row_that_was_written_past_us_is_not_obeyed(
    desk: Desk, push_service: PushService, column: dict[str, str]
) -> None:
    """T-19: rows are no authority; the endpoint is checked again before it is used."""
    desk.push()
    desk.change(PushSubscription, **column)
    assert desk.work().dead_at == desk.clock()
    assert push_service.received == []


def test_a_text_is_opened_by_the_worker_and_sent_once(
    desk: Desk, printed: io.StringIO, caplog: pytest.LogCaptureFixture
) -> None:
    sms = Sms(number="+79001234567", text="Code 1234 5678")
    with caplog.at_level(logging.DEBUG):
        desk.text(seal_sms(sms, PublicJwk.of(SMS_KEY.public_key())))
        row = desk.work()
    assert row.sent_at == desk.clock()
    assert row.sealed_sms is None
    assert "Code 1234 5678" in printed.getvalue()
    for secret in ("79001234567", "1234 5678"):
        assert secret not in caplog.text


def test_a_text_that_does_not_open_is_a_dead_letter(desk: Desk, printed: io.StringIO) -> None:
    desk.text("not a seal")
    assert desk.work().dead_at == desk.clock()
    assert printed.getvalue() == ""


def test_without_a_gateway_a_text_is_a_dead_letter(desk: Desk) -> None:
    desk.channels = Channels(
        allowed_hosts=(),
        identity=desk.channels.identity,
        app_url="",
        sms_key=SMS_KEY,
        sms_gateway=None,
    )
    desk.text("sealed")
    assert desk.work().last_error == "there is no SMS gateway"


def test_a_gateway_that_fails_is_tried_again(desk: Desk) -> None:
    class Busy(SilentGateway):
        async def send(self, sms: OutgoingSms) -> tuple[str, ...]:
            raise DeliveryFailed("busy", 5)

    sealed = seal_sms(Sms(number="+79001234567", text="x"), PublicJwk.of(SMS_KEY.public_key()))
    desk.channels = Channels(
        allowed_hosts=(),
        identity=desk.channels.identity,
        app_url="",
        sms_key=SMS_KEY,
        sms_gateway=Busy(),
    )
    desk.text(sealed)
    row = desk.work()
    assert (row.last_error, row.dead_at, row.sealed_sms) == ("busy", None, sealed)
