"""Every screen of the phone app, in every look: axe finds nothing, nothing is cut."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.world.app_stage import ask_with_number
from tests.world.authority import Signer
from tests.world.handset import Handset, NewHandset
from tests.world.installation import Installation
from tests.world.looks import LANGS, look_at
from tests.world.service import NEW_PASSWORD, SMS_ON, Service

pytestmark = pytest.mark.sms


class Tour:
    """Looks at one screen after the other."""

    def __init__(self, handset: Handset, lang: str) -> None:
        self.handset = handset
        self.lang = lang
        self.count = 0

    def at(self, screen: str) -> None:
        """Look at the screen that comes."""
        self.handset.at(screen)
        self.count += 1
        look_at(self.handset.page, f"app-{self.count:02}-{screen}", lang=self.lang)


@pytest.fixture(scope="module")
def settings() -> dict[str, object]:
    """The app is opened so often that its long polls would find every seat taken; with the code."""
    return {"long_poll_seconds": 1, **SMS_ON}


@pytest.fixture(params=LANGS)
def tour(request: pytest.FixtureRequest, new_handset: NewHandset) -> Iterator[Tour]:
    handset = new_handset(lang=request.param, permissions=("camera",))
    yield Tour(handset, request.param)
    assert not handset.failures
    assert handset.watch.origins == handset.authority.origins


@pytest.fixture
def signer(installation: Installation, tour: Tour) -> Signer:
    return installation.register(lang=tour.lang)


def test_every_screen_can_be_used_by_everyone(
    installation: Installation, tour: Tour, signer: Signer
) -> None:
    pair(tour, signer)
    answer(tour, signer, installation.service)
    look_around(tour)
    leave(tour)


def pair(tour: Tour, signer: Signer) -> None:
    handset = tour.handset
    handset.open()
    tour.at("welcome")
    handset.tap("pair-further")
    expect(handset.see("further-qr")).to_be_visible()
    tour.at("further")
    handset.tap("back", "pair")
    tour.at("pair-code")
    handset.type(envelope_code=signer.qr2_code)
    handset.tap("next")
    tour.at("pair-password")
    handset.type(
        login=signer.login, password=signer.envelope.first_password, new_password=NEW_PASSWORD
    )
    handset.tap("next")
    tour.at("pair-passkey")
    handset.tap("make-passkey")
    tour.at("pair-confirm")
    handset.confirm(signer)


def answer(tour: Tour, signer: Signer, service: Service) -> None:
    handset = tour.handset
    expect(handset.see("request")).to_be_visible()
    tour.at("requests")
    handset.tap("request")
    tour.at("request")
    handset.tap("approve")
    tour.at("done-approved")
    handset.wait_until(lambda: signer.is_certified)
    labels = [f"Договор поставки {number}.pdf" for number in range(24)]
    labels += [f"schema {number}.xml" for number in range(6)]
    asked = ask_with_number(service, signer, len(labels), labels=tuple(labels))
    handset.open(f"/?tx={asked.id}")
    tour.at("request")
    handset.tap("not-me")
    tour.at("done-not_me")
    handset.open(f"/?tx={asked.id}")
    tour.at("over")


def look_around(tour: Tour) -> None:
    handset = tour.handset
    handset.open("/#/history")
    tour.at("history")
    handset.see("entry").last.click()
    tour.at("entry")
    handset.tap("tab-settings")
    tour.at("settings")
    for room in ("phones", "keys", "stopped", "freeze", "recovery"):
        handset.tap("tab-settings", f"to-{room}")
        tour.at(room)
    handset.tap("recovery-show")
    tour.at("recovery-code")
    handset.tap("recovery-written")
    tour.at("recovery-check")
    handset.room("phones")
    handset.tap("add-phone")
    tour.at("add-phone")


def leave(tour: Tour) -> None:
    handset = tour.handset
    handset.room("phones")
    handset.tap("remove-this")
    tour.at("remove-phone")
    handset.room("freeze")
    handset.tap("freeze")
    tour.at("done-frozen")
