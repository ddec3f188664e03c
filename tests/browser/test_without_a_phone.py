"""A signer without a phone, in a real browser: first password, certificate, signature by SMS.

And one with a phone who forgot the password.
"""

from collections.abc import Iterator

import msgspec
import pytest
from playwright.sync_api import Page, expect
from pyotp import TOTP

from backend.virtual_phone.transactions import Consent
from backend.wiring import utc_now
from tests.world.browser import Browser as PlainBrowser
from tests.world.chromium import OpenPage, another_page, beside
from tests.world.code_cell import code_in
from tests.world.looks import LANGS, look_at
from tests.world.oauth_client import CALLBACK, OauthClient, an_oauth_client
from tests.world.service import ANNA, NEW_PASSWORD, SMS_ON, hashes
from tests.world.serving import serving
from tests.world.shop_door import ShopDoor

pytestmark = pytest.mark.sms

NEWCOMER = msgspec.structs.replace(ANNA, login="c.newcomer", by_sms=True)
ALONE = msgspec.structs.replace(ANNA, login="b.alone", by_sms=True)
FORGETFUL = msgspec.structs.replace(ANNA, login="d.forgetful")
NEWER = "синий забор, 9 досок"
langs = pytest.mark.parametrize("lang", LANGS)


@pytest.fixture(scope="module")
def first_password() -> list[str]:
    """What is on the paper of the signer without a phone."""
    return []


@pytest.fixture(scope="module")
def shop(
    tmp_path_factory: pytest.TempPathFactory, first_password: list[str]
) -> Iterator[OauthClient]:
    """Signers with a phone, and without one: the newcomer has nothing but the envelope yet."""
    with serving(
        tmp_path_factory.mktemp("served"), clock=utc_now, ca_name="УЦ «Ромашка»", **SMS_ON
    ) as service:
        beside(lambda: service.signing_phone(service.register()))
        beside(lambda: service.paired_phone(service.register(FORGETFUL), name="forgetful"))
        first_password.append(service.register(NEWCOMER).first_password)
        client = an_oauth_client(service)
        certify_alone(client, service.register(ALONE).first_password)
        yield client


def certify_alone(shop: OauthClient, first: str) -> None:
    """The way of the first test, without a browser."""
    browser = PlainBrowser(shop.service)
    browser.open("/account/first-password")
    browser.send(login=ALONE.login or "", password=first, new_password=NEW_PASSWORD)
    shop.service.clerk.run_once()
    browser.open("/account/certificate")
    browser.send(login=ALONE.login or "", password=NEW_PASSWORD)
    browser.send(code=newest_code(shop), password=NEW_PASSWORD)
    shop.service.clerk.run_once()


def newest_code(shop: OauthClient) -> str:
    return code_in(beside(shop.service.work)[-1].text)


def enter(page: Page) -> None:
    """Send the form, and wait for the page that answers."""
    with another_page(page):
        page.keyboard.press("Enter")


def test_password_and_sms_from_the_envelope_to_the_signature(
    shop: OauthClient, open_page: OpenPage, first_password: list[str]
) -> None:
    """R-042; the three pages, by the keys that a person presses."""
    page = open_page()
    shop_door = ShopDoor(page, held=True)
    heading = page.get_by_role("heading", level=1)
    page.goto(f"{shop.here}/account/first-password")
    page.locator("#login").fill("c.newcomer")
    page.locator("#password").fill(first_password[0])
    page.locator("#new_password").fill(NEW_PASSWORD)
    enter(page)
    expect(heading).to_have_text("The password was changed")
    shop.service.clerk.run_once()
    page.goto(f"{shop.here}/account/certificate")
    page.locator("#login").fill("c.newcomer")
    page.locator("#password").fill(NEW_PASSWORD)
    enter(page)
    page.locator("#code").fill(newest_code(shop))
    look_at(page, "certificate", lang="en")
    page.locator("#password").fill(NEW_PASSWORD)
    enter(page)
    expect(heading).to_have_text("Approved")
    shop.service.clerk.run_once()

    to_wait(shop, page, login="c.newcomer")
    with another_page(page):
        page.get_by_role("link", name="Code by SMS").click()
    page.locator("#code").fill(newest_code(shop))
    page.locator("#password").fill(NEW_PASSWORD)
    with another_page(page):
        page.get_by_role("button", name="Approve").click()
    expect(heading).to_have_text("Approved")
    shop_door.let_in()
    page.wait_for_url(f"{CALLBACK}?code=*")


def to_wait(shop: OauthClient, page: Page, *, login: str = "b.alone") -> None:
    credential = str(shop.service.credential(login))
    wish = shop.wish_of(credential, *hashes(1, seed=page.url))
    page.goto(shop.address(shop.session(scope="credential"), **wish)[0])
    page.locator("#login").fill(login)
    page.locator("#password").fill(NEW_PASSWORD)
    enter(page)


@langs
def test_the_form_for_a_code_looks_finished(
    shop: OauthClient, open_page: OpenPage, lang: str
) -> None:
    page = open_page(lang=lang)
    ShopDoor(page)
    to_wait(shop, page)
    look_at(page, "approve", lang=lang)
    with another_page(page):
        page.locator("a[href$='/code/sms']").click()
    look_at(page, "sms", lang=lang)
    page.locator("#code").fill("00000000")
    page.locator("#password").fill("wrong")
    enter(page)
    expect(page.get_by_role("alert")).to_be_visible()
    look_at(page, "sms-wrong", lang=lang)
    with another_page(page):
        page.get_by_role("link").first.click()
    page.locator("form[action^='/cancel'] button").click()
    page.wait_for_url(f"{CALLBACK}?error=access_denied*")


def to_the_seed(shop: OauthClient, page: Page, *, of: str = "totp") -> str:
    """Sign in and read the seed from the page."""
    page.goto(f"{shop.here}/account/codes")
    page.locator("#login").fill("a.ivanova")
    page.locator("#password").fill(NEW_PASSWORD)
    with another_page(page):
        page.locator(f"button[value={of}]").click()
    return page.locator(".seed").inner_text().replace(" ", "")


@langs
def test_the_page_with_the_seed_looks_finished(
    shop: OauthClient, open_page: OpenPage, lang: str
) -> None:
    page = open_page(lang=lang)
    page.goto(f"{shop.here}/account/codes")
    look_at(page, "codes", lang=lang)
    to_the_seed(shop, page)
    look_at(page, "authenticator", lang=lang)
    to_the_seed(shop, page, of="hotp")
    look_at(page, "authenticator-counts", lang=lang)


def test_an_authenticator_is_set_up(shop: OauthClient, open_page: OpenPage) -> None:
    """The app's first code, then the phone. Once: a step of the same cell counts once."""
    page = open_page()
    seed = to_the_seed(shop, page)
    page.locator("#password").fill(NEW_PASSWORD)
    page.locator("#code").fill(TOTP(seed, digits=8).now())
    with another_page(page):
        page.locator("button[value=confirm]").click()
    number = page.locator("#number").inner_text()
    look_at(page, "authenticator-wait", lang="en")
    phone = shop.service.phone()
    (asked,) = phone.pending().transactions
    phone.approve(phone.show(asked.id), consent=Consent(number=number))
    shop.service.clerk.run_once()
    expect(page.get_by_role("heading", level=1)).to_have_text("Allowed")


@langs
def test_a_forgotten_password_is_replaced_after_the_phones_approval(
    shop: OauthClient, open_page: OpenPage, lang: str
) -> None:
    page = open_page(lang=lang)
    page.goto(f"{shop.here}/account/forgotten-password")
    look_at(page, "forgotten", lang=lang)
    page.locator("#login").fill("d.forgetful")
    enter(page)
    number = page.locator("#number").inner_text()
    look_at(page, "forgotten-wait", lang=lang)
    shop.service.clerk.run_once()
    phone = shop.service.phone("forgetful")
    asked = next(one for one in phone.pending().transactions if one.kind == "set_password")
    with another_page(page):
        phone.approve(phone.show(asked.id), consent=Consent(number=number))
    page.locator("#new_password").fill(NEWER)
    look_at(page, "forgotten-new", lang=lang)
    enter(page)
    expect(page.locator(".sign.good")).to_be_visible()
    look_at(page, "changed", lang=lang)
