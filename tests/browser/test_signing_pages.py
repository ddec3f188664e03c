"""The OAuth way in a real browser: sign-in, the waiting page, and how it ends."""

from collections.abc import Iterator

import msgspec
import pytest
from playwright.sync_api import Browser, Page, Route, expect
from sqlalchemy import select, update

from backend.access.registrations import RegistrationChange, change_registration
from backend.model.tables import Freeze, Transaction
from backend.virtual_phone.transactions import Consent
from backend.wiring import utc_now
from tests.world.chromium import (
    DESKTOP,
    PHONE,
    TAKES_PICTURES,
    OpenPage,
    assert_accessible,
    beside,
    picture,
)
from tests.world.oauth_client import CALLBACK, OauthClient, an_oauth_client
from tests.world.service import ANNA, NEW_PASSWORD, hashes
from tests.world.serving import serving

LOOKS = [("ru", PHONE, True), ("en", DESKTOP, False)]
if TAKES_PICTURES:
    LOOKS += [("ru", DESKTOP, True), ("en", PHONE, False)]
looks = pytest.mark.parametrize(("lang", "size", "dark"), LOOKS)
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


def back_at_the_shop(page: Page) -> None:
    """The relying party answers, whatever it is told."""

    def answer(route: Route) -> None:
        route.fulfill(body="<!doctype html><title>Shop</title>", content_type="text/html")

    page.route(f"{CALLBACK}?*", answer)


def to_sign_in(shop: OauthClient, page: Page) -> None:
    back_at_the_shop(page)
    address, _ = shop.address(
        shop.session(scope="credential"), **shop.wish(*hashes(2), description="Договор № 17")
    )
    page.goto(address)
    page.locator("#login").fill("a.ivanova")
    page.locator("#password").fill(NEW_PASSWORD)


def to_wait(shop: OauthClient, page: Page) -> None:
    to_sign_in(shop, page)
    page.locator("#password").press("Enter")
    page.locator("#number").wait_for()


def answer_on_the_phone(shop: OauthClient, *, number: str | None) -> None:
    """The virtual phone approves with that number, or refuses."""
    phone = shop.service.phone()
    shown = phone.show(phone.pending().transactions[0].id)
    if number is None:
        phone.reject(shown)
    else:
        phone.approve(shown, consent=Consent(number=number))


@looks
def test_the_pages_look_finished_and_axe_finds_nothing(
    shop: OauthClient, open_page: OpenPage, lang: str, size: tuple[int, int], *, dark: bool
) -> None:
    page = open_page(lang=lang, size=size, dark=dark)
    name = f"{lang}-{size[0]}-{'dark' if dark else 'light'}"
    to_sign_in(shop, page)
    assert_accessible(page)
    picture(page, f"sign-in-{name}")
    page.locator("#password").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(TITLE[lang])
    assert_accessible(page)
    picture(page, f"wait-{name}")
    page.locator("a.mistrust").click()
    page.wait_for_url("**/not-me")
    assert_accessible(page)
    picture(page, f"not-me-{name}")
    page.go_back()
    answer_on_the_phone(shop, number=None)
    page.locator("#back").wait_for()
    assert_accessible(page)
    picture(page, f"refused-{name}")
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_the_page_is_live_and_goes_on_by_itself_after_the_approval(
    shop: OauthClient, open_page: OpenPage
) -> None:
    """Sent, delivered, opened, approved by the virtual phone with the page's number."""
    page = open_page()
    to_wait(shop, page)
    steps = page.locator("[data-step].reached")
    expect(steps).to_have_count(0)
    with shop.service.sessions.begin() as session:
        now = shop.service.clock()
        open_ones = Transaction.state == "pending"
        session.execute(update(Transaction).where(open_ones).values(sent_at=now, delivered_at=now))
    expect(steps).to_have_count(2)
    expect(page.get_by_role("status")).to_have_text("The request was delivered to your phone.")
    answer_on_the_phone(shop, number=page.locator("#number").inner_text())
    expect(page.get_by_role("heading", level=1)).to_have_text("Approved")
    page.wait_for_url(f"{CALLBACK}?code=*")


def test_the_link_back_tells_the_relying_party_of_the_refusal(
    shop: OauthClient, open_page: OpenPage
) -> None:
    page = open_page()
    to_wait(shop, page)
    answer_on_the_phone(shop, number=None)
    page.get_by_role("link", name="Back to Shop").click()
    page.wait_for_url(f"{CALLBACK}?error=access_denied*")


def test_by_keyboard_alone(shop: OauthClient, open_page: OpenPage) -> None:
    """From the first key to cancel; where the focus is can always be seen."""
    page = open_page()
    to_sign_in(shop, page)
    page.reload()
    page.keyboard.press("Tab")
    for typed in ("a.ivanova", NEW_PASSWORD):
        page.keyboard.type(typed)
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # the button that shows the password
    assert page.locator("#password").input_value() == NEW_PASSWORD
    assert page.locator("#password").get_attribute("type") == "text"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("#number").wait_for()
    while page.evaluate("document.activeElement.textContent") != "Cancel":
        page.keyboard.press("Tab")
    with page.expect_request(f"{CALLBACK}?error=access_denied*"):
        page.keyboard.press("Enter")


def test_without_scripts_the_page_lives_on(shop: OauthClient, chromium: Browser) -> None:
    context = chromium.new_context(java_script_enabled=False, locale="en-GB")
    page = context.new_page()
    to_wait(shop, page)
    answer_on_the_phone(shop, number=page.locator("#number").inner_text())
    page.wait_for_url(f"{CALLBACK}?code=*")
    context.close()


def test_the_language_is_chosen_once(shop: OauthClient, open_page: OpenPage) -> None:
    page = open_page(lang="en")
    to_sign_in(shop, page)
    page.get_by_role("link", name="Русский").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Вход")
    to_wait(shop, page)
    expect(page.get_by_role("heading", level=1)).to_have_text(TITLE["ru"])
    page.get_by_role("button", name="Отменить").click()


def test_this_was_not_me(shop: OauthClient, open_page: OpenPage) -> None:
    other = an_oauth_client(shop.service, client_id="other")
    page = open_page()
    back_at_the_shop(page)
    page.goto(other.address(other.session(scope="credential"), **other.wish(*hashes(1)))[0])
    page.locator("#login").fill("a.ivanova")
    page.locator("#password").fill(NEW_PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="This was not me").click()
    page.get_by_role("button", name="This was not me").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Cancelled and stopped")
    assert_accessible(page)


@looks
def test_the_signers_own_pages(
    shop: OauthClient, open_page: OpenPage, lang: str, size: tuple[int, int], *, dark: bool
) -> None:
    page = open_page(lang=lang, size=size, dark=dark)
    name = f"{lang}-{size[0]}-{'dark' if dark else 'light'}"
    page.goto(shop.here)
    addresses = [link.get_attribute("href") for link in page.locator("a.way").all()]
    assert_accessible(page)
    picture(page, f"account-{name}")
    for address in addresses:
        page.goto(f"{shop.here}{address}")
        assert_accessible(page)
        picture(page, f"{str(address).strip('/').replace('/', '-')}-{name}")
        if page.locator("#password").count():
            type_wrong(page)
            assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def type_wrong(page: Page) -> None:
    page.locator("#login").fill("a.ivanova")
    page.locator("#password").fill("wrong")
    if (new := page.locator("#new_password")).count():
        new.fill("12345678")
    page.locator("button.wide").first.click()
    page.get_by_role("alert").wait_for()


def test_a_lost_phone_locks_access_by_login_and_password(
    shop: OauthClient, open_page: OpenPage
) -> None:
    other = msgspec.structs.replace(ANNA, login="b.petrova")
    beside(lambda: shop.service.paired_phone(shop.service.register(other), name="other"))
    page = open_page()
    to_sign_in(shop, page)
    page.get_by_role("link", name="I lost my phone").click()
    page.locator("#login").fill("b.petrova")
    page.locator("#password").fill(NEW_PASSWORD)
    page.get_by_role("button", name="Lock my access").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your access is locked")
    assert_accessible(page)
    picture(page, "locked")
    with shop.service.sessions() as session:
        assert session.scalars(select(Freeze.frozen_by)).all() == ["password"]
        session.rollback()
        session.query(Freeze).delete()
        session.commit()
