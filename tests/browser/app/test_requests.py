"""What reaches the signer's eyes in a real browser, and what comes of the answer."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Route

from backend.delivery.worker_keys import read_vapid_key
from backend.protocol.ask import TYP
from backend.protocol.jose import LONGEST_MESSAGE, sign_payload
from backend.virtual_phone.encoding import unb64u
from backend.virtual_phone.jose import jwk_of, new_key, sign
from tests.world.app_stage import AppStage, Asked, a_stage
from tests.world.bad_network import Lost, bad_network
from tests.world.chromium import PHONE, TABLET, assert_accessible, picture
from tests.world.chromium_push import deliver, notification_tags, subscribe_by, tap_notification
from tests.world.csc_client import PAYMENT, refusal, words
from tests.world.handset import NewHandset
from tests.world.installation import Installation
from tests.world.push_phone import PushPhone, phones_session

HOSTILE = {
    "title": "<img src=x onerror=\"document.title='owned'\">",
    "lines": [
        "<script>document.title='owned'</script>",
        "</p><form action='https://evil.example'><input name=password>",
        "1\u202e000 \u2066RUB\u2069",
        "invisible\u200b\u2060\ufeff\u00ad",
        "javascript:document.title='owned'",
        "x" * 500,
        "\u0000\u001b[31m\u0007",
    ],
}
PRESENT = "Подарок от банка"
Forge = Callable[[dict[str, Any], dict[str, Any]], None]
"""Changes what the service told of a transaction, given the claims of its ask."""


def open_asked(stage: AppStage, asked: Asked) -> str:
    """Come from the list to a request; what is shown."""
    stage.handset.open()
    stage.handset.page.locator(f"a[href*='{asked.id}']").click()
    return stage.handset.at("request").inner_text()


def decisions(stage: AppStage) -> list[str | None]:
    """What the phone's history says, newest first."""
    stage.handset.open("/#/history")
    stage.handset.at("history")
    entries = stage.handset.page.get_by_test_id("entry").all()
    return [entry.get_attribute("data-decision") for entry in entries]


@contextmanager
def forged(stage: AppStage, forge: Forge) -> Iterator[None]:
    """Somebody between app and service puts another ask in its place."""

    def put(route: Route) -> None:
        answer = route.fetch()
        told = answer.json()
        forge(told, json.loads(unb64u(told["ask"].split(".")[1])))
        route.fulfill(response=answer, json=told)

    stage.handset.page.route("**/transactions/*-*", put)
    yield
    stage.handset.page.unroute("**/transactions/*-*", put)


def test_two_taps_approve_and_the_relying_party_collects(stage: AppStage) -> None:
    asked = stage.ask(transaction=PAYMENT)
    shown = open_asked(stage, asked)
    for said in ("Shop", "12 500,00", "ИП Ромашкин", "Иванова"):
        assert said in shown.replace("\xa0", " ").replace("\u202f", " ")
    stage.handset.approve()
    asked.collect()
    assert decisions(stage)[0] == "approved"


def test_what_is_rejected_gives_the_relying_party_nothing(stage: AppStage) -> None:
    asked = stage.ask()
    open_asked(stage, asked)
    stage.handset.tap("reject")
    stage.handset.at("done-rejected")
    assert asked.state == "rejected"
    assert refusal(asked.shop.check(asked.handle))[0] == 400


def test_an_ask_by_another_key_is_refused_and_reported(stage: AppStage) -> None:
    """Signed well, but not by the service that this phone knows: nothing of it is shown."""
    asked = stage.ask(transaction=PAYMENT)
    stranger = new_key()

    def forge(told: dict[str, Any], claims: dict[str, Any]) -> None:
        claims["text"]["lines"] = [PRESENT]
        told["ask"] = sign(claims, typ=TYP, key=stranger)
        told["ks"] = jwk_of(stranger).members()

    with forged(stage, forge):
        stage.handset.open(f"/?tx={asked.id}")
        shown = stage.handset.at("refused-by-phone").inner_text()
    assert PRESENT not in shown
    assert "not signed by the service" in shown
    assert not stage.handset.page.get_by_test_id("approve").count()
    see(stage, "stranger")
    assert asked.state == "pending"
    assert decisions(stage)[0] == "stranger"


@pytest.mark.parametrize("signature", ["the service's", "another's"])
def test_changed_words_are_not_shown(stage: AppStage, signature: str) -> None:
    """Under the signature over other words, and under one that claims to be the service's."""
    asked = stage.ask(transaction=PAYMENT)

    def forge(told: dict[str, Any], claims: dict[str, Any]) -> None:
        claims["text"]["lines"] = [PRESENT]
        header, _, signed = told["ask"].split(".")
        forged = sign(claims, typ=TYP, key=new_key()).split(".")
        told["ask"] = ".".join(
            [header, forged[1], signed if signature == "the service's" else forged[2]]
        )

    with forged(stage, forge):
        stage.handset.open(f"/?tx={asked.id}")
        assert PRESENT not in stage.handset.at("refused-by-phone").inner_text()
    assert decisions(stage)[0] == "refused"


def test_hostile_words_are_shown_as_words(stage: AppStage) -> None:
    """Even if the service itself signed what it must refuse: nothing runs, nothing hides."""
    asked = stage.ask()
    voice = stage.installation.service.sam._voice

    def forge(told: dict[str, Any], claims: dict[str, Any]) -> None:
        claims["text"] |= HOSTILE
        claims["rp"]["name"] = HOSTILE["title"]
        told["ask"] = sign_payload(
            json.dumps(claims).encode(),
            typ=TYP,
            key=voice.ks,
            sign=voice._by_ks,
            longest=LONGEST_MESSAGE,
        )

    with forged(stage, forge):
        stage.handset.open(f"/?tx={asked.id}")
        shown = stage.handset.at("request").inner_text()
    for said in ("<script>document.title='owned'</script>", "<form action", "onerror="):
        assert said in shown
    for deceiving in "\u202e\u2066\u2069\u200b\u2060\ufeff\u00ad\u0000\u001b\u0007":
        assert deceiving not in shown
    page = stage.handset.page
    assert page.title() != "owned"
    assert not page.locator("main :is(img, script, iframe), main form[action]").count()
    see(stage, "hostile")


def see(stage: AppStage, name: str) -> None:
    """Look at the screen in every size and scheme; nothing is cut off at the side."""
    page = stage.handset.page
    for (width, height), scheme in [(PHONE, "light"), (TABLET, "dark"), (PHONE, "dark")]:
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        assert_accessible(page)
        assert page.evaluate("document.getElementById('main').scrollWidth") <= width
        picture(page, f"{name}-{width}-{scheme}")


@pytest.mark.parametrize("loses", list(Lost), ids=lambda lost: lost.name.lower())
def test_an_approval_on_a_bad_network_is_given_once(stage: AppStage, loses: Lost) -> None:
    asked = stage.ask()
    open_asked(stage, asked)
    mobile_api = stage.installation.service.settings.mobile_api_url
    with bad_network(stage.handset.context, mobile_api, loses=loses) as lost:
        stage.handset.approve()
    assert lost[f"PUT /transactions/{asked.id}/approval"] == 1
    asked.collect()


def test_an_approval_that_could_not_be_sent_is_sent_at_the_next_start(stage: AppStage) -> None:
    """The signer's finger is not asked for again: the very same bytes go out."""
    asked = stage.ask()
    open_asked(stage, asked)
    handset = stage.handset
    call = f"PUT /transactions/{asked.id}/approval"
    mobile_api = stage.installation.service.settings.mobile_api_url
    with bad_network(handset.context, mobile_api, loses=Lost.REQUEST, times=1000) as lost:
        handset.tap("approve")
        handset.wait_until(lambda: lost[call] > 0)
        handset.page.goto("about:blank")
    before = len(handset.prf_outputs)
    assert asked.state == "pending"
    handset.open()
    handset.wait_until(lambda: asked.state == "approved")
    assert len(handset.prf_outputs) == before
    asked.collect()


def test_a_push_brings_the_signer_to_what_is_asked(
    installation: Installation, new_handset: NewHandset
) -> None:
    """Our worker's own message, decrypted as RFC 8291 has it, handed to the service worker."""
    settings = installation.service.settings
    vapid = read_vapid_key(settings).public_key()
    with phones_session(installation.push) as http:
        push_phone = PushPhone(http, installation.push, vapid=vapid)
        handset = new_handset()
        subscribe_by(handset, push_phone)
        stage = a_stage(installation, handset)
        messages: dict[str, bytes] = {}

        def arrived() -> bool:
            read = push_phone.read_all()
            messages.update((json.loads(each)["notification"]["tag"], each) for each in read)
            return str(asked.id) in messages

        asked = stage.ask(transaction=PAYMENT)
        handset.wait_until(arrived)
        deliver(handset, messages[str(asked.id)])
    handset.wait_until(lambda: notification_tags(handset) == [str(asked.id)])
    tap_notification(handset)
    assert "ИП Ромашкин" in handset.at("request").inner_text()
    handset.approve()
    asked.collect()


def test_not_me_offers_the_freeze_and_the_freeze_stops_everything(
    installation: Installation, new_handset: NewHandset
) -> None:
    stage = a_stage(installation, new_handset())
    waiting = stage.ask()
    asked = stage.ask()
    open_asked(stage, asked)
    stage.handset.tap("not-me")
    stage.handset.at("done-not_me")
    assert refusal(stage.shop().authorize(*waiting.hashes)) == (400, "access_denied")
    stage.handset.tap("freeze")
    stage.handset.at("done-frozen")
    other = installation.relying_party(stage.signer, name="Bank")
    assert words(other.authorize(*asked.hashes)).endswith("is disabled")
