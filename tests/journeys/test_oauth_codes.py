"""Password and code, typed on our page: what the page offers, and what comes of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from jsonschema import Draft202012Validator
from sqlalchemy import select, update

from backend.model.tables import Device, Transaction
from backend.protocol.approval import CodeMethod
from backend.signers.freeze import freeze
from tests.world.browser import Browser, Shown
from tests.world.clock import SettableClock
from tests.world.code_cell import code_in
from tests.world.oauth_client import OauthClient, an_oauth_client, sign_in
from tests.world.service import (
    ANNA,
    NEW_PASSWORD,
    SMS_ON,
    Service,
    copy_service,
    hashes,
    open_service,
)

pytestmark = pytest.mark.sms

ONE = hashes(1)
BY_SMS = msgspec.structs.replace(ANNA, by_sms=True)
DELAY = 60
WRONG = "00000000"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A signer with a phone, a certificate, and a record that lets an SMS stand for the phone."""
    folder = tmp_path_factory.mktemp("by-code")
    opened = open_service(folder, **SMS_ON)
    opened.signing_phone(opened.register(BY_SMS))
    opened.close()
    return folder


@pytest.fixture
def by_code(stage: Path, tmp_path: Path, clock: SettableClock) -> Iterator[OauthClient]:
    opened = copy_service(stage, tmp_path / "service", clock=clock, **SMS_ON)
    yield an_oauth_client(opened)
    opened.close()


def waiting(shop: OauthClient, **wish: str) -> Browser:
    browser = Browser(shop.service)
    browser.open(shop.address(shop.session(scope="credential"), **shop.wish(*ONE, **wish))[0])
    sign_in(browser)
    return browser


def at_the_form(shop: OauthClient, clock: SettableClock, by: str = "sms") -> Browser:
    """The phone had its time; the signer chose the code."""
    browser = waiting(shop)
    clock.advance(seconds=DELAY)
    assert browser.shown is not None
    browser.open(f"{browser.shown.address}/code/{by}")
    return browser


def code(service: Service) -> str:
    """The code in the newest SMS."""
    return code_in(service.work()[-1].text)


def type_in(browser: Browser, typed: str, password: str = NEW_PASSWORD) -> Shown:
    return browser.send(code=typed, password=password)


def test_a_right_code_and_password_become_a_signature(
    by_code: OauthClient, clock: SettableClock
) -> None:
    """The approval is labelled as what it is."""
    browser = waiting(by_code)
    clock.advance(seconds=60)
    assert browser.shown is not None
    browser.open(f"{browser.shown.address}/code/sms")
    end = type_in(browser, code(by_code.service))
    with by_code.service.sessions() as read:
        labels = read.scalars(select(Transaction.method).where(Transaction.kind == "sign"))
        assert labels.one() == "password+sms"

    assert "You approved the request" in end.page.text
    assert "code" in end.told


def test_the_token_says_that_a_code_approved(by_code: OauthClient, clock: SettableClock) -> None:
    """Invariant 7: a relying party may refuse the lower level."""
    session = by_code.session(scope="credential")
    address, state = by_code.address(session, **by_code.wish(*ONE))
    browser = Browser(by_code.service)
    browser.open(address)
    waiting_page = sign_in(browser).address
    clock.advance(seconds=DELAY)
    browser.open(f"{waiting_page}/code/sms")
    token = by_code.redeem(session, type_in(browser, code(by_code.service)), state)
    schema = by_code.service.client().get("/csc/schemas/approved.json").get_json()

    assert token["method"] == "password+sms"
    Draft202012Validator(schema).validate(dict(token))
    assert schema["properties"]["method"]["enum"] == list(get_args(CodeMethod))


def test_t_24_the_phone_has_its_time_first_and_the_page_counts_it(
    by_code: OauthClient, clock: SettableClock
) -> None:
    browser = waiting(by_code)
    assert browser.shown is not None
    address = browser.shown.address
    early = browser.again().page.text
    refused = browser.open(f"{address}/code/sms")
    clock.advance(seconds=20)
    later = browser.open(address).page.text
    clock.advance(seconds=40)
    due = browser.open(address)

    assert "An SMS can be had in 1:00" in early
    assert refused.address == address
    assert "An SMS can be had in 0:40" in later
    assert "can be had" not in due.page.text
    assert f"{address}/code/sms" in due.answer.get_data(as_text=True)
    assert [sms.text for sms in by_code.service.work()]


def test_the_page_names_the_operation_of_the_sms_and_until_when_it_counts(
    by_code: OauthClient, clock: SettableClock
) -> None:
    browser = at_the_form(by_code, clock)
    assert browser.shown is not None
    waiting = browser.shown.page.text
    sms = by_code.service.work()[-1].text
    told = browser.again().page.text
    operation = told.partition("The operation that the message names")[2].split()[0]

    assert len(operation) == 8
    assert operation in sms
    assert "It is on its way out." in waiting
    assert "It was sent." in told
    assert "Good until" in told
    assert "(Moscow, UTC+3)" in told


@pytest.mark.parametrize(("typed", "password"), [(WRONG, NEW_PASSWORD), (None, "another-one")])
def test_t_15_three_tries_and_which_of_them_was_wrong_is_not_said(
    by_code: OauthClient, clock: SettableClock, typed: str | None, password: str
) -> None:
    browser = at_the_form(by_code, clock)
    given = typed or code(by_code.service)
    told = [type_in(browser, given, password) for _ in range(3)]

    for left, shown in zip((2, 1), told, strict=False):
        assert shown.answer.status_code == 403
        assert f"Code or password is wrong. Tries left: {left}." in shown.page.text
        assert password not in shown.answer.get_data(as_text=True)
    assert "No tries are left" in told[2].page.text
    with by_code.service.sessions() as session:
        assert (
            session.scalars(select(Transaction.state).where(Transaction.kind == "sign")).one()
            == "pending"
        )


def test_what_is_no_code_costs_no_try(by_code: OauthClient, clock: SettableClock) -> None:
    browser = at_the_form(by_code, clock)
    for typed in ("", "x", "1234567", "1" * 5000, "\uff11" * 8):
        assert "Tries left: 3." in type_in(browser, typed).page.text


def test_an_sms_is_sent_again_and_not_at_once_once_more(
    by_code: OauthClient, clock: SettableClock
) -> None:
    browser = at_the_form(by_code, clock)
    first = code(by_code.service)
    again = browser.send("sms")
    sent = by_code.service.work()
    (form,) = again.page.forms
    address = again.address.partition("/code")[0]
    at_once = browser.fetch(f"{address}/sms", csrf_token=form.fields["csrf_token"])

    assert "The message was sent." in again.page.text
    assert len(sent) == 2
    assert "a moment ago" in browser.open(at_once.headers["Location"]).page.text
    assert "code" in type_in(browser, first).told


def test_a_refusal_on_the_phone_meanwhile_is_what_the_page_says(
    by_code: OauthClient, clock: SettableClock
) -> None:
    browser = at_the_form(by_code, clock)
    given = code(by_code.service)
    by_code.csc("none").reject()

    assert "You refused" in type_in(browser, given).page.text


def test_r_048_after_a_freeze_no_code_counts(by_code: OauthClient, clock: SettableClock) -> None:
    browser = at_the_form(by_code, clock)
    given = code(by_code.service)
    with by_code.service.sessions() as session:
        freeze(session, signer=by_code.service.signer(), by="operator", now=clock())

    assert "Your access is locked" in type_in(browser, given).page.text


def test_t_32_the_code_counts_in_the_session_that_asked_and_nowhere_else(
    by_code: OauthClient, clock: SettableClock
) -> None:
    """R-047, T-31: another browser with the same address does not even see the form."""
    browser = at_the_form(by_code, clock)
    assert browser.shown is not None
    theirs = Browser(by_code.service)

    assert theirs.open(browser.shown.address).answer.status_code == 403
    told = theirs.fetch(browser.shown.address, code=code(by_code.service), password=NEW_PASSWORD)
    assert told.status_code == 403


def test_forms_of_another_site_are_not_heard(by_code: OauthClient, clock: SettableClock) -> None:
    browser = at_the_form(by_code, clock)
    assert browser.shown is not None
    address = browser.shown.address
    before = len(by_code.service.work())
    for where in (address, address.replace("code/sms", "sms")):
        assert browser.fetch(where, csrf_token="x").status_code == 403

    assert len(by_code.service.work()) == before


def test_without_a_phone_the_page_asks_how_to_approve(
    by_code: OauthClient, clock: SettableClock
) -> None:
    browser = waiting(by_code)
    with by_code.service.sessions.begin() as session:
        session.execute(update(Device).values(removed_at=clock()))
    clock.advance(seconds=60)
    told = browser.again().page.text

    assert "Approve the request" in told
    assert "How to approve" in told
    assert "Code by SMS" in told
    for words in ("Open the Cellkey app", "Send to the phone", "Delivered"):
        assert words not in told


def test_who_has_no_such_way_is_offered_none(oauth_shop: OauthClient, clock: SettableClock) -> None:
    """By policy the app alone, as of every cell until its record says otherwise."""
    browser = waiting(oauth_shop)
    assert browser.shown is not None
    address = browser.shown.address
    clock.advance(seconds=120)
    told = browser.again().page.text

    assert "SMS" not in told
    assert "authenticator" not in told
    for by in ("sms", "totp"):
        assert browser.open(f"{address}/code/{by}").address == address
        token = browser.open(address).page.forms[0].fields["csrf_token"]
        end = browser.fetch(
            f"{address}/code/{by}", csrf_token=token, code=WRONG, password=NEW_PASSWORD
        )
        assert end.headers["Location"].endswith(address)
    assert browser.open(f"{address}/code/fax").answer.status_code == 404


def test_before_the_sign_in_there_is_no_form_for_a_code(oauth_shop: OauthClient) -> None:
    browser = Browser(oauth_shop.service)
    browser.open(
        oauth_shop.address(oauth_shop.session(scope="credential"), **oauth_shop.wish(*ONE))[0]
    )
    assert browser.shown is not None
    address = browser.shown.address
    wait = address.replace("sign-in", "wait")

    assert browser.open(f"{wait}/code/sms").address == address


def test_a_code_that_is_too_old_is_replaced_by_a_new_sms(
    by_code: OauthClient, clock: SettableClock
) -> None:
    """It is the same code, bound to the ask; the page has no field until the SMS was sent."""
    browser = at_the_form(by_code, clock)
    with by_code.service.sessions.begin() as session:
        session.execute(update(Transaction).values(sms_valid_until=clock()))
    clock.advance(seconds=1)
    late = browser.again()
    assert "The code is over" in late.page.text
    assert [form.fields.keys() for form in late.page.forms] == [{"csrf_token"}]

    assert browser.send("sms").page.forms[0].fields.keys() >= {"code", "password"}


# --- a signer without a phone --------------------------------------------------------


CERTIFICATE = "/account/certificate"


@pytest.fixture
def alone(tmp_path: Path, clock: SettableClock) -> Iterator[tuple[Service, str]]:
    """A signer who may approve by SMS and has the envelope; and the first password."""
    opened = open_service(tmp_path / "alone", clock=clock, **SMS_ON)
    envelope = opened.register(BY_SMS)
    yield opened, envelope.first_password
    opened.close()


def fill(service: Service, address: str, **typed: str) -> Browser:
    browser = Browser(service)
    browser.open(address)
    browser.send(**({"login": "a.ivanova"} | typed))
    return browser


def own_password(service: Service, first: str) -> Shown:
    done = fill(service, "/account/first-password", password=first, new_password=NEW_PASSWORD)
    assert done.shown is not None
    return done.shown


def test_from_the_envelope_to_a_signature_without_any_phone(
    alone: tuple[Service, str], clock: SettableClock
) -> None:
    """R-042, then the certificate, then a relying party: password and SMS all the way."""
    service, first = alone
    changed = own_password(service, first)
    service.clerk.run_once()
    certificate = fill(service, CERTIFICATE, password=NEW_PASSWORD)
    assert certificate.shown is not None
    asked = certificate.shown.page.text
    done = certificate.send(code=code(service), password=NEW_PASSWORD)
    service.clerk.run_once()
    browser = waiting(an_oauth_client(service))
    page = browser.again()
    browser.open(f"{page.address}/code/sms")
    end = type_in(browser, code(service))

    assert "The password was changed" in changed.page.text
    assert "Иванова Анна Петровна" in asked
    assert "will soon be there" in done.page.text
    assert "Approve the request" in page.page.text
    assert "code" in end.told


def test_r_042_before_its_change_the_first_password_approves_and_signs_in_nowhere(
    alone: tuple[Service, str],
) -> None:
    service, first = alone
    early = fill(service, CERTIFICATE, password=first)
    wrong = fill(service, "/account/first-password", password="wrong", new_password=NEW_PASSWORD)
    own_password(service, first)
    again = fill(service, "/account/first-password", password=first, new_password="ещё один 77")

    for browser in (early, wrong, again):
        assert browser.shown is not None
        assert browser.shown.answer.status_code == 403


def test_the_certificate_request_is_shown_to_who_knows_the_password_alone(
    alone: tuple[Service, str],
) -> None:
    service, first = alone
    own_password(service, first)
    service.clerk.run_once()
    wrong = fill(service, CERTIFICATE, password="wrong")
    unknown = fill(service, CERTIFICATE, login="nobody", password=NEW_PASSWORD)
    right = fill(service, CERTIFICATE, password=NEW_PASSWORD)
    assert right.shown is not None
    guess = right.send(code=WRONG, password=NEW_PASSWORD)

    for browser in (wrong, unknown):
        assert browser.shown is not None
        assert "Иванова" not in browser.shown.page.text
    assert "Code or password is wrong. Tries left: 2." in guess.page.text
    assert "Иванова" in right.send(password=NEW_PASSWORD).page.text


def test_the_sms_for_the_certificate_is_sent_again(alone: tuple[Service, str]) -> None:
    service, first = alone
    own_password(service, first)
    service.clerk.run_once()
    before = len(service.work())
    browser = fill(service, CERTIFICATE, password=NEW_PASSWORD)
    sent = browser.fetch(CERTIFICATE, login="a.ivanova", password=NEW_PASSWORD, do="again")
    refused = browser.fetch(CERTIFICATE, login="a.ivanova", password=NEW_PASSWORD, do="again")

    assert "The message was sent." in sent.get_data(as_text=True)
    assert len(service.work()) == before + 1
    assert "a moment ago" in refused.get_data(as_text=True)


def test_where_no_certificate_is_asked_for_there_is_nothing_to_approve(
    by_code: OauthClient,
) -> None:
    shown = fill(by_code.service, CERTIFICATE, password=NEW_PASSWORD).shown

    assert shown is not None
    assert "nothing to approve" in shown.page.text
