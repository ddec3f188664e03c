"""Scope ``credential``: sign-in, the waiting page, the phone, a code, a token that is the SAD."""

from tests.world.browser import Browser
from tests.world.oauth_client import CALLBACK, an_oauth_client, sign_in
from tests.world.service import Service, hashes


def test_csc_25_50_57_86_an_approval_on_the_phone_becomes_a_token_that_signs(
    signing_service: Service,
) -> None:
    """CSC-50, CSC-57, CSC-86."""
    shop = an_oauth_client(signing_service)
    wanted = hashes(2)
    browser, session = Browser(signing_service), shop.session(scope="credential")
    address, state = shop.address(session, **shop.wish(*wanted))

    page = browser.open(address).page
    waiting = sign_in(browser).page
    assert browser.again().page.refresh
    shop.csc("none").approve()
    back = browser.again()
    token = shop.redeem(session, back, state)

    assert "Shop" in page.text
    assert waiting.refresh
    assert back.left_for.startswith(CALLBACK)
    assert back.told.keys() == {"code", "state", "iss"}
    assert token["token_type"] == "Bearer"
    assert "method" not in token  # the phone approved
    assert token["expires_in"] <= 300
    assert "refresh_token" not in token
    csc = shop.csc(token["access_token"])
    assert len(csc.signed(..., *wanted)) == 2
