"""The phone app reads QR codes by the camera: of a further phone, and of a cell that exists."""

from collections.abc import Iterator

import msgspec
import pytest
from playwright.sync_api import Browser, expect

from backend.devices.replacement import Replacement, ReplacementOrder, print_replacement
from backend.virtual_phone.phone import VirtualPhone
from tests.world.chromium import PROGRAM, beside, running_chromium
from tests.world.fake_camera import FakeCamera
from tests.world.phone_app import Person, a_person, serving_app
from tests.world.service import ANNA, NEW_PASSWORD, PRINTER, Service, hashes


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


def test_a_phone_lets_in_another_whose_screen_it_scans_and_removes_it(
    service: Service, people: list[Person], camera: FakeCamera
) -> None:
    old, new = people
    old.pair(service.register())
    old.certify()
    scan_further_phone(old, new, camera)
    new.tap("make-passkey")
    expect(new.see("further-status")).not_to_be_empty()
    old.tap("approve")
    old.screen("done-approved")
    beside(service.clerk.run_once)
    new.screen("requests")

    service.ask(*hashes(1), party=service.add_relying_party())
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


def replacement(service: Service, login: str) -> Replacement:
    """The operator prints an envelope for the cell that the signer has."""
    order = ReplacementOrder(
        login=login, operator=PRINTER, remove_phones=False, reset_password=False
    )
    with service.sessions() as session:
        return print_replacement(
            session,
            service.sam,
            order,
            settings=service.settings,
            public_keys=service.public_keys,
            now=service.clock(),
        )


def lost_phone(service: Service, login: str) -> VirtualPhone:
    """A signer had a phone, and a certificate."""
    envelope = service.register(msgspec.structs.replace(ANNA, login=login))
    phone = service.paired_phone(envelope, name=login)
    beside(lambda: service.certify(phone))
    return phone


def bring_back(person: Person, envelope: Replacement, camera: FakeCamera, *, code: str) -> None:
    """Pair again with the cell that is there, up to the SMS."""
    scan_envelope(person, envelope.qr2, camera)
    person.see("login").fill(envelope.login)
    person.see("password").fill(NEW_PASSWORD)
    person.see("recovery-code").fill(code)
    person.tap("next")
    person.tap("make-passkey")
    person.confirm_by_sms()


def test_the_recovery_code_brings_the_cell_to_another_phone(
    service: Service, people: list[Person], camera: FakeCamera
) -> None:
    lost = beside(lambda: lost_phone(service, "d.ivanova"))
    code = lost.new_recovery_code()
    person, _ = people
    bring_back(person, replacement(service, "d.ivanova"), camera, code=code.lower())
    expect(person.see("remind-recovery")).to_be_visible()
    person.open("/#/settings")
    person.tap("to-phones")
    expect(person.see("phones").locator("li")).to_have_count(2)


def test_the_password_brings_the_cell_and_a_new_recovery_code_is_made(
    service: Service, people: list[Person], camera: FakeCamera
) -> None:
    beside(lambda: lost_phone(service, "e.ivanova"))
    person, _ = people
    bring_back(person, replacement(service, "e.ivanova"), camera, code="")
    person.open("/#/settings")
    person.tap("to-recovery")
    person.tap("recovery-make")
    person.screen("recovery-code")
    expect(person.see("recovery-code").locator("li")).to_have_count(6)
