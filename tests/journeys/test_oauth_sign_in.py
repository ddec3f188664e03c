"""The sign-in page and its session: what a stranger, another site and another browser get."""

from uuid import uuid4

import pytest
from sqlalchemy import select

from backend.errors import SamUnavailable
from backend.model.tables import BrowserSession
from backend.oauth.passwords import BROWSER
from backend.signers.freeze import freeze
from backend.signers.password import FREE_TRIES
from backend.signers.registration import plain_first_password
from tests.journeys.conftest import Stage
from tests.world.browser import Browser, Shown
from tests.world.clock import SettableClock
from tests.world.csc_client import times_asked
from tests.world.oauth_client import CALLBACK, OauthClient, an_oauth_client, sign_in
from tests.world.service import NEW_PASSWORD, Service, hashes


def at_sign_in(shop: OauthClient, *, scope: str = "service", **wish: str) -> Browser:
    browser = Browser(shop.service)
    browser.open(shop.address(shop.session(scope=scope), **wish)[0])
    return browser


def cookies(browser: Browser) -> set[str]:
    """The values of the sessions that the browser keeps."""
    kept = (browser.client._cookies or {}).values()
    return {cookie.value for cookie in kept if cookie.value and cookie.key != BROWSER}


# --- login and password -----------------------------------------------------------


def test_a_sign_in_for_the_service_gives_a_code_and_shows_nothing(oauth_shop: OauthClient) -> None:
    back = sign_in(at_sign_in(oauth_shop))

    assert back.address.startswith(CALLBACK)
    assert back.told.keys() == {"code", "state", "iss"}
    assert times_asked(oauth_shop.service) == 0


def test_t_17_which_of_them_is_wrong_is_not_said(oauth_shop: OauthClient) -> None:
    browser = at_sign_in(oauth_shop)
    wrong = sign_in(browser, password="another")
    for typed in (
        {"login": "nobody"},
        {"password": ""},
        {"login": "a.ivanova\x00"},
        {"login": "Иванова"},
        {"password": "x" * 60_000},
        {"login": "x" * 3000},
    ):
        shown = sign_in(browser, **typed)
        assert shown.answer.status_code == wrong.answer.status_code == 403
        assert shown.page.text == wrong.page.text
    assert "wrong" in wrong.page.text


def test_t_16_a_pause_is_not_told_from_a_wrong_password(
    oauth_shop: OauthClient, clock: SettableClock
) -> None:
    """After some tries even the right one waits, and a stranger does not learn that."""
    browser = at_sign_in(oauth_shop)
    for _ in range(FREE_TRIES):
        wrong = sign_in(browser, password="wrong")
    paused = sign_in(browser)
    unknown = sign_in(browser, login="nobody", password="wrong")
    clock.advance(minutes=1)
    back = sign_in(browser)

    assert wrong.page.text == paused.page.text == unknown.page.text
    assert paused.answer.status_code == unknown.answer.status_code
    assert "code" in back.told


def test_r_042_the_envelopes_password_signs_nobody_in(registered: Stage, service: Service) -> None:
    """Neither as it is printed nor as it was hashed."""
    browser = at_sign_in(an_oauth_client(service))
    printed = registered.envelope.first_password

    for password in (printed, plain_first_password(printed)):
        assert sign_in(browser, password=password).answer.status_code == 403


def test_a_frozen_signer_gets_no_code_and_only_the_password_tells(oauth_shop: OauthClient) -> None:
    service = oauth_shop.service
    with service.sessions() as session:
        freeze(session, signer=service.signer(), by="operator", now=service.clock())

    wrong = sign_in(at_sign_in(oauth_shop), password="wrong")
    right = sign_in(at_sign_in(oauth_shop))

    assert wrong.answer.status_code == 403
    assert right.told["error"] == "access_denied"


def test_where_the_sam_is_down_a_sign_in_is_repeated(
    oauth_shop: OauthClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page says so, and the try does not count."""
    browser = at_sign_in(oauth_shop, scope="credential", **oauth_shop.wish(*hashes(1)))
    sam = oauth_shop.service.sam
    with monkeypatch.context() as down:
        down.setattr(sam, "open_transaction", _down)
        shown = sign_in(browser)
    again = browser.open(shown.address)

    assert shown.answer.status_code == 503
    assert shown.answer.headers["Retry-After"]
    assert again.page.forms
    assert sign_in(browser).page.refresh


def _down(*_given: object) -> None:
    raise SamUnavailable("the SAM does not answer")


# --- the session ------------------------------------------------------------------


def test_t_31_another_browser_does_not_go_on(oauth_shop: OauthClient) -> None:
    mine = at_sign_in(oauth_shop)
    assert mine.shown is not None

    theirs = Browser(oauth_shop.service).open(mine.shown.address)

    assert theirs.answer.status_code == 403
    assert "over" in theirs.page.text


@pytest.mark.parametrize("page", ["sign-in", "wait"])
def test_an_authorisation_that_is_not_there_is_over(oauth_shop: OauthClient, page: str) -> None:
    shown = at_sign_in(oauth_shop).open(f"/{page}/{uuid4()}")

    assert shown.answer.status_code == 403


def test_a_form_of_another_site_is_not_heard(oauth_shop: OauthClient) -> None:
    """ASVS 3.5.1: sign-in and cancel."""
    browser = at_sign_in(oauth_shop)
    form = browser.shown
    for number in (0, 1):
        for token in ("", "wrong", "ä"):
            browser.shown = form
            assert browser.send(number, csrf_token=token).answer.status_code == 403
    browser.shown = form

    assert "code" in sign_in(browser).told


def test_a_browser_that_says_another_site_sent_the_form_is_believed(
    oauth_shop: OauthClient,
) -> None:
    browser = at_sign_in(oauth_shop)
    browser._headers["Sec-Fetch-Site"] = "cross-site"

    assert sign_in(browser).answer.status_code == 403


def test_the_cookie_is_for_this_host_alone_and_changes_with_the_sign_in(
    oauth_shop: OauthClient,
) -> None:
    """ASVS 3.3, 7.2.4; only its hash is kept."""
    service = oauth_shop.service
    url, _ = oauth_shop.address(
        oauth_shop.session(scope="credential"), **oauth_shop.wish(*hashes(1))
    )
    client = service.client()

    opened = client.get(url.removeprefix(oauth_shop.here))
    cookie = opened.headers["Set-Cookie"]
    with service.sessions() as session:
        (kept,) = session.scalars(select(BrowserSession.token_hash)).all()

    assert cookie.startswith("__Host-")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    secret = cookie.partition("=")[2].partition(";")[0]
    assert len(secret) == 43
    assert secret.encode() not in service.settings.data_dir.joinpath("cellkey.sqlite3").read_bytes()
    browser = at_sign_in(oauth_shop, scope="credential", **oauth_shop.wish(*hashes(1)))
    before = cookies(browser)
    sign_in(browser)
    assert before
    assert not before & cookies(browser)
    with service.sessions() as session:
        assert len(session.scalars(select(BrowserSession.token_hash)).all()) == 2
        assert len(kept) == 32


def test_the_session_ends_with_its_answer(oauth_shop: OauthClient) -> None:
    browser = at_sign_in(oauth_shop)
    assert browser.shown is not None
    address = browser.shown.address

    sign_in(browser)

    assert cookies(browser) == set()
    assert browser.open(address).answer.status_code == 403
    with oauth_shop.service.sessions() as session:
        assert session.scalars(select(BrowserSession.token_hash)).all() == []


@pytest.mark.parametrize("steps", [[301], [200, 200, 200, 200, 200]])
def test_a_session_ends_when_it_is_not_seen_or_too_old(
    oauth_shop: OauthClient, clock: SettableClock, steps: list[int]
) -> None:
    browser = at_sign_in(oauth_shop)
    seen = []
    for seconds in steps:
        clock.advance(seconds=seconds)
        seen.append(browser.again().answer.status_code)

    assert seen[-1] == 403
    assert set(seen[:-1]) <= {200}


def test_two_authorisations_go_on_in_one_browser(oauth_shop: OauthClient) -> None:
    browser = at_sign_in(oauth_shop)
    first = browser.shown
    assert first is not None
    browser.open(oauth_shop.address(oauth_shop.session())[0])
    second = sign_in(browser)

    browser.open(first.address)
    assert second.told["code"] != sign_in(browser).told["code"]


def test_cancel_before_the_sign_in_tells_the_relying_party(oauth_shop: OauthClient) -> None:
    told = at_sign_in(oauth_shop).send(1).told

    assert told["error"] == "access_denied"
    assert told["state"]


def test_the_form_may_lead_to_the_relying_party_and_nowhere_else(
    calm_oauth: OauthClient,
) -> None:
    browser = at_sign_in(calm_oauth)
    assert isinstance(browser.shown, Shown)

    policy = browser.shown.answer.headers["Content-Security-Policy"]

    assert "form-action 'self' https://shop.example;" in policy
    assert NEW_PASSWORD not in browser.shown.page.text
