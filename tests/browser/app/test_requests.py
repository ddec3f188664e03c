"""What the signer answers in a real browser, and what comes of it."""

import json
import re

import pytest
from playwright.sync_api import expect
from sqlalchemy import update

from backend.delivery.worker_keys import read_vapid_key
from backend.model.tables import Transaction
from backend.signing.request import RequestedTransaction
from backend.virtual_phone.jose import unverified_payload
from tests.world.app_stage import AppStage, a_stage, ask, ask_with_number
from tests.world.bad_network import Lost, bad_network
from tests.world.chromium_push import (
    deliver,
    notification_tags,
    subscribe_by,
    tap_notification,
    wait_for_subscription,
)
from tests.world.csc_client import PAYMENT, refusal, words
from tests.world.handset import NewHandset
from tests.world.installation import Installation
from tests.world.push_phone import PushPhone, phones_session
from tests.world.screen_number import number_on_screen

NOTIFY = """async (tag) => {
  const registration = await navigator.serviceWorker.ready;
  await registration.showNotification("A request waits for you", {tag});
}"""
"""What the service worker does at a push."""


def number_of(stage: AppStage, asked: RequestedTransaction) -> str:
    return number_on_screen(stage.installation.service.sessions, asked.id)


def becomes(stage: AppStage, asked: RequestedTransaction, state: str) -> None:
    """The app says what has become of it."""
    stage.handset.open(f"/?tx={asked.id}")
    stage.handset.at("over")
    expect(stage.handset.see("state")).to_have_attribute("data-state", state)


def test_two_taps_approve_and_the_relying_party_collects(stage: AppStage) -> None:
    asked = stage.ask(transaction=PAYMENT)
    shown = stage.handset.open_asked(asked.id).inner_text()
    for said in ("Shop", "12 500,00", "ИП Ромашкин", "Иванова"):
        assert said in shown.replace("\xa0", " ").replace("\u202f", " ")
    stage.handset.approve()
    asked.collect()
    assert stage.handset.decisions()[0] == "approved"


def test_a_request_under_a_finger_stays_there_while_another_arrives(stage: AppStage) -> None:
    first, page = stage.ask(), stage.handset.open()
    page.locator(f"a[href*='{first.id}']").hover()
    page.mouse.down()
    with page.expect_response(lambda answer: "&version=" in answer.url):
        stage.ask()
    page.mouse.up()
    stage.handset.at("request")
    stage.handset.tap("reject")
    stage.handset.at("done-rejected")
    assert first.state == "rejected"


def test_what_was_approved_elsewhere_leaves_the_screen_and_can_still_be_stopped(
    stage: AppStage,
) -> None:
    """By another phone, or a code. Its notification goes; "not me" counts until it is signed."""
    handset = stage.handset
    asked = ask(stage.shop("Exchange"))
    handset.open_asked(asked.id)
    handset.page.evaluate(NOTIFY, str(asked.id))
    assert str(asked.id) in notification_tags(handset)
    with stage.installation.sessions.begin() as session:
        session.execute(
            update(Transaction).where(Transaction.id == asked.id).values(state="approved")
        )
    handset.at("over")
    expect(handset.see("state")).to_contain_text("on another phone of yours, or by a code")
    handset.wait_until(lambda: str(asked.id) not in notification_tags(handset))
    handset.tap("not-me")
    handset.at("done-not_me")
    assert asked.state == "rejected"


def test_what_is_rejected_gives_the_relying_party_nothing(stage: AppStage) -> None:
    asked = stage.ask()
    stage.handset.open_asked(asked.id)
    stage.handset.tap("reject")
    stage.handset.at("done-rejected")
    assert asked.state == "rejected"
    assert stage.handset.decisions()[0] == "rejected"
    assert refusal(asked.shop.check(asked.handle))[0] == 400


def test_without_the_user_nothing_is_approved(stage: AppStage, new_handset: NewHandset) -> None:
    """A finger on the sensor that it does not know."""
    stage = a_stage(stage.installation, new_handset())
    asked = stage.ask()
    stage.handset.open_asked(asked.id)
    stage.handset.verify_user(verified=False)
    stage.handset.tap("approve")
    stage.handset.told("did not verify you")
    assert asked.state == "pending"
    stage.handset.tap("back")
    expect(stage.handset.see("request")).to_have_count(1)


def test_thirty_documents_are_counted_by_kind_and_searched(stage: AppStage) -> None:
    labels = [f"Contract {number}.pdf" for number in range(24)]
    labels += [f"schema {number}.xml" for number in range(6)]
    asked = stage.ask(30, labels=labels)
    handset = stage.handset
    handset.open_asked(asked.id)
    expect(handset.see("document-count")).to_have_text("30 documents")
    expect(handset.see("document-kinds")).to_have_text("PDF 24 · XML 6")
    handset.type(document_search="schema 5")
    expect(handset.see("documents").locator("li")).to_have_count(1)
    handset.approve()
    assert len(asked.collect()) == len(labels)


def test_the_number_of_the_other_screen_is_asked_for_and_sent(stage: AppStage) -> None:
    asked = ask_with_number(stage.installation.service, stage.signer)
    stage.handset.open_asked(asked.id)
    stage.handset.tap("approve")
    stage.handset.told("two digits")
    stage.handset.type(number=number_of(stage, asked))
    stage.handset.approve()
    becomes(stage, asked, "approved")


def test_a_wrong_number_ends_the_request(stage: AppStage) -> None:
    asked = ask_with_number(stage.installation.service, stage.signer)
    stage.handset.open_asked(asked.id)
    stage.handset.type(number="11" if number_of(stage, asked) != "11" else "22")
    stage.handset.tap("approve")
    stage.handset.told("no longer")
    becomes(stage, asked, "failed")


def test_a_receipt_is_kept_here_and_says_what_was_asked_and_answered(stage: AppStage) -> None:
    """It is enough for who knows the keys: the very ask, its list, and the signed answer."""
    asked = stage.ask(transaction=PAYMENT)
    stage.handset.open_asked(asked.id)
    stage.handset.approve()
    stage.handset.open("/#/history")
    stage.handset.tap("entry")
    shown = stage.handset.at("entry")
    expect(shown).to_contain_text(str(asked.id))
    expect(shown).to_contain_text("ИП Ромашкин")
    expect(shown).to_contain_text("1 document")
    expect(shown).to_contain_text(re.compile("[0-9]:[0-9]{2}.* (UTC|GMT)"))
    with stage.handset.page.expect_download() as saved:
        stage.handset.tap("save-receipt")
    receipt = json.loads(saved.value.path().read_text("utf-8"))
    assert saved.value.suggested_filename == f"cellkey-{asked.id}.json"
    assert (receipt["tx"], receipt["decision"]) == (str(asked.id), "approved")
    with stage.installation.sessions() as session:
        kept = session.get_one(Transaction, asked.id)
        assert receipt["ask"] == kept.ask
    answered = json.loads(unverified_payload(receipt["answer"]))
    assert answered["tx"] == str(asked.id)
    asked.collect()


@pytest.mark.parametrize("loses", list(Lost), ids=lambda lost: lost.name.lower())
def test_an_approval_on_a_bad_network_is_given_once(stage: AppStage, loses: Lost) -> None:
    asked = stage.ask()
    stage.handset.open_asked(asked.id)
    mobile_api = stage.installation.service.settings.mobile_api_url
    with bad_network(stage.handset.context, mobile_api, loses=loses) as lost:
        stage.handset.approve()
    assert lost[f"PUT /transactions/{asked.id}/approval"] == 1
    asked.collect()


def test_an_approval_that_could_not_be_sent_is_sent_at_the_next_start(stage: AppStage) -> None:
    """The signer's finger is not asked for again: the very same bytes go out."""
    asked = stage.ask()
    stage.handset.open_asked(asked.id)
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
        wait_for_subscription(handset, push_phone)
        asked = stage.ask(transaction=PAYMENT)
        deliver(handset, push_phone, asked.id)
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
    stage.handset.open_asked(asked.id)
    stage.handset.tap("not-me")
    stage.handset.at("done-not_me")
    assert refusal(stage.shop().authorize(*waiting.hashes)) == (400, "access_denied")
    stage.handset.tap("freeze")
    stage.handset.at("done-frozen")
    other = installation.relying_party(stage.signer, name="Bank")
    assert words(other.authorize(*asked.hashes)).endswith("is disabled")


def test_who_is_stopped_by_not_me_may_be_allowed_again(stage: AppStage) -> None:
    shop = stage.shop("Forgiven")
    asked = ask(shop)
    stage.handset.open_asked(asked.id)
    stage.handset.tap("not-me")
    stage.handset.at("done-not_me")
    assert refusal(shop.authorize(*asked.hashes)) == (400, "access_denied")
    stage.handset.room("stopped")
    stopped = stage.handset.see("stopped").locator("li").filter(has_text="Forgiven")
    stopped.get_by_test_id("allow").click()
    expect(stopped).to_have_count(0)
    ask(shop)
