"""A relying party that is told: it asks, waits for nothing, and collects when the message comes."""

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.delivery.endpoints import parse_webhook_pins
from backend.delivery.webhook_registration import register_webhook
from backend.delivery.worker_keys import read_worker_public_key
from tests.journeys.conftest import Stage
from tests.world.clock import SettableClock
from tests.world.csc_client import CscClient, a_relying_party
from tests.world.raw_calls import RawCalls
from tests.world.service import copy_service, hashes
from tests.world.webhook_receiver import WebhookReceiver, running_receiver


@pytest.fixture
def receiver(tmp_path: Path, clock: SettableClock) -> Iterator[WebhookReceiver]:
    with running_receiver(
        ca_out=tmp_path / "receiver-ca.pem", clock=lambda: clock().timestamp()
    ) as receiver:
        yield receiver


@pytest.fixture
def told_shop(
    certified: Stage, tmp_path: Path, clock: SettableClock, receiver: WebhookReceiver
) -> Iterator[CscClient]:
    """A relying party that is told at the receiver."""
    service = copy_service(
        certified.folder, tmp_path / "service", clock=clock, webhook_pins=(receiver.pin,)
    )
    shop = a_relying_party(service)
    with service.sessions() as session:
        made = register_webhook(
            session,
            client_id=shop.party.client_id,
            unverified_url=receiver.url,
            pinned=parse_webhook_pins(service.settings.webhook_pins),
            recipient=read_worker_public_key(service.settings),
        )
    receiver.secrets = [made.webhook_secret]
    yield shop
    service.close()


def told(receiver: WebhookReceiver) -> list[tuple[str, str]]:
    """What came, and of which request."""
    payloads = [one.payload for one in receiver.taken]
    return [(one["type"], one["data"]["handleHash"]) for one in payloads]


def name_of(handle: str) -> str:
    raw = base64.urlsafe_b64decode(handle + "=")
    return base64.urlsafe_b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")


def test_a_relying_party_is_told_of_the_approval_and_collects(
    told_shop: CscClient, receiver: WebhookReceiver
) -> None:
    """From `credentials/authorize` to `signHash`, with one poll, when it is told to."""
    handle = told_shop.asked(*hashes(1))
    told_shop.service.work()
    assert told(receiver) == []
    told_shop.approve()
    told_shop.service.work()

    assert told(receiver) == [("transaction.approved", name_of(handle))]
    assert receiver.taken[0].payload["data"]["credentialID"] == told_shop.credential
    assert told_shop.signed(told_shop.csc_sad(handle), *hashes(1))


def test_each_other_end_is_told_as_well(
    told_shop: CscClient, receiver: WebhookReceiver, clock: SettableClock
) -> None:
    """Refused on the phone, expired by the clock, and stopped by a freeze from the phone."""
    service = told_shop.service
    refused = told_shop.asked(*hashes(1))
    told_shop.reject()
    service.work()
    forgotten = told_shop.asked(*hashes(1))
    clock.advance(seconds=service.settings.transaction_seconds + 1)
    service.work()
    frozen = told_shop.asked(*hashes(1))
    assert RawCalls(service, service.phone()).send("POST", "/freeze", {}).status_code == 204
    service.work()

    assert told(receiver) == [
        ("transaction.refused", name_of(refused)),
        ("transaction.expired", name_of(forgotten)),
        ("transaction.frozen", name_of(frozen)),
    ]
    assert receiver.deliveries == receiver.taken
