"""A relying party that is told: it asks, waits for nothing, and collects when the message comes."""

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from backend.access.families import forget_authorizations
from backend.delivery.endpoints import parse_webhook_pins
from backend.delivery.webhook_registration import register_webhook
from backend.delivery.worker_keys import read_worker_public_key
from backend.model.tables import Authorization
from tests.journeys.conftest import Stage
from tests.world.browser import Browser
from tests.world.clock import SettableClock
from tests.world.csc_client import CscClient, a_relying_party
from tests.world.oauth_client import an_oauth_client, sign_in
from tests.world.raw_calls import RawCalls
from tests.world.service import Service, copy_service, hashes
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
    receiver.secrets = [webhook(service, shop.party.client_id, receiver)]
    yield shop
    service.close()


def webhook(service: Service, client_id: str, receiver: WebhookReceiver) -> str:
    """Have a relying party told there; gives the secret."""
    with service.sessions() as session:
        return register_webhook(
            session,
            client_id=client_id,
            unverified_url=receiver.url,
            pinned=parse_webhook_pins(service.settings.webhook_pins),
            recipient=read_worker_public_key(service.settings),
        ).webhook_secret


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


def test_a_request_by_oauth_is_named_by_its_state(
    told_shop: CscClient, receiver: WebhookReceiver, clock: SettableClock
) -> None:
    """There is no handle. A message that comes again says the same, however late it is."""
    service = told_shop.service
    client = an_oauth_client(service)
    receiver.secrets = [webhook(service, client.party.client_id, receiver)]
    address, state = client.address(client.session(scope="credential"), **client.wish(*hashes(1)))
    browser = Browser(service)
    browser.open(address)
    sign_in(browser)
    told_shop.approve()
    receiver.faults.answer(503)
    service.work()
    clock.advance(hours=3)
    with service.sessions() as session:
        forget_authorizations(session, clock())
    service.work()
    service.work()  # it expired meanwhile, which is told as well

    assert [one.refused for one in receiver.deliveries] == ["as told", None, None]
    payloads = [one.payload for one in receiver.deliveries]
    first, second = (one for one in payloads if one["type"] == "transaction.approved")
    assert first == second
    assert {one["data"]["state"] for one in payloads} == {state}
    with service.sessions() as session:
        forget_authorizations(session, clock())
        assert session.scalars(select(Authorization.id)).all() == []


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
