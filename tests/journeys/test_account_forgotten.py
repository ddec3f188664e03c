"""The pages of a forgotten password, from the login to the new one."""

import re

import pytest
from sqlalchemy import func, select

from backend.model.tables import ForgottenPassword, KnownBrowser, Signer
from backend.oauth.account.forgotten import COOKIE
from backend.signers.freeze import freeze
from backend.virtual_phone.transactions import Consent
from tests.world.browser import Browser, Shown
from tests.world.clock import SettableClock
from tests.world.oauth_client import an_oauth_client, sign_in
from tests.world.service import NEW_PASSWORD, Service

NEWER = "синий забор, 9 досок"
BEGIN = "/account/forgotten-password"


def begun(service: Service, login: str = "a.ivanova", *, lang: str = "en") -> Browser:
    """A browser that shows the number."""
    browser = Browser(service, languages=lang)
    browser.open(BEGIN)
    browser.send(login=login)
    return browser


def number(shown: Shown) -> str:
    found = re.search(r"The number that the app will ask for (\d\d)", shown.page.text)
    assert found, shown.page.text
    return found[1]


def approve(service: Service, browser: Browser) -> None:
    """The clerk asks, the phone approves with the page's number."""
    typed = number(browser.again())
    service.clerk.run_once()
    phone = service.phone()
    (asked,) = phone.pending().transactions
    assert asked.kind == "set_password"
    phone.approve(phone.show(asked.id), consent=Consent(number=typed))


def cookie(browser: Browser) -> str:
    kept = (browser.client._cookies or {}).values()
    (found,) = (each.value for each in kept if each.key == COOKIE)
    return found


def test_the_phone_approves_and_the_browser_sets_the_new_password(signing_service: Service) -> None:
    shop = an_oauth_client(signing_service)
    known = Browser(signing_service)
    known.open(shop.address(shop.session())[0])
    sign_in(known)
    browser = begun(signing_service)
    approve(signing_service, browser)
    form = browser.again()
    unfit = browser.send(new_password="qwertyuiop")
    done = browser.send(new_password=NEWER)
    known.open(shop.address(shop.session())[0])

    assert form.address == f"{BEGIN}/new"
    assert "first that are guessed" in unfit.page.text
    assert "The password was changed" in done.page.text
    assert sign_in(known, password=NEW_PASSWORD).answer.status_code == 403
    assert "code" in sign_in(known, password=NEWER).told
    with signing_service.sessions() as session:
        assert len(session.scalars(select(KnownBrowser.token_hash)).all()) == 1


def test_t_17_the_pages_are_the_same_for_any_login(
    signing_service: Service, clock: SettableClock
) -> None:
    """Also while the phone is asked, refuses, and when the time is over."""
    browsers = [begun(signing_service, login) for login in ("a.ivanova", "nobody", "\x00", "я" * 9)]
    signing_service.clerk.run_once()

    def told() -> set[str]:
        pages = [browser.again() for browser in browsers]
        return {re.sub(r"\d\d", "", page.page.text) + page.address for page in pages}

    assert len(told()) == 1
    phone = signing_service.phone()
    phone.reject(phone.show(phone.pending().transactions[0].id))
    assert len(told()) == 1
    states = {browser.fetch(f"{BEGIN}/state").get_data() for browser in browsers}
    assert len(states) == 1
    clock.advance(minutes=10, seconds=1)
    (over,) = told()
    assert "No phone approved" in over


def test_t_31_another_browser_neither_waits_nor_sets_it(signing_service: Service) -> None:
    browser = begun(signing_service)
    approve(signing_service, browser)
    theirs = Browser(signing_service)
    for page in ("wait", "new", "state"):
        assert theirs.fetch(f"{BEGIN}/{page}").status_code == 403
    named, _, rest = cookie(browser).partition(".")
    _, _, rest = rest.partition(".")
    theirs.client.set_cookie(COOKIE, f"{named}.{'x' * 43}.{rest}", domain="127.0.0.1", secure=True)
    assert theirs.open(f"{BEGIN}/wait").page.forms == []

    assert browser.again().page.forms


@pytest.mark.parametrize(
    "value", ["", "x", "....", "a.b.c.d", f"{'0' * 8}-0000-0000-0000-{'0' * 12}.s.1.{'9' * 30}"]
)
def test_a_cookie_that_is_none_is_no_session(signing_service: Service, value: str) -> None:
    browser = Browser(signing_service)
    browser.client.set_cookie(COOKIE, value, domain="127.0.0.1", secure=True)

    assert browser.open(f"{BEGIN}/wait").answer.status_code == 403


def test_before_the_phone_approved_nothing_is_set(signing_service: Service) -> None:
    browser = begun(signing_service)
    page = browser.open(f"{BEGIN}/new")
    assert page.page.forms
    early = browser.send(new_password=NEWER)
    forged = browser.fetch(f"{BEGIN}/new", new_password=NEWER, csrf_token="x")

    assert early.address == f"{BEGIN}/wait"
    assert forged.status_code == 403


def test_after_a_freeze_nothing_is_set(signing_service: Service) -> None:
    browser = begun(signing_service)
    approve(signing_service, browser)
    browser.again()
    with signing_service.sessions() as session:
        freeze(session, signer=signing_service.signer(), by="operator", now=signing_service.clock())

    assert "access is locked" in browser.send(new_password=NEWER).page.text


def test_t_39_an_address_begins_so_many_and_no_more(
    signing_service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = Browser(signing_service)
    for _ in range(signing_service.settings.authorizations_per_minute):
        browser.fetch(BEGIN, login="nobody")
    refused = browser.fetch(BEGIN, login="nobody")
    with signing_service.sessions() as session:
        rows = session.scalar(select(func.count()).select_from(ForgottenPassword))

    assert refused.status_code == 429
    assert refused.headers["Retry-After"]
    assert rows == signing_service.settings.authorizations_per_minute
    with signing_service.sessions() as session:
        assert session.scalars(select(Signer.password_tries)).one() == 0
