"""What the authorisation server bounds: strangers by address, guesses, false proofs, tokens."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from backend.model.tables import Authorization, Signer
from backend.signers.password import FREE_TRIES
from tests.journeys.conftest import Stage
from tests.world.browser import Browser
from tests.world.certificates import a_certificate, escaped
from tests.world.client_keys import a_key, assertion
from tests.world.clock import SettableClock
from tests.world.csc_client import ask_token, content
from tests.world.oauth_client import CALLBACK, VERIFIER, OauthClient, an_oauth_client, sign_in
from tests.world.service import copy_service

HOME, AWAY, CAFE = "192.0.2.7", "192.0.2.8", "192.0.2.9"
GRANT = {"grant_type": "client_credentials"}
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
HEADER = "X-Client-Cert"
PROXY = "127.0.0.1"


@pytest.fixture
def shop(certified: Stage, tmp_path: Path, clock: SettableClock) -> Iterator[OauthClient]:
    """A relying party of a service behind a proxy, with limits that are soon reached."""
    opened = copy_service(
        certified.folder,
        tmp_path / "service",
        clock=clock,
        proxies=1,
        failures_per_minute=FREE_TRIES + 1,
        authorizations_per_minute=20,
        tokens_per_minute=2,
        calls_per_minute=60,
        client_certificate_header=HEADER,
        trusted_proxies=(PROXY,),
    )
    yield an_oauth_client(opened)
    opened.close()


def at_sign_in(shop: OauthClient, address: str = HOME) -> Browser:
    browser = Browser(shop.service, address=address)
    browser.open(shop.address(shop.session())[0])
    return browser


def opened_again(shop: OauthClient, browser: Browser) -> Browser:
    """The same browser, at another sign-in."""
    browser.open(shop.address(shop.session())[0])
    return browser


def comes_in(shop: OauthClient, address: str) -> bool:
    """Sign in with the right password."""
    answer = sign_in(at_sign_in(shop, address)).answer
    assert answer.status_code in {303, 403}
    return answer.status_code == 303


def guess(shop: OauthClient, address: str, times: int = FREE_TRIES) -> None:
    browser = at_sign_in(shop, address)
    for _ in range(times):
        assert sign_in(browser, password="wrong").answer.status_code == 403


def tries(shop: OauthClient) -> int:
    with shop.service.sessions() as session:
        return session.scalars(select(Signer.password_tries)).one()


def until_refused(call: Callable[[], TestResponse]) -> tuple[int, TestResponse]:
    """Call until the answer is 429; how many were not."""
    for count in range(100):
        answer = call()
        if answer.status_code == 429:
            return count, answer
    raise AssertionError("never refused")


# --- passwords ----------------------------------------------------------------------


def test_t_21_who_guesses_elsewhere_keeps_nobody_out_where_they_signed_in_before(
    shop: OauthClient,
) -> None:
    """Known is the browser, wherever it is; another one at the same address is not."""
    mine = at_sign_in(shop, HOME)
    assert "code" in sign_in(mine).told
    guess(shop, AWAY)

    assert not comes_in(shop, HOME)
    assert "code" in sign_in(opened_again(shop, mine)).told
    assert tries(shop) == FREE_TRIES


def test_t_16_guesses_in_a_known_browser_are_paused_too(
    shop: OauthClient, clock: SettableClock
) -> None:
    mine = at_sign_in(shop, HOME)
    sign_in(mine)
    opened_again(shop, mine)
    for _ in range(FREE_TRIES):
        assert sign_in(mine, password="wrong").answer.status_code == 403

    assert sign_in(mine).answer.status_code == 403
    assert comes_in(shop, AWAY)
    assert tries(shop) == 0
    clock.advance(minutes=1)
    assert "code" in sign_in(opened_again(shop, mine)).told


def test_t_21_what_is_known_outlives_the_process(shop: OauthClient, tmp_path: Path) -> None:
    mine = at_sign_in(shop, HOME)
    sign_in(mine)
    guess(shop, AWAY)
    shop.service.close()
    again = copy_service(shop.service.folder, tmp_path / "again", clock=shop.service.clock)
    cookies = mine.client._cookies
    mine.client = again.client()
    mine.client._cookies = cookies
    moved = OauthClient(service=again, party=shop.party)

    assert "code" in sign_in(opened_again(moved, mine)).told
    again.close()


def test_t_21_wrong_passwords_from_an_address_are_looked_at_less_often(
    shop: OauthClient, clock: SettableClock
) -> None:
    """Whoever they are for; who is known from there, and other addresses, are not kept out."""
    assert comes_in(shop, HOME)
    browser = at_sign_in(shop)
    wrong = sign_in(browser, login="nobody", password="wrong")
    count, answer = until_refused(lambda: sign_in(browser, login="nobody", password="wrong").answer)

    assert count == FREE_TRIES
    assert browser.shown is not None
    assert browser.shown.page.text == wrong.page.text
    assert comes_in(shop, HOME)
    assert comes_in(shop, AWAY)
    clock.advance(seconds=int(answer.headers["Retry-After"]))
    assert sign_in(browser, login="nobody", password="wrong").answer.status_code == 403


# --- strangers ------------------------------------------------------------------------


def test_t_39_a_stranger_opens_so_many_authorisations_and_no_more(
    shop: OauthClient, clock: SettableClock
) -> None:
    """Each is a row for a quarter of an hour."""
    count, answer = until_refused(lambda: at_sign_in(shop).shown.answer)  # type: ignore[union-attr]  # a page
    with shop.service.sessions() as session:
        rows = session.scalar(select(func.count()).select_from(Authorization))

    assert count == rows == 20
    assert answer.mimetype == "text/html"
    assert "Too many requests" in answer.get_data(as_text=True)
    assert at_sign_in(shop, AWAY).shown.answer.status_code == 200  # type: ignore[union-attr]  # a page
    clock.advance(seconds=int(answer.headers["Retry-After"]))
    assert at_sign_in(shop).shown.answer.status_code == 200  # type: ignore[union-attr]  # a page


# --- relying parties ------------------------------------------------------------------


def post(shop: OauthClient, form: dict[str, str]) -> TestResponse:
    auth = (shop.party.client_id, shop.party.client_secret)
    return shop.service.client().post("/oauth2/token", data=form, auth=auth)


def test_every_grant_takes_a_turn_and_a_refusal_uses_nothing_up(
    shop: OauthClient, clock: SettableClock
) -> None:
    """T-39: code and refresh token are good afterwards."""
    told = sign_in(at_sign_in(shop)).told
    code = {"grant_type": "authorization_code", "code": told["code"], "redirect_uri": CALLBACK}
    code["code_verifier"] = VERIFIER
    until_refused(lambda: ask_token(shop.service, shop.party))
    refused = post(shop, code)
    clock.advance(seconds=int(refused.headers["Retry-After"]))
    given = content(post(shop, code), 200)
    refresh = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"]}
    again = post(shop, refresh)
    clock.advance(seconds=int(again.headers["Retry-After"]))

    assert refused.status_code == again.status_code == 429
    assert content(post(shop, refresh), 200)["refresh_token"]


@pytest.mark.parametrize("path", ["pushed_authorize", "revoke"])
def test_t_39_who_pushes_and_revokes_takes_turns_of_its_calls(
    shop: OauthClient, clock: SettableClock, path: str
) -> None:
    """A pushed request has up to 4 MiB, and is a row."""
    auth = (shop.party.client_id, shop.party.client_secret)
    form = {"response_type": "code", "redirect_uri": CALLBACK, "code_challenge_method": "S256"}
    form |= {"code_challenge": create_s256_code_challenge(VERIFIER), "token": "none"}

    def call() -> TestResponse:
        return shop.service.client().post(f"/oauth2/{path}", data=form, auth=auth)

    count, answer = until_refused(call)

    assert (count, content(answer, 429)["error"]) == (60, "too_many_requests")
    clock.advance(seconds=int(answer.headers["Retry-After"]))
    assert call().status_code in {201, 204}


def test_false_assertions_are_looked_at_less_often_and_keep_the_owner_in(shop: OauthClient) -> None:
    key, here = a_key(), shop.here
    owner = an_oauth_client(
        shop.service,
        client_id="shop-key",
        auth_methods=("private_key_jwt",),
        jwks=json.dumps({"keys": [key.as_dict(private=False)]}),
    )
    at = shop.service.clock().timestamp()

    def ask(made: str) -> TestResponse:
        form = {"client_assertion_type": JWT_BEARER, "client_assertion": made}
        return shop.service.client().post("/oauth2/token", data=GRANT | form)

    name = owner.party.client_id
    assert ask(assertion(key, name, here, at=at)).status_code == 200
    for made in (assertion(a_key(), "nobody", here, at=at), "no assertion"):
        count, answer = until_refused(lambda made=made: ask(made))  # type: ignore[misc]  # a default
        assert content(answer, 429)["error"] == "too_many_requests"
        assert count in {FREE_TRIES + 1, 0}
    assert ask(assertion(key, name, here, at=at)).status_code == 200


def by_certificate(shop: OauthClient, pem: str, **headers: str) -> TestResponse:
    return shop.service.client().post(
        "/oauth2/token",
        data=GRANT | {"client_id": "shop-tls"},
        headers={HEADER: escaped(pem)}
        | {name.replace("_", "-"): headers[name] for name in headers},
    )


@pytest.fixture
def pem(shop: OauthClient) -> str:
    """The certificate of another client of the same service."""
    made = a_certificate("shop")
    an_oauth_client(
        shop.service, client_id="shop-tls", auth_methods=("tls_client_auth",), certificate=made
    )
    return made


def test_false_certificates_are_looked_at_less_often(shop: OauthClient, pem: str) -> None:
    """Each counts once, though two methods read it."""
    count, answer = until_refused(lambda: by_certificate(shop, a_certificate("other")))

    assert count == FREE_TRIES + 1
    assert content(answer, 429)["error"] == "too_many_requests"
    assert by_certificate(shop, pem, X_Forwarded_For=AWAY).status_code == 200


def test_a_certificate_is_the_proxys_word_whomever_it_calls_for(
    shop: OauthClient, pem: str
) -> None:
    """Who reaches us directly and names the proxy as its own address is no proxy."""
    told = {HEADER: escaped(pem), "X-Forwarded-For": PROXY}
    lie = shop.service.client().post(
        "/oauth2/token",
        data=GRANT | {"client_id": "shop-tls"},
        headers=told,
        environ_base={"REMOTE_ADDR": AWAY},
    )

    assert lie.status_code == 401
    assert by_certificate(shop, pem, X_Forwarded_For=HOME).status_code == 200
