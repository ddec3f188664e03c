"""A signer without a phone, in a real browser: first password, certificate, signature by SMS.

And one with a phone who forgot the password.
"""

from collections.abc import Iterator

import msgspec
import pytest
from playwright.sync_api import Page, Route, expect
from pyotp import TOTP

from backend.virtual_phone.transactions import Consent
from backend.wiring import utc_now
from tests.world.browser import Browser as PlainBrowser
from tests.world.chromium import (
    DESKTOP,
    PHONE,
    TAKES_PICTURES,
    OpenPage,
    assert_accessible,
    beside,
    picture,
)
from tests.world.code_cell import code_in
from tests.world.oauth_client import CALLBACK, OauthClient, an_oauth_client
from tests.world.service import ANNA, NEW_PASSWORD, hashes
from tests.world.serving import serving

NEWCOMER = msgspec.structs.replace(ANNA, login="c.newcomer", by_sms=True)
ALONE = msgspec.structs.replace(ANNA, login="b.alone", by_sms=True)
FORGETFUL = msgspec.structs.replace(ANNA, login="d.forgetful")
NEWER = "синий забор, 9 досок"
LOOKS = [("ru", PHONE, True)]
if TAKES_PICTURES:
    LOOKS += [("ru", DESKTOP, False), ("en", PHONE, False), ("en", DESKTOP, True)]
looks = pytest.mark.parametrize(("lang", "size", "dark"), LOOKS)


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
        tmp_path_factory.mktemp("served"), clock=utc_now, ca_name="УЦ «Ромашка»"
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


def title(page: Page) -> str:
    return page.get_by_role("heading", level=1).inner_text()


def show(page: Page, name: str, looks_like: str) -> None:
    assert_accessible(page)
    picture(page, f"{name}-{looks_like}")
    assert page.viewport_size is not None
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.viewport_size["width"]


def test_password_and_sms_from_the_envelope_to_the_signature(
    shop: OauthClient, open_page: OpenPage, first_password: list[str]
) -> None:
    """R-042; the three pages, by the keys that a person presses."""
    page = open_page()
    page.goto(f"{shop.here}/account/first-password")
    page.locator("#login").fill("c.newcomer")
    page.locator("#password").fill(first_password[0])
    page.locator("#new_password").fill(NEW_PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("The password was changed")
    shop.service.clerk.run_once()
    page.goto(f"{shop.here}/account/certificate")
    page.locator("#login").fill("c.newcomer")
    page.locator("#password").fill(NEW_PASSWORD)
    page.keyboard.press("Enter")
    page.locator("#code").fill(newest_code(shop))
    show(page, "certificate", "en")
    page.locator("#password").fill(NEW_PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Approved")
    shop.service.clerk.run_once()

    to_wait(shop, page, login="c.newcomer")
    page.get_by_role("link", name="Code by SMS").click()
    page.locator("#code").fill(newest_code(shop))
    page.locator("#password").fill(NEW_PASSWORD)
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Approved")
    page.wait_for_url(f"{CALLBACK}?code=*")


def to_wait(shop: OauthClient, page: Page, *, login: str = "b.alone") -> None:
    def answer(route: Route) -> None:
        route.fulfill(body="<!doctype html><title>Shop</title>", content_type="text/html")

    page.route(f"{CALLBACK}?*", answer)
    credential = str(shop.service.credential(login))
    wish = shop.wish_of(credential, *hashes(1, seed=page.url))
    page.goto(shop.address(shop.session(scope="credential"), **wish)[0])
    page.locator("#login").fill(login)
    page.locator("#password").fill(NEW_PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/wait/*")


@looks
def test_the_form_for_a_code_looks_finished(
    shop: OauthClient, open_page: OpenPage, lang: str, size: tuple[int, int], *, dark: bool
) -> None:
    page = open_page(lang=lang, size=size, dark=dark)
    name = f"{lang}-{size[0]}-{'dark' if dark else 'light'}"
    to_wait(shop, page)
    show(page, "approve", name)
    page.locator("a[href$='/code/sms']").click()
    page.wait_for_url("**/code/sms")
    show(page, "sms", name)
    page.locator("#code").fill("00000000")
    page.locator("#password").fill("wrong")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    show(page, "sms-wrong", name)
    page.get_by_role("link").first.click()
    page.locator("form[action^='/cancel'] button").click(no_wait_after=True)


def to_the_seed(shop: OauthClient, page: Page) -> str:
    """Sign in and read the seed from the page."""
    page.goto(f"{shop.here}/account/codes")
    page.locator("#login").fill("a.ivanova")
    page.locator("#password").fill(NEW_PASSWORD)
    page.locator("button[value=totp]").click()
    return page.locator(".seed").inner_text().replace(" ", "")


@looks
def test_the_page_with_the_seed_looks_finished(
    shop: OauthClient, open_page: OpenPage, lang: str, size: tuple[int, int], *, dark: bool
) -> None:
    page = open_page(lang=lang, size=size, dark=dark)
    name = f"{lang}-{size[0]}-{'dark' if dark else 'light'}"
    page.goto(f"{shop.here}/account/codes")
    show(page, "codes", name)
    to_the_seed(shop, page)
    show(page, "authenticator", name)


def test_an_authenticator_is_set_up(shop: OauthClient, open_page: OpenPage) -> None:
    """The app's first code, then the phone. Once: a step of the same cell counts once."""
    page = open_page()
    seed = to_the_seed(shop, page)
    page.locator("#password").fill(NEW_PASSWORD)
    page.locator("#code").fill(TOTP(seed, digits=8).now())
    page.locator("button[value=confirm]").click()
    number = page.locator("#number").inner_text()
    show(page, "authenticator-wait", "en")
    phone = shop.service.phone()
    (asked,) = phone.pending().transactions
    phone.approve(phone.show(asked.id), consent=Consent(number=number))
    shop.service.clerk.run_once()
    expect(page.get_by_role("heading", level=1)).to_have_text("Allowed")


@looks
def test_a_forgotten_password_is_replaced_after_the_phones_approval(
    shop: OauthClient, open_page: OpenPage, lang: str, size: tuple[int, int], *, dark: bool
) -> None:
    page = open_page(lang=lang, size=size, dark=dark)
    name = f"{lang}-{size[0]}-{'dark' if dark else 'light'}"
    page.goto(f"{shop.here}/account/forgotten-password")
    show(page, "forgotten", name)
    page.locator("#login").fill("d.forgetful")
    page.keyboard.press("Enter")
    number = page.locator("#number").inner_text()
    show(page, "forgotten-wait", name)
    shop.service.clerk.run_once()
    phone = shop.service.phone("forgetful")
    asked = next(one for one in phone.pending().transactions if one.kind == "set_password")
    phone.approve(phone.show(asked.id), consent=Consent(number=number))
    page.locator("#new_password").fill(NEWER)
    show(page, "forgotten-new", name)
    page.keyboard.press("Enter")
    page.wait_for_selector(".sign.good")
    show(page, "changed", name)
