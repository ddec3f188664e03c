"""A Firefox for each module, beside a push service of ours that knows browsers."""

from collections.abc import Iterator

import pytest

from tests.world.clock import SettableClock
from tests.world.firefox import PROGRAM, Firefox, running_firefox
from tests.world.push_service import PushService, running_push_service


@pytest.fixture(scope="module")
def time() -> SettableClock:
    """The clock of the push service and of who sends; Firefox has its own."""
    return SettableClock()


@pytest.fixture(scope="module")
def push_service(
    tmp_path_factory: pytest.TempPathFactory, time: SettableClock
) -> Iterator[PushService]:
    """The module's push service."""
    ca_file = tmp_path_factory.mktemp("push") / "ca.pem"
    with running_push_service(ca_out=ca_file, clock=lambda: time().timestamp()) as service:
        yield service


@pytest.fixture(scope="module")
def firefox(
    tmp_path_factory: pytest.TempPathFactory, push_service: PushService
) -> Iterator[Firefox]:
    """The module's browser."""
    if not PROGRAM.exists():
        pytest.skip("Firefox is not installed")
    folder = tmp_path_factory.mktemp("firefox")
    with running_firefox(folder, push_url=push_service.socket_url) as browser:
        yield browser
