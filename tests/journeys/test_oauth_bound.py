"""Tokens bound to what their bearer holds, and clients that prove themselves without a secret."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import pytest
from joserfc.jwk import ECKey, RSAKey
from werkzeug.test import TestResponse

from tests.journeys.conftest import Stage
from tests.world.browser import Browser
from tests.world.certificates import a_certificate, escaped, rfc_9440
from tests.world.client_keys import a_key, assertion, proof
from tests.world.clock import START
from tests.world.csc_client import content
from tests.world.oauth_client import CALLBACK, VERIFIER, OauthClient, an_oauth_client, sign_in
from tests.world.service import copy_service

TOKEN = "/oauth2/token"
PUSH = "/oauth2/pushed_authorize"
LIST = "/csc/v2/credentials/list"
GRANT = {"grant_type": "client_credentials"}
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
HEADER = "X-Client-Cert"


def ask(shop: OauthClient, *, form: dict[str, str] | None = None, **headers: str) -> TestResponse:
    """Ask for a token by secret."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    auth = (shop.party.client_id, shop.party.client_secret)
    return shop.service.client().post(TOKEN, data=GRANT | (form or {}), auth=auth, headers=named)


def use(shop: OauthClient, authorization: str, **headers: str) -> TestResponse:
    """Call CSC."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return shop.service.client().post(
        LIST, json={"userID": "nobody"}, headers={"Authorization": authorization} | named
    )


@dataclass
class Holder:
    """A relying party and its DPoP key."""

    shop: OauthClient
    key: ECKey

    def proof(self, path: str, **changed: Any) -> str:  # noqa: ANN401  # as client_keys.proof
        given: dict[str, Any] = {"key": self.key, "at": self.shop.service.clock().timestamp()}
        given |= changed
        return proof(url=self.shop.here + path, **given)

    def token(self) -> str:
        told = content(ask(self.shop, DPoP=self.proof(TOKEN)), 200)
        assert told["token_type"] == "DPoP"
        token: str = told["access_token"]
        return token


@pytest.fixture(scope="module")
def holder(calm_oauth: OauthClient) -> Holder:
    return Holder(calm_oauth, a_key())


# --- DPoP -------------------------------------------------------------------------


def test_a_bound_token_counts_with_its_keys_proof_and_not_without(holder: Holder) -> None:
    """RFC 9449, 7.1, 7.2."""
    token = holder.token()
    shop, good = holder.shop, holder.proof(LIST, token=token)

    assert use(shop, f"DPoP {token}", DPoP=good).status_code == 200
    for authorization, headers in (
        (f"Bearer {token}", {}),
        (f"Bearer {token}", {"DPoP": holder.proof(LIST, token=token)}),
        (f"DPoP {token}", {}),
        (f"DPoP {token}", {"DPoP": good}),
        (f"DPoP {token}", {"DPoP": holder.proof(LIST, token=token, key=a_key())}),
    ):
        assert use(shop, authorization, **headers).status_code == 401, headers


def test_a_bearer_token_is_not_taken_for_a_bound_one(holder: Holder) -> None:
    token = content(ask(holder.shop), 200)["access_token"]

    answer = use(holder.shop, f"DPoP {token}", DPoP=holder.proof(LIST, token=token))

    assert answer.status_code == 401
    assert use(holder.shop, f"Bearer {token}").status_code == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"htm": "GET"},
        {"htu": "https://elsewhere.example/csc/v2/credentials/list"},
        {"htu": ...},
        {"iat": 0},
        {"iat": "now"},
        {"jti": ""},
        {"jti": "x" * 201},
        {"jti": ...},
        {"ath": ...},
        {"ath": "other"},
        {"header": {"typ": "JWT"}},
        {"header": {"typ": ...}},
        {"header": {"jwk": ...}},
        {"header": {"jku": "https://evil.example"}},
    ],
    ids=str,
)
def test_a_proof_for_something_else_is_refused(holder: Holder, changed: dict[str, Any]) -> None:
    token = holder.token()

    answer = use(holder.shop, f"DPoP {token}", DPoP=holder.proof(LIST, token=token, **changed))

    assert content(answer, 401)["error"] == "invalid_dpop_proof"
    assert answer.headers["WWW-Authenticate"].startswith("DPoP ")


def test_a_private_or_another_key_in_the_proof_is_refused(holder: Holder) -> None:
    other = RSAKey.generate_key(2048)
    for jwk in (holder.key.as_dict(private=True), other.as_dict(private=False)):
        answer = ask(holder.shop, DPoP=holder.proof(TOKEN, header={"jwk": jwk}))
        assert content(answer, 400)["error"] == "invalid_dpop_proof"


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c", "ä.b.c", "x" * 5000, "e30.e30.e30"])
def test_what_is_no_proof_gives_no_token(holder: Holder, text: str) -> None:
    answer = holder.shop.service.client().post(
        TOKEN,
        data=GRANT,
        auth=(holder.shop.party.client_id, holder.shop.party.client_secret),
        headers={"DPoP": text},
    )

    assert content(answer, 400)["error"] == "invalid_dpop_proof"


def test_t_04_a_proof_counts_once_at_the_token_end_point(holder: Holder) -> None:
    once = holder.proof(TOKEN)

    assert ask(holder.shop, DPoP=once).status_code == 200
    assert content(ask(holder.shop, DPoP=once), 400)["error"] == "invalid_dpop_proof"


def test_a_proofs_query_does_not_count(holder: Holder) -> None:
    """RFC 9449, 4.3."""
    assert ask(holder.shop, DPoP=holder.proof(f"{TOKEN}?a=b#c")).status_code == 200


def test_a_code_that_is_bound_to_a_key_needs_its_proof(oauth_shop: OauthClient) -> None:
    """RFC 9449, 10: bound by the parameter, and by a proof when it is pushed."""
    service, holder = oauth_shop.service, Holder(oauth_shop, a_key())
    auth = (oauth_shop.party.client_id, oauth_shop.party.client_secret)
    client = service.client()
    session, browser = oauth_shop.session(), Browser(service)
    url, _ = oauth_shop.address(session, dpop_jkt=holder.key.thumbprint())
    given = dict(parse_qsl(urlsplit(url).query))
    form = {"grant_type": "authorization_code", "redirect_uri": CALLBACK}

    def push(**changed: str) -> TestResponse:
        headers = {"DPoP": holder.proof(PUSH)}
        return client.post(PUSH, data=given | changed, auth=auth, headers=headers)

    def redeem(code: str, **headers: str) -> int:
        sent = form | {"code": code, "code_verifier": VERIFIER}
        return client.post(TOKEN, data=sent, auth=auth, headers=headers).status_code

    assert push(dpop_jkt="A" * 43).status_code == 400
    pushed = content(push(), 201)["request_uri"]
    for address in (url, f"/oauth2/authorize?client_id={auth[0]}&request_uri={pushed}"):
        browser.open(address)
        code = sign_in(browser).told["code"]
        assert redeem(code) == 400
        assert redeem(code, DPoP=holder.proof(TOKEN, key=a_key())) == 400
        assert redeem(code, DPoP=holder.proof(TOKEN)) == 200


# --- private_key_jwt --------------------------------------------------------------


@pytest.fixture(scope="module")
def client_key() -> ECKey:
    return a_key()


@pytest.fixture(scope="module")
def signing_client(calm_oauth: OauthClient, client_key: ECKey) -> OauthClient:
    """Of another name each time: a process may come to this module twice, to the service once."""
    jwks = json.dumps({"keys": [client_key.as_dict(private=False)]})
    return an_oauth_client(
        calm_oauth.service,
        client_id=f"signs-{uuid4()}",
        auth_methods=("private_key_jwt",),
        jwks=jwks,
    )


def by_assertion(shop: OauthClient, text: str, **form: str) -> TestResponse:
    given = GRANT | {"client_assertion_type": JWT_BEARER, "client_assertion": text} | form
    return shop.service.client().post(TOKEN, data=given)


def signed(shop: OauthClient, key: ECKey | RSAKey, **changed: Any) -> str:  # noqa: ANN401  # claims
    at = shop.service.clock().timestamp()
    return assertion(key, shop.party.client_id, shop.here, at=at, **changed)


@pytest.mark.parametrize("path", ["", TOKEN])
def test_csc_35_a_client_signs_who_it_is(
    signing_client: OauthClient, client_key: ECKey, path: str
) -> None:
    here = signing_client.here + path
    once = signed(signing_client, client_key, aud=[here, "https://other.example"])

    assert (
        by_assertion(signing_client, once, client_id=signing_client.party.client_id).status_code
        == 200
    )
    assert content(by_assertion(signing_client, once), 401)["error"] == "invalid_client"


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "https://other.example"},
        {"aud": ...},
        {"iss": "other"},
        {"sub": "shop-oauth"},
        {"sub": "nobody", "iss": "nobody"},
        {"sub": ...},
        {"exp": 0},
        {"exp": ...},
        {"exp": int(START.timestamp()) + 3600 + 61},
        {"exp": 2**40},
        {"nbf": 2**40},
        {"jti": ...},
    ],
    ids=str,
)
def test_csc_35_an_assertion_that_does_not_fit_is_refused(
    signing_client: OauthClient, client_key: ECKey, changed: dict[str, Any]
) -> None:
    answer = by_assertion(signing_client, signed(signing_client, client_key, **changed))

    assert content(answer, 401)["error"] == "invalid_client"


def test_csc_35_no_other_key_or_algorithm_or_form(
    signing_client: OauthClient, client_key: ECKey
) -> None:
    rsa = RSAKey.generate_key(2048)
    good = signed(signing_client, client_key)
    head, body, _ = good.split(".")
    for text in (
        signed(signing_client, a_key()),
        signed(signing_client, rsa, header={"alg": "PS256"}),
        signed(signing_client, a_key(), header={"jwk": a_key().as_dict(private=False)}),
        f"{head}.{body}.",
        f"eyJhbGciOiJub25lIn0.{body}.",
        "a.b",
        "ä",
        "x" * 10_000,
    ):
        assert content(by_assertion(signing_client, text), 401)["error"] == "invalid_client"
    assert by_assertion(signing_client, good, client_id="other").status_code == 401


def test_csc_35_who_is_registered_to_sign_has_no_secret_and_the_other_way_round(
    signing_client: OauthClient, calm_oauth: OauthClient, client_key: ECKey
) -> None:
    assert ask(signing_client).status_code == 401
    assert by_assertion(calm_oauth, signed(calm_oauth, client_key)).status_code == 401
    both = by_assertion(signing_client, signed(signing_client, client_key), client_secret="x")
    assert content(both, 400)["error"] == "invalid_request"


# --- mutual TLS -------------------------------------------------------------------


@pytest.fixture(scope="module")
def behind_proxy(
    certified: Stage, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OauthClient]:
    """A service whose proxy passes certificates on, and a client that is known by one."""
    opened = copy_service(
        certified.folder,
        tmp_path_factory.mktemp("proxied"),
        client_certificate_header=HEADER,
        trusted_proxies=("127.0.0.1",),
    )
    yield an_oauth_client(
        opened, auth_methods=("self_signed_tls_client_auth",), certificate=a_certificate("shop")
    )
    opened.close()


def by_certificate(
    shop: OauthClient, value: str | None, *, proxy: str = "127.0.0.1", path: str = TOKEN
) -> TestResponse:
    headers = {} if value is None else {HEADER: value}
    return shop.service.client().post(
        path,
        data=GRANT | {"client_id": shop.party.client_id},
        headers=headers,
        environ_base={"REMOTE_ADDR": proxy},
    )


@pytest.mark.parametrize("form", [escaped, rfc_9440])
def test_csc_35_a_client_is_known_by_its_certificate_and_so_is_its_token(
    behind_proxy: OauthClient,
    form: Any,  # noqa: ANN401  # a way to write one
) -> None:
    """RFC 8705, 2.2, 3."""
    passed_on = form(a_certificate("shop"))
    token = content(by_certificate(behind_proxy, passed_on), 200)["access_token"]
    bearer = f"Bearer {token}"

    assert use(behind_proxy, bearer, **{HEADER: passed_on}).status_code == 200
    assert use(behind_proxy, bearer).status_code == 401
    other = form(a_certificate("other"))
    assert use(behind_proxy, bearer, **{HEADER: other}).status_code == 401


def test_csc_35_another_certificate_or_proxy_or_none_is_refused(
    behind_proxy: OauthClient,
) -> None:
    good = escaped(a_certificate("shop"))
    for value, proxy in (
        (None, "127.0.0.1"),
        ("", "127.0.0.1"),
        ("no certificate", "127.0.0.1"),
        ("::", "127.0.0.1"),
        (":AAAA:", "127.0.0.1"),
        (escaped(a_certificate("other")), "127.0.0.1"),
        ("x" * 20_000, "127.0.0.1"),
        (good, "203.0.113.7"),
        (good, "::1"),
    ):
        answer = by_certificate(behind_proxy, value, proxy=proxy)
        assert content(answer, 401)["error"] == "invalid_client"


def test_without_a_trusted_proxy_there_is_no_mutual_tls(calm_oauth: OauthClient) -> None:
    shop = an_oauth_client(
        calm_oauth.service,
        client_id=f"mtls-{uuid4()}",
        auth_methods=("tls_client_auth",),
        certificate=a_certificate("shop"),
    )

    assert by_certificate(shop, escaped(a_certificate("shop"))).status_code == 401


def test_csc_24_the_server_offers_mutual_tls_where_it_has_it(behind_proxy: OauthClient) -> None:
    """CSC-24."""
    answer = behind_proxy.service.client().get("/.well-known/oauth-authorization-server")
    told = json.loads(answer.data)

    assert told["tls_client_certificate_bound_access_tokens"] is True
    assert "self_signed_tls_client_auth" in told["token_endpoint_auth_methods_supported"]
