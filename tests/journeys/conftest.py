"""Stages of the whole service, made once a run and copied for each test."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backend.algorithms import KeyAlgorithm
from backend.devices.envelope import Envelope
from tests.world.clock import SettableClock
from tests.world.csc_client import CscClient, a_relying_party
from tests.world.oauth_client import OauthClient, an_oauth_client
from tests.world.service import SMS_ON, Service, copy_service, open_service


@dataclass(frozen=True)
class Stage:
    """A closed service, and the envelope of its signer."""

    folder: Path
    envelope: Envelope


def _registered(folder: Path, **settings: Any) -> Stage:  # noqa: ANN401  # members of Settings
    service = open_service(folder, **settings)
    envelope = service.register()
    service.close()
    return Stage(folder, envelope)


def _certified(before: Stage, folder: Path, **settings: Any) -> Stage:  # noqa: ANN401  # members of Settings
    service = copy_service(before.folder, folder, **settings)
    service.signing_phone(before.envelope)
    service.close()
    return Stage(folder, before.envelope)


@pytest.fixture(scope="session")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A signer is registered, and has the envelope."""
    return _registered(tmp_path_factory.mktemp("registered"))


@pytest.fixture(scope="session")
def certified(registered: Stage, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """The signer has a phone, the state of which is ``phone.json``, and a certificate."""
    return _certified(registered, tmp_path_factory.mktemp("certified"))


@pytest.fixture(scope="session")
def registered_with_sms(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """The same where texts can be sent: a code confirms the phone."""
    return _registered(tmp_path_factory.mktemp("registered-with-sms"), **SMS_ON)


@pytest.fixture(scope="session")
def certified_with_sms(
    registered_with_sms: Stage, tmp_path_factory: pytest.TempPathFactory
) -> Stage:
    """Likewise; a code confirmed the phone."""
    folder = tmp_path_factory.mktemp("certified-with-sms")
    return _certified(registered_with_sms, folder, **SMS_ON)


@pytest.fixture
def settings() -> dict[str, object]:
    """Members of the settings that differ in a test; ``parametrize`` it."""
    return {}


@pytest.fixture
def sms(request: pytest.FixtureRequest) -> bool:
    """Whether texts can be sent: by the mark ``sms``."""
    return request.node.get_closest_marker("sms") is not None


@pytest.fixture
def new_stage(request: pytest.FixtureRequest, *, sms: bool) -> Stage:
    """Of a signer who has the envelope."""
    made: Stage = request.getfixturevalue("registered_with_sms" if sms else "registered")
    return made


@pytest.fixture
def signing_stage(request: pytest.FixtureRequest, *, sms: bool) -> Stage:
    """Of a signer who has a phone and a certificate."""
    made: Stage = request.getfixturevalue("certified_with_sms" if sms else "certified")
    return made


@pytest.fixture
def service(
    new_stage: Stage, tmp_path: Path, clock: SettableClock, *, sms: bool
) -> Iterator[Service]:
    """The service of a signer who has the envelope."""
    given = SMS_ON if sms else {}
    opened = copy_service(new_stage.folder, tmp_path / "service", clock=clock, **given)
    yield opened
    opened.close()


@pytest.fixture
def envelope(new_stage: Stage) -> Envelope:
    """The signer's."""
    return new_stage.envelope


@pytest.fixture
def signing_service(
    signing_stage: Stage,
    tmp_path: Path,
    clock: SettableClock,
    settings: dict[str, object],
    *,
    sms: bool,
) -> Iterator[Service]:
    """The service of a signer who has a phone and a certificate."""
    given = settings | SMS_ON if sms else settings
    opened = copy_service(signing_stage.folder, tmp_path / "service", clock=clock, **given)
    yield opened
    opened.close()


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
