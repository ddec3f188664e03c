"""More phones of one cell: scanned from their screens, removed, and paired after a loss."""

import pytest
from playwright.sync_api import expect

from tests.world.app_stage import AppStage, a_stage
from tests.world.fake_camera import FakeCamera
from tests.world.handset import Handset, NewHandset
from tests.world.installation import Installation
from tests.world.service import SMS_ON

pytestmark = pytest.mark.sms


@pytest.fixture(scope="module")
def settings() -> dict[str, object]:
    """By password a phone comes back with the code alone."""
    return {"pushes_per_ten_minutes": 60, **SMS_ON}


@pytest.fixture
def stage(installation: Installation, new_handset: NewHandset) -> AppStage:
    """Of each test its own: phones come and go."""
    return a_stage(installation, new_handset())


@pytest.fixture
def new(new_handset: NewHandset) -> Handset:
    """Another phone of the same signer."""
    return new_handset()


def scan_further_phone(old: Handset, new: Handset, camera: FakeCamera) -> str:
    """The old phone scans the new one's screen, and asks; what was scanned."""
    new.open()
    new.tap("pair-further")
    text = new.see("further-qr").get_attribute("data-text")
    assert text is not None
    camera.hold_before_it(text)
    old.room("phones")
    old.tap("add-phone", "scan")
    old.at("request")
    return text


def phones(handset: Handset, count: int) -> None:
    """The settings name so many phones."""
    handset.room("phones")
    expect(handset.see("phones").locator("li")).to_have_count(count)


def test_a_phone_lets_in_another_whose_screen_it_scans_and_removes_it(
    stage: AppStage, new: Handset, camera: FakeCamera
) -> None:
    old = stage.handset
    old.open()
    expect(old.see("remind-recovery")).to_be_visible()
    scan_further_phone(old, new, camera)
    new.tap("make-passkey")
    expect(new.see("further-status")).not_to_be_empty()
    old.approve()
    new.at("requests")
    old.open()
    expect(old.see("remind-recovery")).to_have_count(0)
    asked = stage.ask()
    new.open_asked(asked.id)
    new.approve()
    asked.collect()

    phones(old, 2)
    old.tap("remove", "remove-yes")
    old.at("phones")
    new.open()
    expect(new.see("removed")).to_be_visible()


def test_the_code_of_another_phone_than_the_ask_s_approves_nothing(
    stage: AppStage, new: Handset, camera: FakeCamera
) -> None:
    """A key that came only from the service is never sealed to (docs/phone-protocol.md, 5)."""
    old = stage.handset
    text = scan_further_phone(old, new, camera)
    address = old.page.url.removeprefix(stage.installation.app_url)
    # The page is opened anew: nothing is scanned, and what is scanned now is another phone's.
    new.tap("further-again")
    other = new.see("further-qr")
    expect(other).not_to_have_attribute("data-text", text)
    other_text = other.get_attribute("data-text")
    assert other_text is not None
    camera.hold_before_it(other_text)
    old.open(address)
    old.tap("approve")
    old.told("First scan")
    old.tap("scan")
    expect(old.see("scanned")).to_contain_text("is scanned")
    old.tap("approve")
    old.told("another phone")


def test_the_recovery_code_brings_the_cell_to_another_phone(
    stage: AppStage, new: Handset, camera: FakeCamera
) -> None:
    code = stage.handset.save_recovery_code()
    envelope = stage.signer.replacement()
    new.pair_again(stage.signer, envelope, camera=camera, code=code.lower())
    expect(new.see("remind-recovery")).to_be_visible()
    phones(new, 2)


def test_the_password_brings_the_cell_and_a_new_recovery_code_is_made(
    stage: AppStage, new: Handset, camera: FakeCamera
) -> None:
    new.pair_again(stage.signer, stage.signer.replacement(), camera=camera, code="")
    new.room("recovery")
    new.tap("recovery-make")
    new.at("recovery-code")
    expect(new.see("recovery-code").locator("li")).to_have_count(6)
