"""For each module an installation that runs, a Chromium with a camera, and phones in it."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.world.app_stage import AppStage, a_stage
from tests.world.chromium import PROGRAM, running_chromium
from tests.world.fake_camera import FakeCamera
from tests.world.handset import Handset, NewHandset
from tests.world.installation import Installation, running_installation
from tests.world.push_service import running_push_service


@pytest.fixture(scope="module")
def settings() -> dict[str, object]:
    """Members of the settings: a module asks more often than a relying party may."""
    return {"pending_per_signer": 20, "pushes_per_ten_minutes": 60}


@pytest.fixture(scope="module")
def installation(
    tmp_path_factory: pytest.TempPathFactory, settings: dict[str, object]
) -> Iterator[Installation]:
    """The module's installation and push service."""
    folder = tmp_path_factory.mktemp("installation")
    with (
        running_push_service(ca_out=folder / "push-ca.pem") as push,
        running_installation(folder / "data", push, **settings) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> FakeCamera:
    """The camera of every phone in the module's browser."""
    return FakeCamera(tmp_path_factory.mktemp("camera") / "film.y4m")


@pytest.fixture(scope="module")
def chromium(camera: FakeCamera) -> Iterator[Browser]:
    """The module's browser."""
    if not PROGRAM.exists():
        pytest.skip("Chromium is not installed")
    with running_chromium(*camera.switches) as browser:
        yield browser


@pytest.fixture(scope="module")
def new_handset(chromium: Browser, installation: Installation) -> Iterator[NewHandset]:
    """Take a new phone."""
    handsets = []

    def taken(**given: Any) -> Handset:  # noqa: ANN401  # as Handset
        handsets.append(Handset(chromium, installation, **given))
        return handsets[-1]

    yield taken
    for handset in handsets:
        handset.close()


@pytest.fixture(scope="module")
def stage(installation: Installation, new_handset: NewHandset) -> AppStage:
    """A signer with a phone that may sign."""
    return a_stage(installation, new_handset())
