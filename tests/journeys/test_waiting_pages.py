"""Where a waiting page may wait: at `cellkey wait`, by the id of its transaction."""

import re
from uuid import UUID

import pytest
from sqlalchemy import select

from backend.model.tables import Transaction
from tests.world.browser import Browser, Shown
from tests.world.oauth_client import OauthClient, an_oauth_client, sign_in
from tests.world.service import NEW_PASSWORD, Service, hashes

WAIT = "https://wait.example.org"
told = pytest.mark.parametrize("settings", [{"wait_url": f"{WAIT}/here/"}])


def calls(shown: Shown) -> list[str]:
    """What the page's script may call."""
    policy = shown.answer.headers["Content-Security-Policy"].split("; ")
    (rule,) = (part for part in policy if part.startswith("connect-src"))
    return rule.split()[1:]


def waits_at(shown: Shown) -> str | None:
    found = re.search(r' data-wait="([^"]*)"', shown.answer.get_data(as_text=True))
    return found and found[1]


def wait_id(service: Service) -> UUID:
    with service.sessions() as session:
        asked = select(Transaction.wait_id).where(Transaction.state == "pending")
        return session.scalars(asked).one()


def waiting(shop: OauthClient) -> Shown:
    browser = Browser(shop.service)
    browser.open(shop.address(shop.session(scope="credential"), **shop.wish(*hashes(1)))[0])
    sign_in(browser)
    return browser.again()


def asked_for_codes(service: Service) -> Shown:
    """The page that waits until the phone lets a code stand for it."""
    browser = Browser(service)
    browser.open("/account/codes")
    return browser.send_also(do="sms", login="a.ivanova", password=NEW_PASSWORD)


@told
def test_the_page_waits_by_its_transactions_id_and_calls_nobody_else(
    signing_service: Service,
) -> None:
    shown = waiting(an_oauth_client(signing_service))

    assert waits_at(shown) == f"{WAIT}/here/wait/{wait_id(signing_service)}/events"
    assert calls(shown) == ["'self'", WAIT]


@pytest.mark.sms
@told
def test_so_does_the_page_that_waits_for_a_code_to_be_allowed(signing_service: Service) -> None:
    shown = asked_for_codes(signing_service)

    assert waits_at(shown) == f"{WAIT}/here/wait/{wait_id(signing_service)}/events"
    assert calls(shown) == ["'self'", WAIT]


@told
def test_t_17_a_forgotten_password_has_nothing_to_wait_by(signing_service: Service) -> None:
    """That something changed would say that there is such a login, with a phone."""
    browser = Browser(signing_service)
    browser.open("/account/forgotten-password")
    shown = browser.send(login="a.ivanova")

    assert "data-state" in shown.answer.get_data(as_text=True)
    assert waits_at(shown) is None
    assert calls(shown) == ["'self'"]


def test_where_nothing_waits_the_page_calls_us_alone(signing_service: Service) -> None:
    shown = waiting(an_oauth_client(signing_service))

    assert waits_at(shown) is None
    assert calls(shown) == ["'self'"]
