"""The phone app in a real Chromium: pairs, is asked, answers."""

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser, BrowserContext, Route, expect

from backend.devices.envelope import Envelope
from backend.signing.request import RequestedTransaction
from backend.virtual_phone.jose import jwk_of, new_key, sign, unverified_payload
from tests.world.chromium import PHONE, OpenPage, beside
from tests.world.phone_app import Person, a_person, serve_another_version, serving_app
from tests.world.screen_number import number_on_screen
from tests.world.service import ANNA, Service, hashes

PEOPLE = count(1)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving_app(tmp_path_factory.mktemp("app")) as opened:
        yield opened


@pytest.fixture
def context(open_page: OpenPage) -> BrowserContext:
    return open_page(size=PHONE).context


@pytest.fixture
def envelope(service: Service) -> Envelope:
    """Of a signer whom no other test knows."""
    return service.register(msgspec.structs.replace(ANNA, login=f"a.ivanova.{next(PEOPLE)}"))


@pytest.fixture(scope="module")
def certified(service: Service, chromium: Browser) -> Iterator[Person]:
    """A person who has paired and given the first approval."""
    context = chromium.new_context(locale="en-GB", viewport={"width": 360, "height": 780})
    person = a_person(service, context)
    person.pair(service.register())
    person.certify()
    person.tap("to-requests")
    yield person
    context.close()


def ask(person: Person, **members: Any) -> RequestedTransaction:  # noqa: ANN401  # of `Service.ask`
    """The shop asks; the request is opened."""
    number = next(PEOPLE)
    party = person.service.add_relying_party(f"shop-{number}", f"Shop {number}")
    party = msgspec.structs.replace(party, asks_number=members.pop("asks_number", False))
    wanted = hashes(members.pop("documents", 2), seed=f"document {number}")
    asked = person.service.ask(*wanted, party=party, **members)
    person.open(f"/?tx={asked.id}")
    person.screen("request")
    expect(person.see("asked-by")).to_have_text(f"Shop {number}")
    return asked


def state_of(person: Person, asked: RequestedTransaction) -> str:
    """What the service says became of it."""
    person.open(f"/?tx={asked.id}")
    state = person.see("state").get_attribute("data-state")
    assert state is not None
    return state


# --- pairing --------------------------------------------------------------------------


def test_a_phone_is_paired_and_approves_its_certificate_request(
    service: Service, context: BrowserContext, envelope: Envelope
) -> None:
    person = a_person(service, context)
    person.pair(envelope)
    person.certify()
    assert not person.failures
    homes = {
        service.settings.app_url,
        service.settings.authorization_server_url,
        service.settings.mobile_api_url,
    }
    assert {"/".join(url.split("/")[:3]) for url in person.asked_for} == homes


def test_a_passkey_without_prf_pairs_nothing_where_the_authority_demands_it(
    service: Service, context: BrowserContext, envelope: Envelope
) -> None:
    person = a_person(service, context, hasPrf=False)
    person.give_code(envelope)
    person.give_password(envelope)
    person.tap("make-passkey")
    expect(person.see("error")).to_contain_text("PRF")


def test_a_passkey_without_prf_is_labelled_where_the_authority_allows_it(
    tmp_path_factory: pytest.TempPathFactory, context: BrowserContext
) -> None:
    folder = tmp_path_factory.mktemp("software")
    with serving_app(folder, app_software_unlock=True) as service:
        person = a_person(service, context, hasPrf=False)
        person.pair(service.register())
        person.certify()
        person.tap("to-requests")
        person.tap("tab-settings")
        expect(person.see("software")).to_be_visible()
        context.close()


def test_without_the_user_nothing_is_approved(
    service: Service, context: BrowserContext, envelope: Envelope
) -> None:
    person = a_person(service, context)
    person.pair(envelope)
    beside(service.clerk.run_once)
    person.see("request").click()
    person.verify_user(yes=False)
    person.tap("approve")
    expect(person.see("error")).to_contain_text("did not verify")
    person.tap("back")
    expect(person.see("request")).to_have_count(1)


# --- answers --------------------------------------------------------------------------


def test_thirty_documents_are_counted_by_kind_and_searched(certified: Person) -> None:
    labels = [f"Contract {number}.pdf" for number in range(24)]
    labels += [f"schema {number}.xml" for number in range(6)]
    asked = ask(certified, documents=30, labels=tuple(labels))
    expect(certified.see("document-count")).to_have_text("30 documents")
    expect(certified.see("document-kinds")).to_have_text("PDF 24 · XML 6")
    certified.see("document-search").fill("schema 5")
    expect(certified.see("documents").locator("li")).to_have_count(1)
    certified.tap("approve")
    certified.screen("done-approved")
    assert state_of(certified, asked) == "approved"


def test_the_number_of_the_other_screen_is_asked_for_and_sent(certified: Person) -> None:
    asked = ask(certified, asks_number=True)
    certified.tap("approve")
    expect(certified.see("error")).to_contain_text("two digits")
    certified.see("number").fill(number_on_screen(certified.service.sessions, asked.id))
    certified.tap("approve")
    certified.screen("done-approved")


def test_a_wrong_number_ends_the_request(certified: Person) -> None:
    asked = ask(certified, asks_number=True)
    right = number_on_screen(certified.service.sessions, asked.id)
    certified.see("number").fill("11" if right != "11" else "22")
    certified.tap("approve")
    expect(certified.see("error")).to_contain_text("no longer")
    assert state_of(certified, asked) == "failed"


def test_what_is_rejected_is_rejected_and_stays_in_the_history(certified: Person) -> None:
    asked = ask(certified)
    certified.tap("reject")
    certified.screen("done-rejected")
    assert state_of(certified, asked) == "rejected"
    certified.open("/#/history")
    expect(certified.see("entry").first).to_have_attribute("data-decision", "rejected")


def test_who_is_stopped_by_not_me_may_be_allowed_again(certified: Person) -> None:
    ask(certified)
    certified.tap("not-me")
    certified.screen("done-not_me")
    expect(certified.see("freeze")).to_be_visible()
    certified.tap("to-requests")
    certified.tap("tab-settings")
    certified.tap("to-stopped")
    certified.see("allow").first.click()
    expect(certified.see("allow")).to_have_count(0)


def test_a_list_of_other_documents_than_the_ask_s_is_not_shown(certified: Person) -> None:
    """What is shown is what the ask's root covers, whatever the service sends beside it."""

    def swap_a_document(route: Route) -> None:
        answer = route.fetch()
        content = answer.json()
        content["list"][0] = content["list"][0].replace("1", "2")
        route.fulfill(response=answer, json=content)

    asked = ask(certified)
    certified.page.route("**/transactions/*", swap_a_document)
    certified.open(f"/?tx={asked.id}")
    certified.screen("refused-by-phone")
    expect(certified.see("approve")).to_have_count(0)
    certified.page.unroute("**/transactions/*")


def test_an_ask_by_another_key_is_not_shown_and_the_signer_is_told(certified: Person) -> None:
    """Whoever answers in the service's place cannot bring a key of its own."""
    asked = ask(certified)
    key = new_key()

    def forge(route: Route) -> None:
        answer = route.fetch()
        content = answer.json()
        claims = json.loads(unverified_payload(content["ask"]))
        claims["rp"]["name"] = "Your own bank"
        content["ask"] = sign(claims, typ="cell-ask+jwt", key=key)
        content["ks"] = jwk_of(key).members()
        route.fulfill(response=answer, json=content)

    certified.page.route("**/transactions/*", forge)
    certified.open(f"/?tx={asked.id}")
    certified.screen("refused-by-phone")
    expect(certified.see("stranger")).to_contain_text("foreign key")
    expect(certified.page.get_by_text("Your own bank")).to_have_count(0)
    certified.page.unroute("**/transactions/*")
    certified.open("/#/history")
    expect(certified.see("entry").first).to_have_attribute("data-decision", "stranger")


def test_hostile_text_is_text(certified: Person) -> None:
    """The SAM refuses it; if it ever came through, it would harm nobody."""
    certified.open()
    shown = certified.page.evaluate(
        """async (text) => {
          const { outside } = await import("/dom.js");
          const main = document.getElementById("main");
          main.append(outside(text));
          return { text: main.lastChild.textContent, inside: main.lastChild.childElementCount };
        }""",
        "<img src=x onerror=alert(1)>\u202efdp.\u200bexe\u0000",
    )
    assert shown == {"text": "<img src=x onerror=alert(1)>\ufffdfdp.\ufffdexe\ufffd", "inside": 0}


# --- afterwards ------------------------------------------------------------------------


def test_the_recovery_code_is_shown_once_and_checked_by_three_groups(certified: Person) -> None:
    certified.open("/#/settings")
    certified.tap("to-recovery")
    certified.tap("recovery-show")
    certified.screen("recovery-code")
    groups = certified.see("recovery-code").locator("code").all_inner_texts()
    certified.tap("recovery-written")
    asked = certified.page.locator("input[data-place]")
    expect(asked).to_have_count(3)
    certified.tap("recovery-check")
    expect(certified.see("error")).not_to_be_empty()
    for field in asked.all():
        field.fill(groups[int(field.get_attribute("data-place") or 0) - 1].lower())
    certified.tap("recovery-check")
    certified.screen("done-saved")
    certified.open("/#/settings")
    certified.tap("to-recovery")
    expect(certified.see("recovery-saved")).to_be_visible()
    expect(certified.see("recovery-show")).to_have_count(0)


def test_without_a_network_the_app_opens_and_says_so(certified: Person) -> None:
    certified.page.evaluate("navigator.serviceWorker.ready")
    certified.page.context.set_offline(True)
    certified.open()
    expect(certified.see("offline")).to_be_visible()
    certified.screen("requests")
    certified.page.context.set_offline(False)
    expect(certified.see("offline")).to_have_count(0)


def test_a_new_version_is_offered_and_runs_once_it_is_taken(certified: Person) -> None:
    service = certified.service
    certified.open()
    certified.page.evaluate("navigator.serviceWorker.ready")
    serve_another_version(service, app_color="#7a1420")
    certified.page.evaluate("navigator.serviceWorker.ready.then((kept) => kept.update())")
    certified.tap("update")
    expect(certified.page.locator('meta[name="theme-color"]')).to_have_attribute(
        "content", "#7a1420"
    )
    certified.screen("requests")
    serve_another_version(service)


def test_a_phone_that_removes_itself_forgets_its_keys(
    service: Service, context: BrowserContext, envelope: Envelope
) -> None:
    person = a_person(service, context)
    person.pair(envelope)
    person.tap("tab-settings")
    person.tap("to-phones")
    person.tap("remove-this")
    person.tap("remove-yes")
    person.screen("welcome")
    beside(service.clerk.run_once)
