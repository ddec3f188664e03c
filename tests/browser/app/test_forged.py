"""Whoever stands between app and service can show the signer nothing that is not the service's."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from backend.protocol.ask import TYP
from backend.protocol.jose import LONGEST_MESSAGE, sign_payload
from backend.virtual_phone.encoding import unb64u
from backend.virtual_phone.jose import jwk_of, new_key, sign
from tests.world.app_stage import AppStage
from tests.world.chromium import LONGEST_MS
from tests.world.csc_client import PAYMENT
from tests.world.looks import look_at

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


@contextmanager
def forged(stage: AppStage, forge: Forge) -> Iterator[None]:
    """Somebody between app and service puts another ask in its place."""

    def put(route: Route) -> None:
        answer = route.fetch(timeout=LONGEST_MS)
        told = answer.json()
        forge(told, json.loads(unb64u(told["ask"].split(".")[1])))
        route.fulfill(response=answer, json=told)

    stage.handset.page.route("**/transactions/*-*", put)
    yield
    stage.handset.page.unroute("**/transactions/*-*", put)


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
    expect(stage.handset.see("approve")).to_have_count(0)
    look_at(stage.handset.page, "app-stranger", lang="en")
    assert asked.state == "pending"
    assert stage.handset.decisions()[0] == "stranger"


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
    assert stage.handset.decisions()[0] == "refused"


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
    look_at(page, "app-hostile", lang="en")


def test_another_list_of_documents_than_the_ask_s_is_not_shown(stage: AppStage) -> None:
    """What is shown is what the ask's root covers, whatever the service sends beside it."""
    asked = stage.ask(2)

    def forge(told: dict[str, Any], _claims: dict[str, Any]) -> None:
        told["list"][0] = told["list"][0].replace("1", "2")

    with forged(stage, forge):
        stage.handset.open(f"/?tx={asked.id}")
        stage.handset.at("refused-by-phone")
    expect(stage.handset.see("approve")).to_have_count(0)
