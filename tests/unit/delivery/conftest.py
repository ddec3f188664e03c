"""A push service, and us as its application."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec

from backend.delivery.endpoints import AllowedHost, parse_push_hosts
from backend.delivery.web_push import VapidIdentity, vapid_identity
from tests.world.push_phone import PushPhone, phones_session
from tests.world.push_service import PushService, running_push_service


@pytest.fixture
def push_service(tmp_path: Path) -> Iterator[PushService]:
    with running_push_service(ca_out=tmp_path / "push-ca.pem") as service:
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
