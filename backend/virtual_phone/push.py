"""Web Push as a receiver (RFC 8030, 8291): what a browser does for a PWA.

The push service hands the message over as it came, encrypted; this phone alone has the key. A
message wakes, and names a transaction: it is never believed further than that. It is acknowledged
once it has been read, so a phone that dies in between gets it again.
"""

import os
from urllib.parse import quote

import http_ece
import msgspec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from backend.virtual_phone.encoding import b64u, compact_json, raw_uuid, read_json, unb64u
from backend.virtual_phone.errors import MessageRefused, ServerRefused
from backend.virtual_phone.jose import key_bytes, key_from, new_key
from backend.virtual_phone.keystore import Subscription
from backend.virtual_phone.transport import ANSWER_SECONDS, Caller

AUTH_SECRET = 16
NO_CONTENT = 204
GONE = 404


class PushData(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a push message is about."""

    id: str


class Notification(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a browser would show by itself."""

    title: str
    body: str
    navigate: str
    tag: str
    data: PushData


class PushMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A declarative push message."""

    web_push: int
    notification: Notification


class _Subscribed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    endpoint: str
    inbox: str


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """An encrypted message in the inbox."""

    id: str
    content: bytes


class PushService:
    """The push service's side towards phones: subscribe, take out, acknowledge."""

    def __init__(self, caller: Caller, *, url: str = "") -> None:
        """Use the service at ``url``; an inbox has its own address."""
        self._caller = caller
        self._url = url.rstrip("/")

    def subscribe(self, *, push_key: str) -> Subscription:
        """Make an endpoint that takes messages signed by ``push_key`` alone, and new keys."""
        body = compact_json({"key": push_key})
        answer = self._caller.exchange("POST", f"{self._url}/subscribe", body=body)
        made = read_json(answer.body, _Subscribed)
        return Subscription(
            endpoint=made.endpoint,
            inbox=made.inbox,
            private_key=b64u(key_bytes(new_key())),
            auth=b64u(os.urandom(AUTH_SECRET)),
        )

    def next(self, subscription: Subscription, *, wait_seconds: int) -> Delivered | None:
        """The oldest message in the inbox, or ``None`` when none came in time."""
        answer = self._caller.exchange(
            "GET",
            f"{subscription.inbox}?wait={wait_seconds}",
            timeout_seconds=ANSWER_SECONDS + wait_seconds,
        )
        if answer.status == NO_CONTENT:
            return None
        if answer.headers.get("content-encoding") != "aes128gcm":
            raise MessageRefused("a push message is not encrypted by aes128gcm")
        return Delivered(id=answer.headers.get("x-message-id", ""), content=answer.body)

    def acknowledge(self, subscription: Subscription, delivered: Delivered) -> None:
        """Take a message out of the inbox; nothing happens if it is out already."""
        try:
            self._caller.exchange("DELETE", f"{subscription.inbox}/{quote(delivered.id, safe='')}")
        except ServerRefused as error:
            if error.status != GONE:
                raise


def public_key(subscription: Subscription) -> str:
    """``p256dh`` of a subscription: the uncompressed point."""
    key = key_from(unb64u(subscription.private_key)).public_key()
    return b64u(key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


def decrypt(subscription: Subscription, content: bytes) -> PushMessage:
    """Read a message.

    Raises:
        MessageRefused: it was not encrypted for this subscription, or is not of its form.
    """
    try:
        plain = http_ece.decrypt(
            content,
            private_key=key_from(unb64u(subscription.private_key)),
            auth_secret=unb64u(subscription.auth),
            version="aes128gcm",
        )
    except (http_ece.ECEException, ValueError) as error:
        raise MessageRefused("a push message does not decrypt") from error
    message = read_json(plain, PushMessage)
    raw_uuid(message.notification.data.id)
    return message
