"""Parameters of CSC at the authorisation end point that change nothing (CSC API 8.3.2)."""

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from backend.protocol.encoding import sha256
from tests.world.browser import Browser
from tests.world.oauth_client import OauthClient, sign_in
from tests.world.service import hashes


def account_token(shop: OauthClient) -> str:
    """As CSC has it: HS256 by the hash of the client's secret, for a signer's account."""
    claims = {
        "sub": "a.ivanova",
        "iat": 1_795_000_000,
        "jti": "1",
        "azp": shop.party.client_id,
    }
    key = OctKey.import_key(sha256(shop.party.client_secret.encode()))
    return jwt.encode({"alg": "HS256"}, claims, key)


@pytest.mark.parametrize("scope", ["service", "credential"])
def test_csc_44_a_relying_partys_word_signs_nobody_in(oauth_shop: OauthClient, scope: str) -> None:
    """A signer's account is ours: an ``account_token`` is passed over, however well it is made."""
    browser = Browser(oauth_shop.service)
    wish = oauth_shop.wish(*hashes(1)) if scope == "credential" else {}
    address, _ = oauth_shop.address(
        oauth_shop.session(scope=scope), account_token=account_token(oauth_shop), **wish
    )

    page = browser.open(address).page

    assert {"login", "password"} <= page.forms[0].fields.keys()
    assert sign_in(browser).answer.status_code in {200, 303}


@pytest.mark.parametrize("name", ["prompt", "clientData", "ui_locales", "nonce"])
def test_csc_45_what_is_not_known_is_neither_shown_nor_refused(
    oauth_shop: OauthClient, name: str
) -> None:
    browser = Browser(oauth_shop.service)
    address, _ = oauth_shop.address(oauth_shop.session(), **{name: "very-special-words"})

    page = browser.open(address).page

    assert "very-special-words" not in page.text
    assert sign_in(browser).told.keys() == {"code", "state", "iss"}
