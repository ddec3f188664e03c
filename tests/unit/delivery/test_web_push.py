"""backend/delivery/web_push.py, against a push service that is as strict as the real ones."""

import asyncio
import json
import logging
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from http_ece import ECEException

from backend.delivery.endpoints import AllowedHost, check_endpoint, parse_push_hosts
from backend.delivery.guarded_session import GuardedSession
from backend.delivery.subscriptions import check_keys
from backend.delivery.web_push import (
    VapidIdentity,
    WakeUp,
    send_push,
    vapid_identity,
)
from backend.errors import (
    DeliveryFailed,
    EndpointRefused,
    MalformedMessage,
    SettingsInvalid,
    SubscriptionGone,
    SummaryRefused,
)
from tests.world.clock import START
from tests.world.push_phone import PushPhone, phones_session
from tests.world.push_service import PushService, running_push_service
from tests.world.woken_phones import PhoneKeys, b64u

TRANSACTION = UUID("5d1c3f0a-0f52-4f0e-9d3e-0c8f7a6b5e4d")


class Sender:
    """Sends to one phone, as the worker would."""

    def __init__(
        self, phone: PushPhone, *, allowed: tuple[AllowedHost, ...], identity: VapidIdentity
    ) -> None:
        self.phone = phone
        self.allowed = allowed
        self.identity = identity
        self.now = START

    def send(
        self, *, message: UUID | None = None, lang: str = "en", life_seconds: float = 300
    ) -> None:
        asyncio.run(
            self._send(
                message=message or uuid4(),
                lang=lang,
                expires_at=START + timedelta(seconds=life_seconds),
            )
        )

    async def _send(self, *, message: UUID, lang: str, expires_at: datetime) -> None:
        endpoint = check_endpoint(self.phone.endpoint, self.allowed)
        async with GuardedSession(endpoint) as session:
            await send_push(
                WakeUp(
                    message_id=message,
                    transaction_id=TRANSACTION,
                    lang=lang,
                    expires_at=expires_at,
                    app_url="https://app.example.org",
                ),
                endpoint=endpoint,
                keys=check_keys(
                    unverified_p256dh=self.phone.keys.p256dh_text,
                    unverified_auth=self.phone.keys.auth_text,
                ),
                identity=self.identity,
                session=session,
                now=self.now,
            )


@pytest.fixture
def sender(
    push_phone: PushPhone, allowed_hosts: tuple[AllowedHost, ...], identity: VapidIdentity
) -> Sender:
    return Sender(push_phone, allowed=allowed_hosts, identity=identity)


@pytest.mark.parametrize("lang", ["en", "ru"])
def test_the_phone_reads_a_neutral_line_and_an_id_and_nothing_else(
    sender: Sender, push_phone: PushPhone, lang: str
) -> None:
    """T-28, T-29: docs/phone-protocol.md 8.3, member by member."""
    sender.send(lang=lang)
    (clear,) = push_phone.read_all()
    message = json.loads(clear)
    notification = message.pop("notification")
    assert message == {"web_push": 8030}
    assert notification.pop("title")
    assert notification.pop("body")
    assert notification == {
        "navigate": f"https://app.example.org/?tx={TRANSACTION}",
        "tag": str(TRANSACTION),
        "data": {"id": str(TRANSACTION)},
    }


def test_only_the_phone_can_read_it(
    sender: Sender, push_service: PushService, push_phone: PushPhone
) -> None:
    """T-29: neither id nor words are on the wire, and other keys do not open it."""
    sender.send()
    (received,) = push_service.received
    wire = repr(received.headers).encode() + received.body
    for canary in (str(TRANSACTION), TRANSACTION.hex, "app.example.org", "notification"):
        assert canary.encode() not in wire
    push_phone.keys = PhoneKeys()
    with pytest.raises((ECEException, InvalidTag)):
        push_phone.decrypt(received.body)


def test_a_repetition_replaces_what_still_waits(sender: Sender, push_phone: PushPhone) -> None:
    message = uuid4()
    sender.send(message=message)
    sender.send(message=message)
    sender.send()
    assert len(push_phone.read_all()) == 2


@pytest.mark.parametrize(
    ("life_seconds", "ttl"), [(86_400, "300"), (300, "300"), (42.9, "42"), (0.5, "0"), (-9, "0")]
)
def test_it_waits_no_longer_than_the_transaction_nor_than_five_minutes(
    sender: Sender, push_service: PushService, life_seconds: float, ttl: str
) -> None:
    sender.send(life_seconds=life_seconds)
    (received,) = push_service.received
    headers = received.headers
    assert (headers["ttl"], headers["urgency"]) == (ttl, "high")
    assert len(headers["topic"]) <= 32
    assert headers["topic"].isalnum()


def test_each_service_gets_a_token_of_its_own(
    sender: Sender, push_service: PushService, identity: VapidIdentity, tmp_path: Path
) -> None:
    """A token for one host opens no other."""
    with (
        running_push_service(
            ca_out=tmp_path / "other.pem",
            host="other.cellkey.test",
            clock=START.timestamp,
        ) as other,
        phones_session(other) as http,
    ):
        phone = PushPhone(http, other, vapid=identity.key.public_key())
        allowed = parse_push_hosts([other.allow_list_entry])
        Sender(phone, allowed=allowed, identity=identity).send()
        sender.send()
        assert len(phone.read_all()) == 1
    assert len(sender.phone.read_all()) == 1


@pytest.mark.parametrize("status", [404, 410])
def test_a_subscription_that_the_service_does_not_know_is_gone(
    sender: Sender, push_service: PushService, status: int
) -> None:
    push_service.faults.answer(status)
    with pytest.raises(SubscriptionGone):
        sender.send()


def test_an_expired_subscription_is_gone(
    sender: Sender, push_service: PushService, push_phone: PushPhone
) -> None:
    push_service.expire(push_phone.endpoint)
    with pytest.raises(SubscriptionGone):
        sender.send()


@pytest.mark.parametrize("status", [301, 400, 413, 429, 500, 502, 503])
def test_everything_else_that_is_not_taken_is_tried_again(
    sender: Sender, push_service: PushService, status: int
) -> None:
    push_service.faults.answer(status, text="<script>what the service says</script>")
    with pytest.raises(DeliveryFailed, match=f"answered {status}") as failed:
        sender.send()
    assert failed.value.retry_after_seconds is None
    assert "script" not in str(failed.value)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        ("999999999", 3600),
        ("9" * 5000, 3600),
        ("Sat, 21 Nov 2026 12:02:00 GMT", 120),
        ("Sat, 21 Nov 2020 12:02:00 GMT", 0),
        ("Sat, 21 Nov 2026 12:02:00 -0000", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("", None),
    ],
)
def test_the_service_says_when_to_come_again(
    sender: Sender, push_service: PushService, retry_after: str, seconds: int | None
) -> None:
    push_service.faults.answer(429, retry_after=retry_after)
    with pytest.raises(DeliveryFailed) as failed:
        sender.send()
    assert failed.value.retry_after_seconds == seconds


def test_a_refused_vapid_key_is_an_alarm(sender: Sender, caplog: pytest.LogCaptureFixture) -> None:
    """It concerns every phone, not only this one; the subscription is kept."""
    other = ec.generate_private_key(ec.SECP256R1())
    sender.identity = vapid_identity(other, subject="mailto:admin@example.org")
    with caplog.at_level(logging.ERROR), pytest.raises(DeliveryFailed, match="403"):
        sender.send()
    (record,) = caplog.records
    assert record.__dict__["event_name"] == "vapid_refused"


@pytest.mark.parametrize("fault", ["garble", "redirect"])
def test_an_answer_without_form_is_no_answer(
    sender: Sender, push_service: PushService, fault: str
) -> None:
    if fault == "garble":
        push_service.faults.garble()
    else:
        push_service.faults.redirect("https://169.254.169.254/latest")
    with pytest.raises(DeliveryFailed):
        sender.send()


def test_an_endpoint_that_resolves_to_this_machine_is_refused(
    sender: Sender, push_phone: PushPhone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T-19: by the system's resolver, as in production."""
    sender.allowed = parse_push_hosts(["push.example.org"])
    push_phone.endpoint = "https://push.example.org/x"
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("127.0.0.1", 0))])
    with pytest.raises(EndpointRefused):
        sender.send()


def test_an_unknown_language_is_not_guessed(sender: Sender, push_service: PushService) -> None:
    with pytest.raises(SummaryRefused):
        sender.send(lang="xx")
    assert push_service.received == []


@pytest.mark.parametrize("subject", ["", "admin@example.org", "mailto:", "http://example.org"])
def test_a_vapid_subject_that_no_service_accepts_stops_the_start(subject: str) -> None:
    with pytest.raises(SettingsInvalid):
        vapid_identity(ec.generate_private_key(ec.SECP256R1()), subject=subject)


GOOD = PhoneKeys()


@pytest.mark.parametrize(
    ("p256dh", "auth"),
    [
        pytest.param("", GOOD.auth_text, id="no point"),
        pytest.param(GOOD.p256dh_text, "", id="no secret"),
        pytest.param(GOOD.p256dh_text + "=", GOOD.auth_text, id="padded"),
        pytest.param(GOOD.p256dh_text, b64u(b"x" * 15), id="secret too short"),
        pytest.param(GOOD.p256dh_text, b64u(b"x" * 17), id="secret too long"),
        pytest.param(b64u(b"\x04" + b"\x01" * 64), GOOD.auth_text, id="not on the curve"),
        pytest.param(b64u(b"\x02" + b"\x01" * 32), GOOD.auth_text, id="compressed"),
        pytest.param("not base64!", GOOD.auth_text, id="not base64"),
        pytest.param("ю" * 87, GOOD.auth_text, id="not ASCII"),
        pytest.param("A" * 100_000, GOOD.auth_text, id="huge"),
    ],
)
def test_keys_that_nothing_can_be_encrypted_to_are_refused(p256dh: str, auth: str) -> None:
    with pytest.raises(MalformedMessage):
        check_keys(unverified_p256dh=p256dh, unverified_auth=auth)


def test_a_compressed_point_is_refused() -> None:
    """RFC 8291, 3.1 wants the uncompressed form."""
    numbers = GOOD.private.public_key().public_numbers()
    compressed = bytes([2 + numbers.y % 2]) + numbers.x.to_bytes(32)
    with pytest.raises(MalformedMessage):
        check_keys(unverified_p256dh=b64u(compressed), unverified_auth=GOOD.auth_text)
