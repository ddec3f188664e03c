"""A real Firefox gets real messages of our worker: RFC 8030, 8291 and 8292 as a browser reads them.

The page is the smallest that subscribes; it knows nothing of ours but the form of the message. Who
sends is our worker, from rows as the phones' process writes them.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select, update

from backend.delivery.dispatch import Channels
from backend.delivery.endpoints import parse_push_hosts
from backend.delivery.outbox import enqueue_push
from backend.delivery.web_push import vapid_identity
from backend.delivery.worker import Worker
from backend.delivery.worker_keys import push_key_of
from backend.model.tables import OutboxMessage, PushSubscription
from backend.summary.render import push_text
from backend.wiring import make_engine, make_session_factory
from tests.world.clock import SettableClock
from tests.world.firefox import Alert, Firefox
from tests.world.outbox import Sessions
from tests.world.push_service import PushService
from tests.world.push_socket import DELIVERED
from tests.world.small_site import serving_files
from tests.world.woken_phones import LIFE, PhoneKeys, add_cell, add_phone, add_transaction
from tests.world.worker import KEY, Gateway, eventually

VAPID = ec.generate_private_key(ec.SECP256R1())
WORDS = push_text("en")
ALERT = Alert(title=WORDS.title, body=WORDS.body)

PAGE = "<!doctype html><title>page</title><script type=module src=/page.js></script>"
SCRIPT = """
await navigator.serviceWorker.register("/worker.js", {type: "module"});
const registration = await navigator.serviceWorker.ready;
window.subscribe = async applicationServerKey => {
  await (await registration.pushManager.getSubscription())?.unsubscribe();
  const options = {userVisibleOnly: true, applicationServerKey};
  return (await registration.pushManager.subscribe(options)).toJSON();
};
window.unsubscribe = async () => {
  await (await registration.pushManager.getSubscription()).unsubscribe();
};
window.shown = async () => {
  const notifications = await registration.getNotifications();
  return notifications.map(notification => notification.tag);
};
"""
WORKER = """
addEventListener("push", event => {
  const {title, body, tag, navigate} = event.data.json().notification;
  event.waitUntil(registration.showNotification(title, {body, tag, data: navigate}));
});
addEventListener("notificationclick", event => {
  event.notification.close();
  event.waitUntil(clients.openWindow(event.notification.data));
});
"""


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    files = {"/index.html": PAGE, "/page.js": SCRIPT, "/worker.js": WORKER}
    with serving_files(files) as origin:
        yield origin


@pytest.fixture(scope="module")
def sessions(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sessions]:
    path = tmp_path_factory.mktemp("push") / "cellkey.sqlite3"
    shutil.copyfile(sqlite_template, path)
    engine = make_engine(f"sqlite:///{path}")
    yield make_session_factory(engine)
    engine.dispose()


@dataclass(frozen=True)
class _BrowsersKeys(PhoneKeys):
    """What the browser tells of its keys; nobody else has the private ones."""

    p256dh: str
    secret: str

    @property
    def p256dh_text(self) -> str:
        return self.p256dh

    @property
    def auth_text(self) -> str:
        return self.secret


@dataclass(frozen=True)
class Woken:
    """A phone that is woken in this Firefox, and who wakes it."""

    sessions: Sessions
    worker: Worker
    clock: SettableClock
    cell: UUID
    endpoint: str

    def ask(self) -> UUID:
        """Let a transaction wait for the phone; gives its id."""
        now = self.clock()
        with self.sessions.begin() as session:
            transaction = add_transaction(session, self.cell, now=now)
            enqueue_push(
                session, transaction=transaction, cell=self.cell, now=now, expires_at=now + LIFE
            )
        return transaction

    def send(self) -> None:
        """Let the worker send what is due."""
        assert self.worker.run_once()

    def wake(self) -> UUID:
        """Ask and send."""
        transaction = self.ask()
        self.send()
        return transaction

    def is_subscribed(self) -> bool:
        """Say whether the worker still knows where to wake the phone."""
        with self.sessions() as session:
            query = select(PushSubscription).where(PushSubscription.endpoint == self.endpoint)
            return session.scalars(query).first() is not None

    def attempts(self, transaction: UUID) -> int:
        """How often the message was taken up."""
        with self.sessions() as session:
            query = select(OutboxMessage.attempts).where(
                OutboxMessage.transaction_id == transaction
            )
            return session.scalars(query).one()


@pytest.fixture
def woken(
    firefox: Firefox,
    push_service: PushService,
    origin: str,
    sessions: Sessions,
    time: SettableClock,
) -> Iterator[Woken]:
    firefox.go_offline(offline=False)
    firefox.open(origin)
    firefox.wait_for("return !!window.wrappedJSObject.subscribe")
    eventually(lambda: is_clear(firefox))
    given = firefox.run("return window.wrappedJSObject.subscribe(arguments[0])", push_key_of(VAPID))
    keys = _BrowsersKeys(given["keys"]["p256dh"], given["keys"]["auth"])
    with sessions.begin() as session:
        cell = add_cell(session, now=time())
        add_phone(session, cell, now=time(), endpoint=given["endpoint"], keys=keys)
    channels = Channels(
        allowed_hosts=parse_push_hosts([push_service.allow_list_entry]),
        identity=vapid_identity(VAPID, subject="mailto:admin@example.org"),
        app_url=origin,
        sms_key=KEY,
        sms_gateway=Gateway(),
    )
    worker = Worker(sessions=sessions, channels=channels, jobs=(), clock=time)
    push_service.browsers.acknowledged.clear()
    yield Woken(sessions, worker, time, cell, given["endpoint"])
    firefox.take_focus()


def shown(firefox: Firefox) -> list[str]:
    """What the service worker shows, by tag."""
    tags: list[str] = firefox.run("return window.wrappedJSObject.shown()")
    return sorted(tags)


def is_clear(firefox: Firefox) -> bool:
    """Take away what an earlier test left, and say whether nothing is left; some may come late."""
    firefox.take_focus()
    return not shown(firefox)


def pull_the_plug(firefox: Firefox, push_service: PushService, woken: Woken) -> None:
    firefox.go_offline()
    eventually(lambda: not push_service.is_awaited(woken.endpoint))


def put_the_plug_back(firefox: Firefox, push_service: PushService, woken: Woken) -> None:
    firefox.go_offline(offline=False)
    eventually(lambda: push_service.is_awaited(woken.endpoint))


def test_a_message_is_shown_and_a_click_opens_what_it_is_about(
    firefox: Firefox, woken: Woken, push_service: PushService, origin: str
) -> None:
    transaction = woken.wake()

    assert firefox.alert() == ALERT
    firefox.click(ALERT)
    eventually(lambda: f"{origin}/?tx={transaction}" in firefox.pages)
    eventually(lambda: len(push_service.browsers.acknowledged) == 1)
    assert push_service.browsers.acknowledged[0].code == DELIVERED


def test_who_was_offline_gets_each_message_once_when_it_is_back(
    firefox: Firefox, woken: Woken, push_service: PushService
) -> None:
    pull_the_plug(firefox, push_service, woken)
    transactions = sorted([str(woken.wake()), str(woken.wake())])
    assert not shown(firefox)
    put_the_plug_back(firefox, push_service, woken)
    eventually(lambda: shown(firefox) == transactions)
    eventually(lambda: not push_service.waiting(woken.endpoint))

    pull_the_plug(firefox, push_service, woken)
    put_the_plug_back(firefox, push_service, woken)
    last = str(woken.wake())
    eventually(lambda: last in shown(firefox))
    eventually(lambda: len(push_service.browsers.acknowledged) == 3)


def test_a_message_that_is_sent_twice_is_shown_once(
    firefox: Firefox, woken: Woken, push_service: PushService
) -> None:
    """RFC 8030, 5.4: the push service took it, its answer was lost, the worker repeats it."""
    pull_the_plug(firefox, push_service, woken)
    push_service.faults.lose_answer()
    transaction = woken.wake()
    woken.clock.advance(seconds=5)
    woken.send()
    assert woken.attempts(transaction) == 2
    assert len(push_service.waiting(woken.endpoint)) == 1

    put_the_plug_back(firefox, push_service, woken)
    eventually(lambda: shown(firefox) == [str(transaction)])
    eventually(lambda: len(push_service.browsers.acknowledged) == 1)


def test_a_message_whose_transaction_is_over_is_not_shown_to_who_comes_back(
    firefox: Firefox, woken: Woken, push_service: PushService
) -> None:
    pull_the_plug(firefox, push_service, woken)
    woken.wake()
    woken.clock.advance(seconds=LIFE.total_seconds())
    fresh = woken.wake()
    put_the_plug_back(firefox, push_service, woken)
    eventually(lambda: shown(firefox) == [str(fresh)])
    eventually(lambda: len(push_service.browsers.acknowledged) == 1)


def test_where_a_browser_gave_its_subscription_back_the_worker_forgets_it(
    firefox: Firefox, woken: Woken, push_service: PushService
) -> None:
    """410: the next message has nowhere to go."""
    assert woken.is_subscribed()
    firefox.run("return window.wrappedJSObject.unsubscribe()")
    eventually(lambda: push_service.is_gone(woken.endpoint))
    transaction = woken.wake()
    assert not woken.is_subscribed()
    assert woken.attempts(transaction) == 1
    assert not shown(firefox)


def test_a_browser_that_is_told_of_another_key_is_not_woken_by_ours(
    firefox: Firefox, woken: Woken, caplog: pytest.LogCaptureFixture
) -> None:
    """RFC 8292, 4: a subscription is restricted to the key that it was made with."""
    other = push_key_of(ec.generate_private_key(ec.SECP256R1()))
    with woken.sessions.begin() as session:
        endpoint = firefox.run("return window.wrappedJSObject.subscribe(arguments[0])", other)
        session.execute(
            update(PushSubscription)
            .where(PushSubscription.endpoint == woken.endpoint)
            .values(endpoint=endpoint["endpoint"])
        )
    woken.wake()
    assert "vapid_refused" in {vars(record).get("event_name") for record in caplog.records}
    assert not shown(firefox)
