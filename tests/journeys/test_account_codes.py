"""The signer lets codes stand for the phone: SMS, or an authenticator app."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from pyotp import TOTP
from sqlalchemy import and_, select, update

from backend.model.epochs import follow
from backend.model.tables import Cell, Device, HotpSeed, Record, Signer
from backend.oauth.account.codes import COOKIE
from backend.sam.cells import RemoveDevice
from backend.signing.counted import keep_counted
from backend.virtual_phone.transactions import Consent
from tests.world.browser import Browser, Shown
from tests.world.clock import SettableClock
from tests.world.counting_app import CountingApp
from tests.world.oauth_client import an_oauth_client, sign_in
from tests.world.service import NEW_PASSWORD, Service, hashes

CODES = "/account/codes"
SIGNED_IN = {"login": "a.ivanova", "password": NEW_PASSWORD}


def begun(service: Service, do: str, **typed: str) -> Browser:
    """A browser after the first form."""
    browser = Browser(service)
    browser.open(CODES)
    browser.send_also(do=do, **(SIGNED_IN | typed))
    return browser


def shown(browser: Browser) -> Shown:
    assert browser.shown is not None
    return browser.shown


def number(browser: Browser) -> str:
    found = re.search(r"The number that the app will ask for (\d\d)", shown(browser).page.text)
    assert found, shown(browser).page.text
    return found[1]


def authenticator(browser: Browser) -> TOTP:
    """The app, once it has read the page."""
    page = shown(browser).answer.get_data(as_text=True)
    seed = re.search(r'class="seed">([A-Z2-7 ]+)<', page)
    assert seed
    return TOTP(seed[1].replace(" ", ""), digits=8)


def counting(browser: Browser) -> CountingApp:
    """The app that counts, once it has read the page."""
    return CountingApp(seed=authenticator(browser).secret)


def code_of(app: TOTP, service: Service) -> str:
    return app.at(datetime.fromtimestamp(service.clock().timestamp(), UTC))


def answer(service: Service, typed: str | None) -> None:
    """The phone approves with the page's number, or refuses; the clerk does what follows."""
    phone = service.phone()
    (asked,) = phone.pending().transactions
    assert asked.kind == "amend"
    if typed is None:
        phone.reject(phone.show(asked.id))
    else:
        phone.approve(phone.show(asked.id), consent=Consent(number=typed))
    service.clerk.run_once()


def methods(service: Service) -> str:
    with service.sessions() as session:
        return session.scalars(select(Cell.methods)).one()


def test_an_authenticator_is_set_up_and_signs(
    signing_service: Service, clock: SettableClock
) -> None:
    """QR code, first code, phone; afterwards password and code become a signature."""
    service = signing_service
    browser = begun(service, "totp")
    app = authenticator(browser)
    assert "<svg" in shown(browser).answer.get_data(as_text=True)
    assert "otpauth://totp/" in shown(browser).answer.get_data(as_text=True)
    browser.send_also(do="confirm", code=code_of(app, service), password=NEW_PASSWORD)
    waiting = shown(browser).address
    assert methods(service) == "app"
    answer(service, number(browser))
    done = browser.again()
    clock.advance(seconds=60)
    shop = an_oauth_client(service)
    page = Browser(service)
    page.open(shop.address(shop.session(scope="credential"), **shop.wish(*hashes(1)))[0])
    sign_in(page)
    page.open(f"{shown(page).address}/code/totp")
    wrong = page.send(code="00000000", password=NEW_PASSWORD)
    end = page.send(code=code_of(app, service), password=NEW_PASSWORD)

    assert waiting == f"{CODES}/wait"
    assert "From now on a request can be approved" in done.page.text
    assert methods(service) == "app password+totp"
    assert "Code or password is wrong. Tries left: 2." in wrong.page.text
    assert "code" in end.told


def page_to_type(service: Service, *, by: str) -> Browser:
    """A relying party's request, on the form for a code."""
    shop = an_oauth_client(service)
    page = Browser(service)
    page.open(shop.address(shop.session(scope="credential"), **shop.wish(*hashes(1)))[0])
    sign_in(page)
    assert f"/code/{by}" in shown(page).answer.get_data(as_text=True)
    page.open(f"{shown(page).address}/code/{by}")
    return page


def test_an_app_that_counts_is_set_up_and_signs(signing_service: Service) -> None:
    """QR code, first code, phone; afterwards password and code become a signature."""
    service = signing_service
    browser = begun(service, "hotp")
    app = counting(browser)
    begins = shown(browser).answer.get_data(as_text=True)
    assert "otpauth://hotp/" in begins
    assert "counter=0" in begins
    assert "Each code of this app counts once." in shown(browser).page.text
    wrong = browser.send_also(do="confirm_hotp", code="00000000", password=NEW_PASSWORD)
    assert "Tries left: 2." in wrong.page.text
    browser.send_also(do="confirm_hotp", code=app.press(), password=NEW_PASSWORD)
    answer(service, number(browser))
    assert "From now on a request can be approved" in browser.again().page.text
    assert methods(service) == "app password+hotp"

    page = page_to_type(service, by="hotp")
    end = page.send(code=app.press(), password=NEW_PASSWORD)
    assert "code" in end.told

    said = shown(begun(service, "without-hotp"))
    assert "Such codes count no more" in said.page.text
    assert methods(service) == "app"
    with service.sessions() as session:
        assert session.scalars(select(HotpSeed)).all() == []


def test_an_app_that_is_far_ahead_is_found_by_two_codes_as_the_page_says(
    signing_service: Service,
) -> None:
    """RFC 4226, 7.4."""
    service = signing_service
    browser = begun(service, "hotp")
    app = counting(browser)
    browser.send_also(do="confirm_hotp", code=app.press(), password=NEW_PASSWORD)
    answer(service, number(browser))
    browser.again()
    for _ in range(20):
        app.press()

    page = page_to_type(service, by="hotp")
    assert "type them together" not in shown(page).page.text
    wrong = page.send(code=app.press(), password=NEW_PASSWORD)
    assert "Code or password is wrong. Tries left: 2." in wrong.page.text
    assert "Get two codes, one after the other, and type them together" in wrong.page.text
    end = page.send(code=f"{app.press()} {app.press()}", password=NEW_PASSWORD)
    assert "code" in end.told


def go_on(service: Service) -> None:
    """The record gets its next epoch; whoever made one of the epoch before comes too late."""
    with service.sessions() as session:
        newest = and_(Record.cell_id == Cell.id, Record.epoch == Cell.epoch)
        cell, record = session.execute(select(Cell.id, Record.record).join(Record, newest)).one()
        following = service.sam.remove_device(RemoveDevice(record=record, kid=bytes(32)))
        assert follow(
            session, cell, record=following.record, epoch=following.epoch, now=service.clock()
        )
        session.commit()


def test_who_is_overtaken_is_told_to_get_another_code(
    signing_service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another record of the same key was made at the same moment."""
    service = signing_service
    browser = begun(service, "hotp")
    app = counting(browser)
    browser.send_also(do="confirm_hotp", code=app.press(), password=NEW_PASSWORD)
    answer(service, number(browser))
    page = page_to_type(service, by="hotp")
    once = iter([service])

    def overtaken(*kept: Any, **record: Any) -> bool:  # noqa: ANN401  # as keep_counted
        for each in once:
            go_on(each)
        return keep_counted(*kept, **record)

    monkeypatch.setattr("backend.signing.approval_by_code.keep_counted", overtaken)
    told = page.send(code=app.press(), password=NEW_PASSWORD)
    assert told.answer.status_code == 403
    assert "this code does not count any more. Get a new one." in told.page.text
    assert "type them together" not in told.page.text
    end = page.send(code=app.press(), password=NEW_PASSWORD)
    assert "code" in end.told


@pytest.mark.sms
def test_sms_is_allowed_by_the_phone(signing_service: Service, clock: SettableClock) -> None:
    browser = begun(signing_service, "sms")
    assert browser.fetch(f"{CODES}/state").get_json()["verdict"] == "waiting"
    answer(signing_service, number(browser))

    assert browser.fetch(f"{CODES}/state").get_json()["verdict"] == "over"
    assert "From now on" in browser.again().page.text
    assert methods(signing_service) == "app password+sms"
    assert browser.again().answer.status_code == 403


@pytest.mark.sms
def test_what_was_allowed_is_taken_back_by_login_and_password(signing_service: Service) -> None:
    """Tightening needs no phone; to ask twice, or for what was never there, changes nothing."""
    answer(signing_service, number(begun(signing_service, "sms")))
    assert methods(signing_service) == "app password+sms"
    wrong = shown(begun(signing_service, "without-sms", password="wrong"))
    assert wrong.answer.status_code == 403
    assert methods(signing_service) == "app password+sms"

    for do in ("without-totp", "without-sms", "without-sms"):
        said = shown(begun(signing_service, do))
        assert "Such codes count no more" in said.page.text
    assert methods(signing_service) == "app"


@pytest.mark.sms
def test_who_would_be_left_without_any_way_keeps_the_code(signing_service: Service) -> None:
    answer(signing_service, number(begun(signing_service, "sms")))
    with signing_service.sessions.begin() as session:
        session.execute(update(Device).values(removed_at=signing_service.clock()))

    said = shown(begun(signing_service, "without-sms"))
    assert "There is no paired phone" in said.page.text
    assert methods(signing_service) == "app password+sms"


@pytest.mark.sms
def test_without_the_phones_yes_nothing_changes(
    signing_service: Service, clock: SettableClock
) -> None:
    refused = begun(signing_service, "sms")
    answer(signing_service, None)
    late = begun(signing_service, "sms")
    clock.advance(seconds=301)

    for browser in (refused, late):
        assert "Nothing has changed" in browser.again().page.text
    assert methods(signing_service) == "app"


def test_t_15_three_first_codes_and_then_another_seed(signing_service: Service) -> None:
    browser = begun(signing_service, "totp")
    app = authenticator(browser)
    told = []
    for _ in range(3):
        browser.send_also(do="confirm", code="00000000", password=NEW_PASSWORD)
        told.append(shown(browser).page.text)

    assert ["Tries left: 2." in told[0], "Tries left: 1." in told[1]] == [True, True]
    assert "No tries are left" in told[2]
    for text in told:
        assert app.secret[:4] not in text
    assert authenticator(begun(signing_service, "totp")).secret != app.secret


@pytest.mark.parametrize("do", ["sms", "totp", "hotp", "confirm", "confirm_hotp", ""])
def test_t_17_a_wrong_password_shows_no_seed_and_asks_nobody(
    signing_service: Service, do: str
) -> None:
    wrong = shown(begun(signing_service, do, password="wrong", code="00000000"))
    unknown = shown(begun(signing_service, do, login="nobody", code="00000000"))

    assert wrong.answer.status_code == unknown.answer.status_code == 403
    assert wrong.page.text == unknown.page.text
    assert "<svg" not in wrong.answer.get_data(as_text=True)
    assert signing_service.phone().pending().transactions == ()


def test_who_has_no_phone_is_told_what_it_takes(service: Service) -> None:
    """The signer has the envelope alone: not even the sign-in is there."""
    with service.sessions() as session:
        assert session.scalars(select(Signer.password_change_due)).one()

    assert shown(begun(service, "totp")).answer.status_code == 403


def test_a_cookie_of_ones_own_tells_nothing(signing_service: Service) -> None:
    browser = Browser(signing_service)
    for value in ("x", f"{signing_service.signer()}.{signing_service.signer()}.11.9999999999"):
        browser.client.set_cookie(COOKIE, value, domain="127.0.0.1", secure=True)
        page = browser.open(f"{CODES}/wait")
        assert page.answer.status_code == 403 or "Nothing has changed" in page.page.text
