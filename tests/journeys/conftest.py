"""Stages of the whole service, made once a run and copied for each test."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backend.algorithms import KeyAlgorithm
from backend.devices.envelope import Envelope
from tests.world.clock import SettableClock
from tests.world.csc_client import CscClient, a_relying_party
from tests.world.oauth_client import OauthClient, an_oauth_client
from tests.world.service import Service, copy_service, open_service


@dataclass(frozen=True)
class Stage:
    """A closed service, and the envelope of its signer."""

    folder: Path
    envelope: Envelope


@pytest.fixture(scope="session")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A signer is registered, and has the envelope."""
    folder = tmp_path_factory.mktemp("registered")
    service = open_service(folder)
    envelope = service.register()
    service.close()
    return Stage(folder, envelope)


@pytest.fixture(scope="session")
def certified(registered: Stage, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """The signer has a phone, the state of which is ``phone.json``, and a certificate."""
    folder = tmp_path_factory.mktemp("certified")
    service = copy_service(registered.folder, folder)
    service.signing_phone(registered.envelope)
    service.close()
    return Stage(folder, registered.envelope)


@pytest.fixture
def service(registered: Stage, tmp_path: Path, clock: SettableClock) -> Iterator[Service]:
    """The service of a signer who has the envelope."""
    opened = copy_service(registered.folder, tmp_path / "service", clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def envelope(registered: Stage) -> Envelope:
    """The signer's."""
    return registered.envelope


@pytest.fixture
def signing_service(
    certified: Stage, tmp_path: Path, clock: SettableClock, settings: dict[str, object]
) -> Iterator[Service]:
    """The service of a signer who has a phone and a certificate."""
    opened = copy_service(certified.folder, tmp_path / "service", clock=clock, **settings)
    yield opened
    opened.close()


@pytest.fixture
def settings() -> dict[str, object]:
    """Members of the settings that differ in a test; ``parametrize`` it."""
    return {}


@pytest.fixture
def shop(signing_service: Service) -> CscClient:
    """A relying party that may ask that signer."""
    return a_relying_party(signing_service)


@pytest.fixture(scope="session")
def rsa_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CscClient]:
    """A relying party of a service whose signer has an RSA key."""
    opened = open_service(tmp_path_factory.mktemp("rsa"))
    opened.signing_phone(opened.register(algorithm=KeyAlgorithm.RSA_2048))
    yield a_relying_party(opened)
    opened.close()


@pytest.fixture(scope="session")
def calm_shop(certified: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CscClient]:
    """A relying party of a service that no test changes: for calls that must be refused."""
    opened = copy_service(certified.folder, tmp_path_factory.mktemp("calm"))
    yield a_relying_party(opened)
    opened.close()


@pytest.fixture
def oauth_shop(signing_service: Service) -> OauthClient:
    """A relying party that may get codes of that signer."""
    return an_oauth_client(signing_service)


@pytest.fixture(scope="session")
def calm_oauth(certified: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OauthClient]:
    """One of a service where nobody signs in: for requests that must be refused."""
    opened = copy_service(certified.folder, tmp_path_factory.mktemp("calm-oauth"))
    yield an_oauth_client(opened)
    opened.close()
