"""The app on a computer: it says so, the signer reads so, and the authority may refuse it."""

from collections.abc import Iterator
from itertools import count

import msgspec
import pytest
from playwright.sync_api import Browser, expect

from tests.world.chromium import PHONE, assert_accessible
from tests.world.phone_app import Person, a_person, serving_app
from tests.world.service import ANNA, Service

ANDROID = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile"
LOGINS = (f"at.the.computer.{number}" for number in count())


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving_app(tmp_path_factory.mktemp("app")) as opened:
        yield opened


@pytest.fixture
def computer(service: Service, chromium: Browser) -> Iterator[Person]:
    """This machine's own Chromium, as it is."""
    context = chromium.new_context(locale="en-GB")
    yield a_person(service, context)
    context.close()


@pytest.fixture
def phone(service: Service, chromium: Browser) -> Iterator[Person]:
    """The same, which says that it is a phone's."""
    width, height = PHONE
    context = chromium.new_context(
        locale="en-GB", user_agent=ANDROID, viewport={"width": width, "height": height}
    )
    yield a_person(service, context)
    context.close()


def listed(person: Person) -> str:
    """What the app's list of phones says."""
    person.open("/#/settings")
    person.tap("to-phones")
    person.screen("phones")
    return person.see("phones").inner_text()


def test_a_computer_is_paired_as_one_and_a_phone_as_a_phone(
    service: Service, computer: Person, phone: Person
) -> None:
    for person, called in ((computer, "Computer"), (phone, "Web app")):
        person.pair(service.register(msgspec.structs.replace(ANNA, login=next(LOGINS))))
        assert listed(person).startswith(called)


def test_where_computers_are_refused_the_envelope_stays_good_for_the_phone(
    service: Service, computer: Person, phone: Person
) -> None:
    applicant = msgspec.structs.replace(ANNA, login=next(LOGINS), desktop=False)
    envelope = service.register(applicant)
    computer.give_code(envelope)
    computer.give_password(envelope)
    computer.tap("make-passkey")
    expect(computer.see("error")).to_contain_text("does not allow the app on a computer")
    assert_accessible(computer.page)

    phone.give_code(envelope)
    phone.give_password(envelope)
    phone.tap("make-passkey")
    phone.screen("pair-confirm")
    phone.confirm_by_sms()
    assert listed(phone).startswith("Web app")
