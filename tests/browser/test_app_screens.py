"""Every screen of the phone app: axe finds nothing, nothing is cut, no other address is called.

``CELLKEY_PICTURES`` names a folder for pictures of them; people look at those.
"""

from collections.abc import Iterator
from os import environ

import msgspec
import pytest
from playwright.sync_api import Browser, expect

from tests.world.chromium import PHONE, TABLET, assert_accessible, beside, picture
from tests.world.phone_app import Person, a_person, serving_app
from tests.world.service import ANNA, Service, hashes

CUT = """() => [document.documentElement, document.getElementById("main")]
  .map((box) => box.scrollWidth - box.clientWidth)"""
UNROLLED = """(on) => {
  document.body.style.height = on ? "auto" : "";
  document.getElementById("main").style.overflow = on ? "visible" : "";
}"""
LOOKS = {
    "ru-light-phone": ("ru-RU", "light", PHONE),
    "en-dark-tablet": ("en-GB", "dark", TABLET),
    "ru-dark-phone": ("ru-RU", "dark", PHONE),
    "en-light-tablet": ("en-GB", "light", TABLET),
}
FEW = ["ru-light-phone", "en-dark-tablet"]
"""Each language, scheme and size once; all of them where pictures are taken."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving_app(tmp_path_factory.mktemp("app")) as opened:
        yield opened


@pytest.fixture(params=LOOKS if "CELLKEY_PICTURES" in environ else FEW)
def person(
    request: pytest.FixtureRequest, service: Service, chromium: Browser
) -> Iterator[tuple[Person, str]]:
    lang, scheme, (width, height) = LOOKS[request.param]
    context = chromium.new_context(
        locale=lang,
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": height},
    )
    yield a_person(service, context), request.param
    context.close()


class Look:
    """Looks at one screen after the other."""

    def __init__(self, person: Person, name: str) -> None:
        self.person = person
        self.name = name
        self.count = 0

    def at(self, screen: str) -> None:
        """Look at the screen that is shown, or comes."""
        self.person.screen(screen)
        page = self.person.page
        assert_accessible(page)
        assert page.evaluate(CUT) == [0, 0], screen
        self.count += 1
        page.evaluate(UNROLLED, arg=True)
        picture(page, f"app-{self.name}-{self.count:02}-{screen}")
        page.evaluate(UNROLLED, arg=False)


def test_every_screen_can_be_used_by_everyone(service: Service, person: tuple[Person, str]) -> None:
    user, name = person
    look = Look(user, name)
    envelope = service.register(msgspec.structs.replace(ANNA, login=name))
    pair(look, envelope.qr2.partition("s=")[2], envelope.login, envelope.first_password)
    answer(look, name)
    look_around(look)
    homes = {
        service.settings.app_url,
        service.settings.authorization_server_url,
        service.settings.mobile_api_url,
    }
    assert {"/".join(url.split("/")[:3]) for url in user.asked_for} == homes
    assert not user.failures


def pair(look: Look, code: str, login: str, first_password: str) -> None:
    user = look.person
    user.open()
    look.at("welcome")
    user.tap("pair-further")
    expect(user.see("further-qr")).to_be_visible()
    look.at("further")
    user.tap("back")
    user.tap("pair")
    look.at("pair-code")
    user.see("envelope-code").fill(code)
    user.tap("next")
    look.at("pair-password")
    user.see("login").fill(login)
    user.see("password").fill(first_password)
    user.see("new-password").fill("зелёный чайник 7")
    user.tap("next")
    look.at("pair-passkey")
    user.tap("make-passkey")
    look.at("pair-confirm")
    user.confirm_by_sms()
    look.at("requests")


def answer(look: Look, name: str) -> None:
    user = look.person
    service = user.service
    beside(service.clerk.run_once)
    user.tap("request")
    look.at("request")
    user.tap("approve")
    look.at("done-approved")
    beside(service.clerk.run_once)
    user.tap("to-requests")
    party = service.add_relying_party(name, "Торговая площадка «Восход»")
    labels = [f"Договор поставки {number}.pdf" for number in range(24)]
    labels += [f"schema {number}.xml" for number in range(6)]
    asked = service.ask(
        *hashes(30, seed=name),
        credential=service.credential(name),
        party=msgspec.structs.replace(party, asks_number=True),
        labels=tuple(labels),
    )
    user.open(f"/?tx={asked.id}")
    look.at("request")
    user.tap("not-me")
    look.at("done-not_me")
    user.open(f"/?tx={asked.id}")
    look.at("over")


def look_around(look: Look) -> None:
    user = look.person
    for tab in ("history", "settings"):
        user.open(f"/#/{tab}")
        look.at(tab)
    user.open("/#/history")
    user.see("entry").last.click()
    look.at("entry")
    for room in ("phones", "stopped", "freeze", "recovery"):
        user.open("/#/settings")
        user.tap(f"to-{room}")
        look.at(room)
    user.tap("recovery-show")
    look.at("recovery-code")
    user.tap("recovery-written")
    look.at("recovery-check")
    user.open("/#/settings")
    user.tap("to-phones")
    user.tap("remove-this")
    look.at("remove-phone")
