"""Push messages for Chromium, whose own push service is not ours to be: the last step is CDP's.

A phone subscribes at our push service; the message that our worker sends there is decrypted and
handed to the service worker, as the browser itself does it.
"""

import json
from typing import Final
from uuid import UUID

from sqlalchemy import exists, select

from backend.model.tables import PushSubscription
from tests.world.handset import Handset
from tests.world.push_phone import PushPhone

SUBSCRIBED: Final = """
const given = %s;
const subscription = {...given, options: {applicationServerKey: null}, toJSON: () => given};
PushManager.prototype.getSubscription = async () => subscription;
PushManager.prototype.subscribe = async () => subscription;
"""
TAGS: Final = """async () => {
  const registration = await navigator.serviceWorker.ready;
  return (await registration.getNotifications()).map(notification => notification.tag);
}"""
TAP: Final = """async () => {
  const [notification] = await self.registration.getNotifications();
  self.dispatchEvent(new NotificationEvent("notificationclick", {notification}));
}"""


def subscribe_by(handset: Handset, phone: PushPhone) -> None:
    """Let the handset's browser subscribe there; before the app is opened."""
    keys = {"p256dh": phone.keys.p256dh_text, "auth": phone.keys.auth_text}
    given = json.dumps({"endpoint": phone.endpoint, "keys": keys})
    handset.context.add_init_script(SUBSCRIBED % given)


def wait_for_subscription(handset: Handset, phone: PushPhone) -> None:
    """Wait until the service may wake it: the app tells of it beside what its owner does."""
    told = select(exists().where(PushSubscription.endpoint == phone.endpoint))

    def is_told() -> bool:
        with handset.authority.sessions() as session:
            return bool(session.scalar(told))

    handset.wait_until(is_told)


def deliver(handset: Handset, phone: PushPhone, transaction: UUID) -> None:
    """Wait for the message about a transaction, and hand it to the service worker."""
    messages: dict[str, bytes] = {}

    def arrived() -> bool:
        read = phone.read_all()
        messages.update((json.loads(each)["notification"]["tag"], each) for each in read)
        return str(transaction) in messages

    handset.wait_until(arrived)
    _hand_over(handset, messages[str(transaction)])
    handset.wait_until(lambda: notification_tags(handset) == [str(transaction)])


def _hand_over(handset: Handset, message: bytes) -> None:
    registrations: list[str] = []

    def note(event: dict[str, list[dict[str, str]]]) -> None:
        registrations.extend(each["registrationId"] for each in event["registrations"])

    handset.cdp.on("ServiceWorker.workerRegistrationUpdated", note)
    handset.cdp.send("ServiceWorker.enable")
    handset.wait_until(lambda: bool(registrations))
    handset.cdp.send(
        "ServiceWorker.deliverPushMessage",
        {
            "origin": handset.authority.app_url,
            "registrationId": registrations[-1],
            "data": message.decode(),
        },
    )


def notification_tags(handset: Handset) -> list[str]:
    """The notifications that are shown, by tag."""
    tags: list[str] = handset.page.evaluate(TAGS)
    return tags


def tap_notification(handset: Handset) -> None:
    """Tap on the only notification; the service worker hears of it."""
    (worker,) = handset.context.service_workers
    worker.evaluate(TAP)
