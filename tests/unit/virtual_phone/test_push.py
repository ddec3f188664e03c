"""Web Push at the receiver's end; pywebpush and a strict push service are the other one."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02
from pywebpush import WebPusher, webpush
from requests.adapters import HTTPAdapter

from backend.virtual_phone import jose
from backend.virtual_phone.encoding import b64u
from backend.virtual_phone.errors import MessageRefused, NotPaired, ServerRefused, Unreachable
from backend.virtual_phone.following import events
from backend.virtual_phone.keystore import Subscription
from backend.virtual_phone.phone import VirtualPhone
from backend.virtual_phone.push import Delivered, PushMessage, PushService, decrypt, public_key
from backend.virtual_phone.transactions import Shown
from backend.virtual_phone.transport import Caller, Clock, Request, RequestsHttp, Response
from tests.unit.virtual_phone.other_side import unb64u
from tests.unit.virtual_phone.paper_service import PaperService, instantly, local_time
from tests.unit.virtual_phone.test_transactions import paired
from tests.world import push_service

ID = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"


def subscription(**changes: str) -> Subscription:
    usual = {
        "endpoint": "https://push.test/wpush/v2/x",
        "inbox": "https://127.0.0.1/inbox/x",
        "private_key": b64u(jose.key_bytes(jose.new_key())),
        "auth": b64u(b"a" * 16),
    }
    return Subscription(**(usual | changes))


def message(transaction: str = ID, **changes: object) -> bytes:
    notification = {
        "title": "Cellkey",
        "body": "Something waits for you",
        "navigate": "https://app.test/",
        "tag": "x",
        "data": {"id": transaction},
    }
    return json.dumps({"web_push": 8030, "notification": notification} | changes).encode()


def sent(to: Subscription, content: bytes) -> bytes:
    """What pywebpush puts on the wire."""
    keys = {"p256dh": public_key(to), "auth": to.auth}
    body: bytes = WebPusher({"endpoint": to.endpoint, "keys": keys}).encode(content)["body"]
    return body


def test_a_message_of_pywebpush_is_read() -> None:
    """RFC 8291."""
    to = subscription()
    read = decrypt(to, sent(to, message()))
    assert read.notification.data.id == ID
    assert read.notification.body == "Something waits for you"


def test_the_public_key_is_the_uncompressed_point() -> None:
    point = unb64u(public_key(subscription()))
    assert len(point) == 65
    assert point[0] == 4


@pytest.mark.parametrize("change", [{"auth": b64u(b"b" * 16)}, {"private_key": None}])
def test_a_message_for_another_subscription_is_not_read(change: dict[str, str | None]) -> None:
    to = subscription()
    key = b64u(jose.key_bytes(jose.new_key()))
    other = subscription(
        private_key=to.private_key if "auth" in change else key, auth=change.get("auth") or to.auth
    )
    with pytest.raises(MessageRefused, match="does not decrypt"):
        decrypt(other, sent(to, message()))


@pytest.mark.parametrize("content", [b"", bytes(20), bytes(21), bytes(86), b"\xff" * 200])
def test_garbage_is_not_read(content: bytes) -> None:
    with pytest.raises(MessageRefused, match="does not decrypt"):
        decrypt(subscription(), content)


def test_a_message_with_a_broken_byte_is_not_read() -> None:
    to = subscription()
    content = bytearray(sent(to, message()))
    content[-1] ^= 1
    with pytest.raises(MessageRefused, match="does not decrypt"):
        decrypt(to, bytes(content))


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"{}",
        message("../devices"),
        message(note=1),
        message(notification={"title": "x"}),
    ],
)
def test_a_message_of_another_form_is_not_believed(content: bytes) -> None:
    to = subscription()
    with pytest.raises(MessageRefused):
        decrypt(to, sent(to, content))


# --- with a push service ------------------------------------------------------


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[push_service.PushService]:
    folder = tmp_path_factory.mktemp("push")
    with push_service.running_push_service(ca_out=folder / "ca.pem") as running:
        yield running


@pytest.fixture
def line(world: push_service.PushService) -> Iterator[RequestsHttp]:
    """A line to the push service that is hung up at the end, before the service stops."""
    made = RequestsHttp(certificates=world.ca_file)
    yield made
    made._session.close()


@pytest.fixture
def service(world: push_service.PushService, line: RequestsHttp) -> PushService:
    return PushService(Caller(line, clock=Clock(), sleep=instantly), url=world.base)


@pytest.fixture
def vapid() -> Vapid02:
    made = Vapid02()
    made.generate_keys()
    return made


@pytest.fixture
def paper(vapid: Vapid02) -> PaperService:
    made = PaperService()
    made.push_key = b64u(
        vapid.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    )
    return made


@pytest.fixture
def phone(paper: PaperService, tmp_path: Path) -> VirtualPhone:
    return paired(paper, tmp_path / "phone.json")


class Here(HTTPAdapter):
    """Carries to the push service of this test what is addressed to its made-up host."""

    def __init__(self, world: push_service.PushService) -> None:
        super().__init__()
        self._world = world

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]  # noqa: ANN401  # passed on as they are
        assert request.url is not None
        request.headers["Host"] = self._world.host
        request.url = request.url.replace(f"https://{self._world.host}", self._world.base)
        return super().send(request, **options)


def push(
    world: push_service.PushService, paper: PaperService, vapid: Vapid02, content: bytes
) -> None:
    """Send as an application server does: by pywebpush, to what the phone subscribed with."""
    with requests.Session() as session:
        session.mount("https://", Here(world))
        session.trust_env = False
        session.verify = str(world.ca_file)
        webpush(
            paper.subscription,
            content,
            vapid_private_key=vapid,
            vapid_claims={"sub": "mailto:operator@cellkey.test"},
            ttl=60,
            timeout=10,
            requests_session=session,
        )


def test_a_phone_subscribes_and_is_woken_by_a_message_that_it_alone_can_read(
    world: push_service.PushService,
    service: PushService,
    paper: PaperService,
    phone: VirtualPhone,
    vapid: Vapid02,
) -> None:
    made = phone.subscribe(service)
    assert paper.subscription == {
        "endpoint": made.endpoint,
        "keys": {"p256dh": public_key(made), "auth": made.auth},
    }
    push(world, paper, vapid, message())
    read = phone.wait_for_push(service)
    assert read is not None
    assert read.notification.data.id == ID
    assert phone.wait_for_push(service, wait_seconds=0) is None


def test_a_message_that_cannot_be_read_is_taken_out_and_forgotten(
    world: push_service.PushService,
    service: PushService,
    paper: PaperService,
    phone: VirtualPhone,
    vapid: Vapid02,
) -> None:
    phone.subscribe(service)
    push(world, paper, vapid, b"not a message")
    assert phone.wait_for_push(service) is None
    push(world, paper, vapid, message())
    assert phone.wait_for_push(service) is not None


def test_a_message_that_was_not_acknowledged_comes_again(
    world: push_service.PushService,
    service: PushService,
    paper: PaperService,
    phone: VirtualPhone,
    vapid: Vapid02,
) -> None:
    made = phone.subscribe(service)
    push(world, paper, vapid, message())
    first = service.next(made, wait_seconds=5)
    assert first is not None
    assert service.next(made, wait_seconds=5) == first
    service.acknowledge(made, first)
    service.acknowledge(made, first)
    assert service.next(made, wait_seconds=0) is None


def test_a_push_message_wakes_and_the_list_tells(
    world: push_service.PushService,
    service: PushService,
    paper: PaperService,
    phone: VirtualPhone,
    vapid: Vapid02,
) -> None:
    phone.subscribe(service)
    early = paper.open_transaction()
    happening = events(phone, service)
    first = next(happening)
    assert isinstance(first, Shown)
    assert first.id == early
    late = paper.open_transaction()
    push(world, paper, vapid, message(late))
    woken, shown = next(happening), next(happening)
    assert isinstance(woken, PushMessage)
    assert woken.notification.data.id == late
    assert isinstance(shown, Shown)
    assert shown.id == late


def test_a_phone_without_subscription_waits_for_nothing(
    service: PushService, phone: VirtualPhone
) -> None:
    with pytest.raises(NotPaired, match="no push subscription"):
        phone.wait_for_push(service)


def test_an_inbox_that_is_not_there_is_refused(service: PushService, phone: VirtualPhone) -> None:
    made = phone.subscribe(service)
    elsewhere = subscription(inbox=made.inbox + "x")
    with pytest.raises(ServerRefused):
        service.next(elsewhere, wait_seconds=0)
    service.acknowledge(elsewhere, Delivered(id="x", content=b""))


def test_a_push_service_is_believed_only_under_the_given_authority(
    world: push_service.PushService, phone: VirtualPhone
) -> None:
    stranger = PushService(Caller(RequestsHttp(), clock=Clock(), sleep=instantly), url=world.base)
    with pytest.raises(Unreachable, match="certificate"):
        phone.subscribe(stranger)


def test_a_message_in_another_encoding_is_refused() -> None:
    paper = PlainInbox()
    caller = Caller(paper, clock=Clock(local_time), sleep=instantly)
    with pytest.raises(MessageRefused, match="aes128gcm"):
        PushService(caller).next(subscription(), wait_seconds=0)


class PlainInbox:
    """An inbox whose messages are not encrypted."""

    def send(self, _request: Request, *, timeout_seconds: float) -> Response:
        return Response(status=200, headers={"x-message-id": "1"}, body=message())
