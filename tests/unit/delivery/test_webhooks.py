"""backend/delivery/webhooks.py: signed, sent until it is taken, and to its address alone."""

import base64
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest
from sqlalchemy import select, update
from standardwebhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from backend.access.relying_parties import add_relying_party, disable_relying_party
from backend.delivery.claiming import Full
from backend.delivery.dispatch import Channels
from backend.delivery.endpoints import parse_webhook_pins
from backend.delivery.guarded_session import GuardedSession
from backend.delivery.lanes import FIRST_WEBHOOK_PLACES, Lanes, webhook_lane
from backend.delivery.outbox import MOST_ATTEMPTS, TOLD_FOR, Channel
from backend.delivery.outcomes import NoPlace
from backend.delivery.web_push import VapidIdentity
from backend.delivery.webhook_secrets import BOTH_FOR
from backend.model.tables import RelyingParty, Transaction, TransactionState, Webhook
from tests.world.clock import SettableClock
from tests.world.outbox import Outbox, Sessions
from tests.world.push_faults import Faults
from tests.world.told import Told, channels_to
from tests.world.webhook_receiver import WebhookReceiver, running_receiver
from tests.world.woken_phones import add_cell, add_transaction
from tests.world.worker import eventually, running

# What the database is makes no difference to most of these.
on_one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def receiver(tmp_path: Path, clock: SettableClock) -> Iterator[WebhookReceiver]:
    with running_receiver(
        ca_out=tmp_path / "receiver-ca.pem", clock=lambda: clock().timestamp()
    ) as receiver:
        yield receiver


class Shop(Told):
    """A relying party, its transactions, and what it is told of them."""

    def party(self) -> UUID:
        with self.sessions() as session:
            found = select(RelyingParty.id).where(RelyingParty.client_id == self.client_id)
            return session.scalars(found).one()

    def approved(self) -> UUID:
        """A transaction of its own, just approved."""
        now, party = self.clock(), self.party()
        with self.sessions.begin() as session:
            transaction = add_transaction(session, add_cell(session, now=now), now=now)
            named = {"relying_party_id": party, "handle_hash": transaction.bytes * 2}
            this = Transaction.id == transaction
            session.execute(update(Transaction).where(this).values(named))
            moved = {"state": TransactionState.APPROVED, "answered_at": now}
            session.execute(update(Transaction).where(this).values(moved))
        return transaction


def open_shop(
    sessions: Sessions, clock: SettableClock, channels: Channels, client_id: str = "shop"
) -> Shop:
    with sessions() as session:
        add_relying_party(session, name="Shop", client_id=client_id, now=clock())
    return Shop(sessions, clock, client_id=client_id, channels=channels)


@pytest.fixture
def shop(
    session_factory: Sessions,
    clock: SettableClock,
    receiver: WebhookReceiver,
    identity: VapidIdentity,
) -> Shop:
    shop = open_shop(session_factory, clock, channels_to(receiver, identity))
    receiver.secrets = [shop.register(receiver.url).webhook_secret]
    return shop


@on_one_database
def test_the_library_of_the_standard_verifies_what_is_sent(
    shop: Shop, receiver: WebhookReceiver, clock: SettableClock
) -> None:
    clock.set(datetime.now(UTC))
    transaction = shop.approved()
    shop.send()

    (one,) = receiver.taken
    payload = Verifier(receiver.secrets[0]).verify(one.body, one.headers)
    assert payload["type"] == "transaction.approved"
    assert payload["data"]["handleHash"] == base64.urlsafe_b64encode(
        transaction.bytes * 2
    ).decode().rstrip("=")
    assert one.id == f"msg_{shop.row().id.hex}"
    other = "whsec_" + base64.b64encode(bytes(32)).decode()
    with pytest.raises(WebhookVerificationError):
        Verifier(other).verify(one.body, one.headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(receiver.secrets[0]).verify(one.body + b" ", one.headers)


FAULTS: dict[str, Callable[[Faults], object]] = {
    "500": lambda faults: faults.answer(500),
    "404": lambda faults: faults.answer(404),
    "429 with Retry-After": lambda faults: faults.answer(429, retry_after="3"),
    "closes without a word": lambda faults: faults.close(),
    "garbage": lambda faults: faults.garble(),
    "redirect": lambda faults: faults.redirect("https://169.254.169.254/latest"),
    "10 MB": lambda faults: faults.answer(500, text="x" * 10_000_000),
}


@on_one_database
@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_not_taken_is_sent_again_as_the_same_message(
    shop: Shop, receiver: WebhookReceiver, clock: SettableClock, fault: str
) -> None:
    shop.approved()
    FAULTS[fault](receiver.faults)
    shop.send()
    due_at = shop.row().due_at
    assert due_at > clock()
    assert shop.send() == 0

    clock.set(due_at)
    shop.send()
    assert shop.row().sent_at == clock()
    first, second = receiver.deliveries
    assert (first.id, first.body) == (second.id, second.body)
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]


@on_one_database
def test_a_retry_comes_not_before_the_receiver_wants_it(
    shop: Shop, receiver: WebhookReceiver, clock: SettableClock
) -> None:
    shop.approved()
    receiver.faults.answer(503, retry_after="120")
    shop.send()
    assert shop.row().due_at >= clock() + timedelta(seconds=120)


@on_one_database
def test_410_ends_this_message_and_is_told_to_operators(
    shop: Shop, receiver: WebhookReceiver, clock: SettableClock
) -> None:
    shop.approved()
    receiver.faults.answer(410)
    shop.send()
    row = shop.row()
    assert (row.dead_at, row.last_error) == (clock(), "shop.cellkey.test answered 410")


def test_what_nobody_takes_is_a_dead_letter_within_a_day(
    shop: Shop, receiver: WebhookReceiver, clock: SettableClock
) -> None:
    shop.approved()
    began = clock()
    receiver.faults.answer(500, times=MOST_ATTEMPTS)
    while shop.row().dead_at is None:
        clock.set(max(clock(), shop.row().due_at))
        shop.send()

    assert timedelta(hours=10) < clock() - began <= TOLD_FOR
    assert len(receiver.deliveries) == MOST_ATTEMPTS
    assert shop.row().last_error == "shop.cellkey.test answered 500"


@on_one_database
def test_after_a_new_secret_both_sign_for_a_day_then_the_new_one_alone(
    shop: Shop, receiver: WebhookReceiver, clock: SettableClock
) -> None:
    old = receiver.secrets[0]
    new = shop.replace_secret().webhook_secret
    taken = []
    for known, after in ((old, timedelta()), (new, timedelta()), (old, BOTH_FOR), (new, BOTH_FOR)):
        receiver.secrets = [known]
        now = clock.set(clock() + after)
        shop.approved()
        shop.send()
        taken.append(receiver.deliveries[-1].refused is None)
        clock.set(now - after)

    assert taken == [True, True, False, True]
    assert receiver.deliveries[0].headers["webhook-signature"].count("v1,") == 2
    assert receiver.deliveries[-1].headers["webhook-signature"].count("v1,") == 1


@on_one_database
def test_another_address_begins_with_another_secret(shop: Shop, receiver: WebhookReceiver) -> None:
    (old,) = receiver.secrets
    shop.register(receiver.url)
    shop.approved()
    shop.send()

    assert receiver.secrets == [old]
    assert receiver.deliveries[-1].refused == "no signature of ours"


@on_one_database
def test_a_secret_of_another_relying_party_signs_nothing(
    shop: Shop, receiver: WebhookReceiver
) -> None:
    """Who writes rows can give nobody a secret that they know."""
    other = open_shop(shop.sessions, shop.clock, shop.channels, "other")
    other.register(receiver.url)
    with shop.sessions.begin() as session:
        theirs = select(Webhook.secret).where(Webhook.relying_party_id == other.party())
        ours = Webhook.relying_party_id == shop.party()
        session.execute(update(Webhook).where(ours).values(secret=session.scalar(theirs)))
    shop.approved()
    shop.send()

    assert receiver.deliveries == []
    assert shop.row().last_error == "sealed for another use"


@on_one_database
def test_a_disabled_relying_party_is_told_nothing(shop: Shop, receiver: WebhookReceiver) -> None:
    shop.approved()
    with shop.sessions() as session:
        disable_relying_party(session, client_id="shop", now=shop.clock())
    shop.send()

    assert receiver.deliveries == []
    assert shop.row().dead_at is not None


# --- where it may go (T-20) ---------------------------------------------------


@on_one_database
@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example.org/hooks",
        "https://127.0.0.1/hooks",
        "https://[::1]/hooks",
        "https://2130706433/hooks",
        "https://0x7f.1/hooks",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost/hooks",
        "https://shop.example.org:8443/hooks",
        "https://user@shop.example.org/hooks",
        "https://shop.example.org/hooks#part",
        "https://shop.example.org\\@evil.example/",
        "https://shop.example.org",
        "https://shop.example.org/" + "x" * 3000,
    ],
)
def test_a_row_that_names_another_address_is_never_reached(
    shop: Shop, connections: list[object], url: str
) -> None:
    """Rows are no authority: what was registered is checked again before it is sent."""
    with shop.sessions.begin() as session:
        session.execute(update(Webhook).values(url=url))
    shop.approved()
    shop.send()

    assert connections == []
    assert shop.row().dead_at is not None


@on_one_database
@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.8", "169.254.169.254", "::1", "fd00::1"])
def test_a_name_that_resolves_to_a_private_address_is_never_reached(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, connections: list[object], address: str
) -> None:
    """Asked when the connection is made, so another answer later does not help (rebinding)."""
    found = [(2, 1, 6, "", (address, 443))]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_arguments, **_named: found)
    with shop.sessions.begin() as session:
        session.execute(update(Webhook).values(url="https://rebound.example.org/hooks"))
    shop.approved()
    shop.send()

    assert connections == []
    assert shop.row().last_error == "the endpoint's host has an address that is not public"


# --- side by side -------------------------------------------------------------


def test_a_dead_webhook_takes_no_place_of_another_and_none_of_a_push(
    clock: SettableClock,
) -> None:
    lanes, dead, other = Lanes(), webhook_lane(uuid4()), webhook_lane(uuid4())

    def enter(destination: str) -> NoPlace | None:
        return lanes.enter(destination, now=clock())

    places = 0
    while enter(dead) is None:
        places += 1
    assert places == FIRST_WEBHOOK_PLACES
    assert enter(other) is None
    full = lanes.room(now=clock()).full
    assert full == Full(
        relying_parties=frozenset({UUID(dead.removeprefix("webhook "))}),
        origins=frozenset(),
        channels=frozenset(),
    )

    many = [webhook_lane(uuid4()) for _ in range(200)]
    assert sum(enter(each) is None for each in many for _ in range(FIRST_WEBHOOK_PLACES)) == 95
    assert enter(webhook_lane(uuid4())) == NoPlace(None)
    assert Channel.WEBHOOK in lanes.room(now=clock()).full.channels
    assert enter("https://push.example.org") is None

    lanes.leave(dead, answered=True, now=clock())
    assert Channel.WEBHOOK not in lanes.room(now=clock()).full.channels


@on_one_database
def test_who_hangs_holds_up_nobody_else(
    shop: Shop,
    receiver: WebhookReceiver,
    clock: SettableClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "backend.delivery.dispatch.GuardedSession",
        lambda endpoint: GuardedSession(endpoint, seconds=3600),  # nobody is given up meanwhile
    )
    for _ in range(3 * FIRST_WEBHOOK_PLACES):
        receiver.faults.hang()
        shop.approved()
    with running_receiver(
        ca_out=tmp_path / "other-ca.pem",
        host="bank.cellkey.test",
        clock=lambda: clock().timestamp(),
    ) as well:
        pins = parse_webhook_pins([receiver.pin, well.pin])
        channels = msgspec.structs.replace(shop.channels, webhook_pins=pins)
        bank = open_shop(shop.sessions, clock, channels, "bank")
        well.secrets = [bank.register(well.url).webhook_secret]
        clock.advance(seconds=1)
        bank.approved()
        with running(bank.worker()):
            eventually(lambda: len(well.taken) == 1)
            eventually(lambda: len(receiver.deliveries) == FIRST_WEBHOOK_PLACES)
            sent = {row.relying_party_id for row in shop.rows() if row.sent_at is not None}
            assert sent <= {bank.party()}
            receiver.let_go()


def test_what_waits_for_a_full_webhook_is_passed_over(shop: Shop, outbox: Outbox) -> None:
    party = shop.party()
    for _ in range(3):
        shop.approved()
    outbox.text()
    full = Full(relying_parties=frozenset({party, uuid4()}))
    (claimed,) = outbox.claim(full=full)
    assert claimed.channel is Channel.SMS
    assert {message.channel for message in outbox.claim()} == {Channel.WEBHOOK}


def test_what_wakes_counts_as_sent_and_what_tells_does_not(
    shop: Shop, clock: SettableClock
) -> None:
    transaction = shop.approved()
    shop.send()
    with shop.sessions() as session:
        row = session.get_one(Transaction, transaction)
        assert (row.sent_at, row.delivered_at) == (None, None)
