"""Pushed requests (RFC 9126): many hashes, one use, no redirects; and the server's metadata."""

import json
from typing import Any

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from werkzeug.test import TestResponse

from tests.world.browser import Browser
from tests.world.clock import SettableClock
from tests.world.csc_client import SHA256, b64, content
from tests.world.oauth_client import CALLBACK, OauthClient, an_oauth_client, sign_in
from tests.world.service import hashes

REQUEST_URI = "urn:ietf:params:oauth:request_uri:"


def push(shop: OauthClient, **changed: str) -> TestResponse:
    given = {
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "state": "s",
        "code_challenge": "5ujwHxnDFjIy7Ld6jnYRIX_5HM7qpXP8ivwy6Hk3BOw",
        "code_challenge_method": "S256",
    }
    auth = (shop.party.client_id, shop.party.client_secret)
    return shop.service.client().post("/oauth2/pushed_authorize", data=given | changed, auth=auth)


def pushed(shop: OauthClient, **changed: str) -> str:
    told = content(push(shop, **changed), 201)
    assert told.keys() == {"request_uri", "expires_in"}
    assert told["expires_in"] == 90
    request_uri: str = told["request_uri"]
    assert request_uri.startswith(REQUEST_URI)
    return request_uri


def address(shop: OauthClient, request_uri: str, **more: str) -> str:
    extra = "".join(f"&{name}={value}" for name, value in more.items())
    return f"/oauth2/authorize?client_id={shop.party.client_id}&request_uri={request_uri}{extra}"


def test_csc_40_43_a_hundred_hashes_are_pushed_and_signed(oauth_shop: OauthClient) -> None:
    """By Authlib's client: PAR, PKCE and the token."""
    wanted = hashes(100)
    session = oauth_shop.session(scope="credential")
    url, state = oauth_shop.address(session, **oauth_shop.wish(*wanted))
    query = dict(part.split("=", 1) for part in url.partition("?")[2].split("&"))
    answer = push(
        oauth_shop,
        **oauth_shop.wish(*wanted),
        scope="credential",
        state=state,
        code_challenge=query["code_challenge"],
    )
    browser = Browser(oauth_shop.service)
    browser.open(address(oauth_shop, content(answer, 201)["request_uri"]))
    sign_in(browser)
    oauth_shop.csc("none").approve()
    token = oauth_shop.redeem(session, browser.again(), state)

    signed = oauth_shop.csc(token["access_token"]).signed(..., *wanted)
    assert len(signed) == 100


def test_csc_41_a_request_uri_counts_once_and_the_rest_of_the_address_not_at_all(
    oauth_shop: OauthClient,
) -> None:
    """EUDI's Kotlin client adds ``state``; whoever adds another address gets nothing by it."""
    request_uri = pushed(oauth_shop)
    browser = Browser(oauth_shop.service)
    more = {"state": "other", "redirect_uri": "https://evil.example", "scope": "credential"}

    assert oauth_shop.service.client().head(address(oauth_shop, request_uri)).status_code == 405
    browser.open(address(oauth_shop, request_uri, **more))
    again = Browser(oauth_shop.service).open(address(oauth_shop, request_uri))
    back = sign_in(browser)

    assert again.answer.status_code == 400
    assert back.left_for.startswith(CALLBACK)
    assert back.told["state"] == "s"


def test_csc_41_a_request_uri_is_its_clients_and_lives_ninety_seconds(
    oauth_shop: OauthClient, clock: SettableClock
) -> None:
    other = an_oauth_client(oauth_shop.service, client_id="other")
    browser = Browser(oauth_shop.service)
    request_uri, old = pushed(oauth_shop), pushed(oauth_shop)

    for unknown in (request_uri, f"{REQUEST_URI}x", "https://shop.example/r", "x" * 500):
        assert browser.open(address(other, unknown)).answer.status_code == 400
    assert browser.open(address(oauth_shop, request_uri)).answer.status_code == 200
    clock.advance(seconds=90)
    assert browser.open(address(oauth_shop, old)).answer.status_code == 400


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"request_uri": "urn:x"}, "invalid_request"),
        ({"redirect_uri": "https://evil.example"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "openid"}, "invalid_scope"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": "credential"}, "invalid_request"),
        ({"scope": "credential", "hashes": "!"}, "invalid_request"),
        ({"authorization_details": "[{}]"}, "invalid_request"),
    ],
)
def test_csc_42_what_does_not_fit_is_refused_when_it_is_pushed(
    calm_oauth: OauthClient, changed: dict[str, str], error: str
) -> None:
    """As JSON, to the relying party; nobody is redirected."""
    answer = push(calm_oauth, **changed)

    assert content(answer, 400)["error"] == error
    assert "Location" not in answer.headers


def test_csc_40_only_a_client_that_proves_itself_pushes(calm_oauth: OauthClient) -> None:
    client = calm_oauth.service.client()
    form = {"client_id": calm_oauth.party.client_id}

    nobody = client.post("/oauth2/pushed_authorize", data=form)
    liar = client.post("/oauth2/pushed_authorize", data=form, auth=("shop-oauth", "wrong"))
    as_another = push(calm_oauth, client_id="other")

    for answer in (nobody, liar, as_another):
        assert content(answer, 401)["error"] == "invalid_client"


def test_csc_43_ten_thousand_hashes_with_labels_may_be_pushed(calm_oauth: OauthClient) -> None:
    """And more bytes than that are not read."""
    entry: dict[str, Any] = {
        "type": "credential",
        "credentialID": "C",
        "documentDigests": [
            {"hash": b64(each), "label": f"Document {number} of a very long register"}
            for number, each in enumerate(hashes(10_000))
        ],
        "hashAlgorithmOID": SHA256,
    }

    assert pushed(calm_oauth, authorization_details=json.dumps([entry]))
    assert push(calm_oauth, state="x" * 4_200_000).status_code == 413


@pytest.mark.parametrize("name", ["oauth-authorization-server", "openid-configuration"])
def test_csc_24_the_server_says_what_it_can(calm_oauth: OauthClient, name: str) -> None:
    """RFC 8414, read by Authlib's own validator; mutual TLS only where a proxy passes it on."""
    answer = calm_oauth.service.client().get(f"/.well-known/{name}")
    told: dict[str, Any] = json.loads(answer.data)

    AuthorizationServerMetadata(told | {"issuer": "https://x.example"}).validate_issuer()
    assert told["issuer"] == calm_oauth.here
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert told["authorization_response_iss_parameter_supported"] is True
    assert not told["tls_client_certificate_bound_access_tokens"]
    assert "tls_client_auth" not in told["token_endpoint_auth_methods_supported"]
    rules = {rule.rule for rule in calm_oauth.service.app.url_map.iter_rules()}
    for member, value in told.items():
        if member.endswith("_endpoint"):
            assert value.removeprefix(calm_oauth.here) in rules
