"""The OAuth way in a real browser: sign-in, the waiting page, and how it ends."""

from collections.abc import Iterator
from typing import Literal

import msgspec
import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select, update

from backend.access.registrations import RegistrationChange, change_registration
from backend.model.tables import Freeze, Transaction
from backend.virtual_phone.transactions import Consent
from backend.wiring import utc_now
from tests.world.chromium import LONGEST_MS, OpenPage, another_page, beside
from tests.world.looks import LANGS, look_at
from tests.world.oauth_client import CALLBACK, OauthClient, an_oauth_client
from tests.world.service import ANNA, NEW_PASSWORD, hashes
from tests.world.serving import serving
from tests.world.shop_door import ShopDoor

langs = pytest.mark.parametrize("lang", LANGS)
TITLE = {"ru": "Ждём ответа телефона", "en": "Waiting for your phone"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OauthClient]:
    """A relying party whose asks want the number of the page."""
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, clock=utc_now, ca_name="УЦ «Ромашка»") as service:
        service.signing_phone(service.register())
        client = an_oauth_client(service)
        with service.sessions() as session:
            change_registration(
                session,
                client_id=client.party.client_id,
                change=RegistrationChange(asks_number=True),
            )
        yield client


def press(page: Page, role: Literal["button", "link"], name: str) -> None:
    """Press what leads to another page."""
    with another_page(page):
        page.get_by_role(role, name=name).click()


def to_sign_in(shop: OauthClient, page: Page) -> None:
    address, _ = shop.address(
        shop.session(scope="credential"), **shop.wish(*hashes(2), description="Договор № 17")
    )
    page.goto(address)
    page.locator("#login").fill("a.ivanova")
    page.locator("#password").fill(NEW_PASSWORD)


def to_wait(shop: OauthClient, page: Page) -> str:
    """Sign in; gives the number on the page."""
    to_sign_in(shop, page)
    with another_page(page):
        page.locator("#password").press("Enter")
    return page.locator("#number").inner_text()


def answer_on_the_phone(shop: OauthClient, *, number: str | None) -> None:
    """The virtual phone approves what was asked last with that number, or refuses."""
    with shop.service.sessions() as session:
        newest = session.scalars(select(Transaction.id).order_by(Transaction.created_at.desc()))
        transaction = newest.first()
    assert transaction is not None
    phone = shop.service.phone()
    shown = phone.show(str(transaction))
    if number is None:
        phone.reject(shown)
    else:
        phone.approve(shown, consent=Consent(number=number))


@langs
def test_the_pages_look_finished_and_axe_finds_nothing(
    shop: OauthClient, open_page: OpenPage, lang: str
) -> None:
    page = open_page(lang=lang)
    to_sign_in(shop, page)
    look_at(page, "sign-in", lang=lang)
    with another_page(page):
        page.locator("#password").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(TITLE[lang])
    look_at(page, "wait", lang=lang)
    with another_page(page):
        page.locator("a.mistrust").click()
    look_at(page, "not-me", lang=lang)
    page.go_back()
    with another_page(page):
        answer_on_the_phone(shop, number=None)
    expect(page.locator("#back")).to_be_visible()
    look_at(page, "refused", lang=lang)


def test_the_page_is_live_and_goes_on_by_itself_after_the_approval(
    shop: OauthClient, open_page: OpenPage
) -> None:
    """Sent, delivered, opened, approved by the virtual phone with the page's number."""
    page = open_page()
    shop_door = ShopDoor(page, held=True)
    number = to_wait(shop, page)
    steps = page.locator("[data-step].reached")
    expect(steps).to_have_count(0)
    with shop.service.sessions.begin() as session:
        now = shop.service.clock()
        open_ones = Transaction.state == "pending"
        session.execute(update(Transaction).where(open_ones).values(sent_at=now, delivered_at=now))
    expect(steps).to_have_count(2)
    expect(page.get_by_role("status")).to_have_text("The request was delivered to your phone.")
    answer_on_the_phone(shop, number=number)
    expect(page.get_by_role("heading", level=1)).to_have_text("Approved")
    shop_door.let_in()
    page.wait_for_url(f"{CALLBACK}?code=*")


def test_the_link_back_tells_the_relying_party_of_the_refusal(
    shop: OauthClient, open_page: OpenPage
) -> None:
    page = open_page()
    ShopDoor(page)
    to_wait(shop, page)
    answer_on_the_phone(shop, number=None)
    page.get_by_role("link", name="Back to Shop").click()
    page.wait_for_url(f"{CALLBACK}?error=access_denied*")


def test_by_keyboard_alone(shop: OauthClient, open_page: OpenPage) -> None:
    """From the first key to cancel; where the focus is can always be seen."""
    page = open_page()
    ShopDoor(page)
    to_sign_in(shop, page)
    page.reload()
    page.keyboard.press("Tab")
    for typed in ("a.ivanova", NEW_PASSWORD):
        page.keyboard.type(typed)
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # the button that shows the password
    expect(page.locator("#password")).to_have_value(NEW_PASSWORD)
    expect(page.locator("#password")).to_have_attribute("type", "text")
    page.keyboard.press("Tab")
    with another_page(page):
        page.keyboard.press("Enter")
    while page.evaluate("document.activeElement.textContent") != "Cancel":
        page.keyboard.press("Tab")
    with page.expect_request(f"{CALLBACK}?error=access_denied*"):
        page.keyboard.press("Enter")


def test_without_scripts_the_page_lives_on(shop: OauthClient, chromium: Browser) -> None:
    context = chromium.new_context(java_script_enabled=False, locale="en-GB")
    context.set_default_timeout(LONGEST_MS)
    page = context.new_page()
    ShopDoor(page)
    answer_on_the_phone(shop, number=to_wait(shop, page))
    page.wait_for_url(f"{CALLBACK}?code=*")
    context.close()


def test_the_language_is_chosen_once(shop: OauthClient, open_page: OpenPage) -> None:
    page = open_page(lang="en")
    ShopDoor(page)
    to_sign_in(shop, page)
    press(page, "link", "Русский")
    expect(page.get_by_role("heading", level=1)).to_have_text("Вход")
    to_wait(shop, page)
    expect(page.get_by_role("heading", level=1)).to_have_text(TITLE["ru"])
    page.get_by_role("button", name="Отменить").click()
    page.wait_for_url(f"{CALLBACK}?error=access_denied*")


def test_this_was_not_me(shop: OauthClient, open_page: OpenPage) -> None:
    other = an_oauth_client(shop.service, client_id="other")
    page = open_page()
    page.goto(other.address(other.session(scope="credential"), **other.wish(*hashes(1)))[0])
    page.locator("#login").fill("a.ivanova")
    page.locator("#password").fill(NEW_PASSWORD)
    press(page, "button", "Sign in")
    press(page, "link", "This was not me")
    press(page, "button", "This was not me")
    expect(page.get_by_role("heading", level=1)).to_have_text("Cancelled and stopped")
    look_at(page, "stopped", lang="en")


@langs
def test_the_signers_own_pages(shop: OauthClient, open_page: OpenPage, lang: str) -> None:
    page = open_page(lang=lang)
    page.goto(shop.here)
    addresses = [str(link.get_attribute("href")) for link in page.locator("a.way").all()]
    look_at(page, "account", lang=lang)
    for address in addresses:
        page.goto(f"{shop.here}{address}")
        name = address.strip("/").replace("/", "-")
        look_at(page, name, lang=lang)
        if page.locator("#password").count():
            type_wrong(page)
            look_at(page, f"{name}-wrong", lang=lang)


def type_wrong(page: Page) -> None:
    page.locator("#login").fill("a.ivanova")
    page.locator("#password").fill("wrong")
    if (new := page.locator("#new_password")).count():
        new.fill("12345678")
    with another_page(page):
        page.locator("button.wide").first.click()
    expect(page.get_by_role("alert")).to_be_visible()


def test_a_lost_phone_locks_access_by_login_and_password(
    shop: OauthClient, open_page: OpenPage
) -> None:
    other = msgspec.structs.replace(ANNA, login="b.petrova")
    beside(lambda: shop.service.paired_phone(shop.service.register(other), name="other"))
    page = open_page()
    to_sign_in(shop, page)
    press(page, "link", "I lost my phone")
    page.locator("#login").fill("b.petrova")
    page.locator("#password").fill(NEW_PASSWORD)
    press(page, "button", "Lock my access")
    expect(page.get_by_role("heading", level=1)).to_have_text("Your access is locked")
    look_at(page, "locked", lang="en")
    with shop.service.sessions() as session:
        assert session.scalars(select(Freeze.frozen_by)).all() == ["password"]
        session.rollback()
        session.query(Freeze).delete()
        session.commit()
