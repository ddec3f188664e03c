"""The phone app reads QR codes by the camera: of the envelope, and of a further phone's screen."""

from collections.abc import Iterator

import msgspec
import pytest
from playwright.sync_api import Browser, expect

from tests.world.chromium import PROGRAM, beside, running_chromium
from tests.world.fake_camera import FakeCamera
from tests.world.phone_app import Person, a_person, serving_app
from tests.world.service import ANNA, Service, hashes


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> FakeCamera:
    return FakeCamera(tmp_path_factory.mktemp("film") / "film.y4m")


@pytest.fixture(scope="module")
def browser(camera: FakeCamera) -> Iterator[Browser]:
    if not PROGRAM.exists():
        pytest.skip("Chromium is not installed")
    with running_chromium(*camera.switches) as running:
        yield running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving_app(tmp_path_factory.mktemp("app")) as opened:
        yield opened


@pytest.fixture
def people(service: Service, browser: Browser) -> Iterator[list[Person]]:
    """The same signer with two phones."""
    contexts = [browser.new_context(locale="en-GB") for _ in range(2)]
    yield [a_person(service, context) for context in contexts]
    for context in contexts:
        context.close()


def scan_envelope(person: Person, text: str, camera: FakeCamera) -> None:
    """Pairing, step 1: hold a code before the camera."""
    camera.hold_before_it(text)
    person.open()
    person.tap("pair")
    person.tap("scan")


def scan_further_phone(old: Person, new: Person, camera: FakeCamera) -> str:
    """The old phone scans the new one's screen, and asks; what was scanned."""
    new.open()
    new.tap("pair-further")
    text = new.see("further-qr").get_attribute("data-text")
    assert text is not None
    camera.hold_before_it(text)
    old.open("/#/settings")
    old.tap("to-phones")
    old.tap("add-phone")
    old.tap("scan")
    old.screen("request")
    return text


def test_a_phone_is_paired_by_the_camera_and_takes_no_other_code(
    service: Service, people: list[Person], camera: FakeCamera
) -> None:
    person, _ = people
    envelope = service.register()
    scan_envelope(person, envelope.qr1, camera)
    expect(person.see("error").first).to_contain_text("another QR code")
    scan_envelope(person, envelope.qr2, camera)
    person.screen("pair-password")
    person.give_password(envelope)
    person.tap("make-passkey")
    person.confirm_by_sms()
    assert not person.failures


def test_a_phone_lets_in_another_whose_screen_it_scans_and_removes_it(
    service: Service, people: list[Person], camera: FakeCamera
) -> None:
    old, new = people
    old.pair(service.register(msgspec.structs.replace(ANNA, login="c.ivanova")))
    old.certify()
    scan_further_phone(old, new, camera)
    new.tap("make-passkey")
    expect(new.see("further-status")).not_to_be_empty()
    old.tap("approve")
    old.screen("done-approved")
    beside(service.clerk.run_once)
    new.screen("requests")

    service.ask(
        *hashes(1), party=service.add_relying_party(), credential=service.credential("c.ivanova")
    )
    new.tap("request")
    new.tap("approve")
    new.screen("done-approved")

    old.open("/#/settings")
    old.tap("to-phones")
    expect(old.see("phones").locator("li")).to_have_count(2)
    old.tap("remove")
    old.tap("remove-yes")
    old.screen("phones")
    beside(service.clerk.run_once)
    new.open()
    expect(new.see("removed")).to_be_visible()


def test_the_code_of_another_phone_than_the_ask_s_approves_nothing(
    service: Service, people: list[Person], camera: FakeCamera
) -> None:
    """A key that came only from the service is never sealed to (docs/phone-protocol.md, 5)."""
    old, new = people
    old.pair(service.register(msgspec.structs.replace(ANNA, login="b.ivanova")))
    old.certify()
    text = scan_further_phone(old, new, camera)
    address = old.page.url
    # The page is opened anew: nothing is scanned, and what is scanned now is another phone's.
    new.tap("further-again")
    other = new.see("further-qr")
    expect(other).not_to_have_attribute("data-text", text)
    camera.hold_before_it(other.get_attribute("data-text") or "")
    old.page.goto("about:blank")
    old.page.goto(address)
    old.tap("approve")
    expect(old.see("error").last).to_contain_text("First scan")
    old.tap("scan")
    expect(old.see("scanned")).to_contain_text("is scanned")
    old.tap("approve")
    expect(old.see("error").last).to_contain_text("another phone")
