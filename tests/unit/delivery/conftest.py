"""A push service, us as its application, and rows of what is to be sent."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec

from backend.delivery.dispatch import Channels
from backend.delivery.endpoints import AllowedHost, parse_push_hosts
from backend.delivery.outbox import enqueue_sms
from backend.delivery.web_push import VapidIdentity, vapid_identity
from backend.protocol.jose import PublicJwk
from backend.protocol.sms import Sms, seal_sms
from tests.world.clock import SettableClock
from tests.world.outbox import Outbox, Sessions
from tests.world.push_phone import PushPhone, phones_session
from tests.world.push_service import PushService, running_push_service
from tests.world.woken_phones import LIFE, add_cell, add_phone, add_transaction
from tests.world.worker import KEY, UNBOUNDED, Gateway


@pytest.fixture
def push_service(tmp_path: Path, clock: SettableClock) -> Iterator[PushService]:
    with running_push_service(
        ca_out=tmp_path / "push-ca.pem", clock=lambda: clock().timestamp()
    ) as service:
        yield service


@pytest.fixture
def allowed_hosts(push_service: PushService) -> tuple[AllowedHost, ...]:
    return parse_push_hosts([push_service.allow_list_entry])


@pytest.fixture(scope="session")
def identity() -> VapidIdentity:
    key = ec.generate_private_key(ec.SECP256R1())
    return vapid_identity(key, subject="mailto:admin@example.org")


@pytest.fixture
def phones_http(push_service: PushService) -> Iterator[requests.Session]:
    with phones_session(push_service) as http:
        yield http


@pytest.fixture
def push_phone(
    push_service: PushService, phones_http: requests.Session, identity: VapidIdentity
) -> PushPhone:
    return PushPhone(phones_http, push_service, vapid=identity.key.public_key())


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every attempt of this process to connect to anything."""
    attempts: list[object] = []

    def connect(address: object, *_options: object, **_more: object) -> socket.socket:
        attempts.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setattr(socket.socket, "connect", lambda _socket, address: connect(address))
    return attempts


@pytest.fixture
def connections_made(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every address that this process connects to."""
    made: list[object] = []
    connect = socket.socket.connect

    def noting(self: socket.socket, address: tuple[str, int]) -> None:
        made.append(address)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", noting)
    return made


# --- rows ---------------------------------------------------------------------


@pytest.fixture
def cell(session_factory: Sessions, clock: SettableClock) -> UUID:
    with session_factory.begin() as session:
        return add_cell(session, now=clock())


@pytest.fixture
def transaction(session_factory: Sessions, cell: UUID, clock: SettableClock) -> UUID:
    with session_factory.begin() as session:
        return add_transaction(session, cell, now=clock())


@pytest.fixture
def phone(session_factory: Sessions, cell: UUID, clock: SettableClock) -> bytes:
    with session_factory.begin() as session:
        return add_phone(session, cell, now=clock())


@pytest.fixture
def outbox(
    session_factory: Sessions, transaction: UUID, cell: UUID, clock: SettableClock
) -> Outbox:
    return Outbox(session_factory, transaction=transaction, cell=cell, clock=clock)


# --- a worker -----------------------------------------------------------------


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def channels(identity: VapidIdentity, gateway: Gateway) -> Channels:
    return Channels(
        allowed_hosts=(),
        identity=identity,
        app_url="",
        sms_key=KEY,
        sms_gateway=gateway,
        sms_rules=UNBOUNDED,
    )


@pytest.fixture
def add_texts(
    session_factory: Sessions, transaction: UUID, clock: SettableClock
) -> Callable[[int], None]:
    def add(count: int) -> None:
        with session_factory.begin() as session:
            for number in range(count):
                sms = Sms(number="+79001234567", text=f"text {number}")
                enqueue_sms(
                    session,
                    transaction=transaction,
                    sealed_sms=seal_sms(sms, PublicJwk.of(KEY.public_key())),
                    now=clock(),
                    expires_at=clock() + LIFE,
                )

    return add
