"""The authorisation end point refuses: on a page, or at the relying party's registered address."""

import json
from urllib.parse import urlencode

import pytest

from backend.access.relying_parties import disable_relying_party
from tests.world.browser import Browser, Shown
from tests.world.csc_client import SHA1, SHA256, SHA384, b64
from tests.world.oauth_client import (
    BOTH_SCOPES,
    CALLBACK,
    VERIFIER,
    OauthClient,
    an_oauth_client,
    b64url,
)
from tests.world.service import Service, hashes

RAR = "https://cloudsignatureconsortium.org/2025/credential"
ONE, TWO = hashes(2)


def ask(shop: OauthClient, **changed: str | None) -> Shown:
    """Open the end point by hand; a parameter that is ``None`` is left out."""
    given = {
        "response_type": "code",
        "client_id": shop.party.client_id,
        "redirect_uri": CALLBACK,
        "state": "st ä&=?#",
        "code_challenge": "5ujwHxnDFjIy7Ld6jnYRIX_5HM7qpXP8ivwy6Hk3BOw",
        "code_challenge_method": "S256",
    }
    left = {name: value for name, value in (given | changed).items() if value is not None}
    return Browser(shop.service).open(f"/oauth2/authorize?{urlencode(left)}")


def wish(shop: OauthClient, **changed: str | None) -> dict[str, str | None]:
    return {"scope": "credential", **shop.wish(ONE, TWO), **changed}


def details(**changed: object) -> dict[str, str | None]:
    entry = {
        "type": RAR,
        "credentialID": "C",
        "documentDigests": [{"hash": b64(ONE), "label": "Contract"}, {"hash": b64(TWO)}],
        "hashAlgorithmOID": SHA256,
    }
    left = {name: value for name, value in (entry | changed).items() if value is not ...}
    return {"authorization_details": json.dumps([left])}


# --- a page -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "nobody"},
        {"client_id": None},
        {"client_id": "shop\x00"},
        {"client_id": "ä" * 500},
        {"redirect_uri": "https://shop.example/callback/"},
        {"redirect_uri": "https://shop.example/callback?a=b"},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": "https://SHOP.example/callback"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": 'https://shop.example/"\\'},
        {"redirect_uri": "https://магазин.example/"},
        {"response_type": 'code"'},
        {"response_type": "code\x00"},
        {"scope": "сервис"},
    ],
)
def test_csc_30_without_client_and_its_address_nobody_is_redirected(
    calm_oauth: OauthClient, changed: dict[str, str | None]
) -> None:
    shown = ask(calm_oauth, **changed)

    assert shown.answer.status_code == 400
    assert "Go back" in shown.page.text
    assert "Location" not in shown.answer.headers


def test_csc_30_a_disabled_client_is_unknown(service: Service) -> None:
    shop = an_oauth_client(service)
    with service.sessions() as session:
        disable_relying_party(session, client_id=shop.party.client_id, now=service.clock())

    assert ask(shop).answer.status_code == 400


def test_a_parameter_that_stands_twice_is_answered_by_a_page(calm_oauth: OauthClient) -> None:
    """Two readers would see two requests (RFC 6749, 3.1)."""
    shown = Browser(calm_oauth.service).open(
        f"/oauth2/authorize?client_id={calm_oauth.party.client_id}&client_id=other"
    )

    assert shown.answer.status_code == 400


def test_csc_45_a_page_speaks_the_browsers_language(calm_oauth: OauthClient) -> None:
    """CSC-45."""
    shown = Browser(calm_oauth.service, languages="ru-RU,ru;q=0.9,en;q=0.5").open(
        "/oauth2/authorize"
    )

    assert "Вернитесь" in shown.page.text


# --- the relying party's address --------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"scope": "openid"}, "invalid_scope"),
        ({"scope": "service credential"}, "invalid_scope"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"dpop_jkt": "short"}, "invalid_request"),
        ({"scope": "service", "authorization_details": "[{}]"}, "invalid_request"),
    ],
)
def test_csc_27_28_29_31_32_an_error_comes_back_with_state_and_issuer(
    calm_oauth: OauthClient, changed: dict[str, str | None], error: str
) -> None:
    """CSC-27, CSC-28, CSC-32."""
    shown = ask(calm_oauth, **changed)

    assert shown.address.startswith(f"{CALLBACK}?")
    assert shown.told["error"] == error
    assert shown.told["state"] == "st ä&=?#"
    assert shown.told["iss"] == calm_oauth.here
    assert "code" not in shown.told


@pytest.mark.parametrize(
    "changed",
    [
        {"credentialID": None},
        {"credentialID": None, "signatureQualifier": "eu_eidas_qes"},
        {"credentialID": "x" * 201},
        {"numSignatures": None},
        {"numSignatures": "0"},
        {"numSignatures": "-2"},
        {"numSignatures": "3"},
        {"numSignatures": "two"},
        {"numSignatures": "9" * 5000},
        {"hashes": None},
        {"hashes": "!"},
        {"hashes": f"{b64url(ONE)},{b64url(ONE)}"},
        {"hashes": f"{b64url(ONE)},{b64url(TWO)[:20]}"},
        {"hashes": f"{b64url(ONE)},"},
        {"hash": b64url(ONE)},
        {"hashAlgorithmOID": None},
        {"hashAlgorithmOID": SHA1},
        {"hashAlgorithmOID": SHA384},
        {"description": "x" * 501},
        {"hashes": None, "hash": f"{b64url(ONE)},{b64url(ONE[:20])}", "hashAlgorithmOID": None},
    ],
)
def test_csc_46_47_48_a_wish_that_does_not_fit_is_refused(
    calm_oauth: OauthClient, changed: dict[str, str | None]
) -> None:
    assert ask(calm_oauth, **wish(calm_oauth, **changed)).told["error"] == "invalid_request"


@pytest.mark.parametrize(
    "given",
    [
        {"authorization_details": "{"},
        {"authorization_details": "{}"},
        {"authorization_details": "[]"},
        {"authorization_details": "[1]"},
        {"authorization_details": '[{"type": "credential"}, {"type": "credential"}]'},
        {"authorization_details": '[{"type": "credential", "type": "credential"}]'},
        {"authorization_details": "[" * 100_000},
        details(type="other"),
        details(type=...),
        details(credentialID=...),
        details(credentialID=7),
        details(documentDigests=[]),
        details(documentDigests=[{"hash": "!"}]),
        details(documentDigests=[{"label": "a"}]),
        details(documentDigests=[{"hash": b64(ONE), "hashType": "sdr"}]),
        details(hashAlgorithmOID=...),
        details(hashAlgorithmOID=SHA1),
        details(numSignatures=1),
        details(documentDigests=[{"hash": b64(ONE)}]) | {"numSignatures": "2"},
        details(),
        details(documentDigests=[{"hash": b64(ONE)}]) | {"hashes": b64url(TWO)},
        details(documentDigests=[{"hash": b64(ONE)}]) | {"credentialID": "D"},
        details(documentDigests=[{"hash": b64(ONE)}]) | {"hashAlgorithmOID": SHA384},
    ],
)
def test_csc_54_55_details_that_do_not_fit_are_refused(
    calm_oauth: OauthClient, given: dict[str, str | None]
) -> None:
    """The one without a change has a label for one of two documents."""
    assert ask(calm_oauth, **given).told["error"] == "invalid_request"


@pytest.mark.parametrize("type_", [RAR, "credential"])
@pytest.mark.parametrize("scope", [None, "credential"])
def test_csc_54_55_details_alone_or_with_their_scope_lead_to_the_sign_in(
    calm_oauth: OauthClient, type_: str, scope: str | None
) -> None:
    digests = [{"hash": b64url(ONE), "label": None, "hashType": "DTBSR", "other": 1}]
    given = details(type=type_, documentDigests=digests, locations=None)

    shown = ask(calm_oauth, scope=scope, **given)

    assert len(shown.page.forms) == 2


def test_csc_47_standard_base64_and_padding_are_read(calm_oauth: OauthClient) -> None:
    both = f"{b64(ONE)},{b64(TWO)}"

    assert ask(calm_oauth, **wish(calm_oauth, hashes=both)).page.forms


def test_csc_30_who_has_one_address_need_not_name_it(calm_oauth: OauthClient) -> None:
    assert ask(calm_oauth, redirect_uri=None).page.forms


def test_csc_32_a_client_asks_only_for_its_scopes_and_grants(service: Service) -> None:
    only_service = an_oauth_client(service, scopes=BOTH_SCOPES[:1])
    no_codes = an_oauth_client(service, client_id="no-codes", grants=("client_credentials",))

    asked = ask(only_service, scope="credential", **only_service.wish_of("C", ONE))
    refused = ask(no_codes)

    assert asked.told["error"] == "invalid_scope"
    assert refused.told["error"] == "unauthorized_client"


def test_csc_45_the_page_shows_who_asks_and_no_client_data(calm_oauth: OauthClient) -> None:
    """T-06: nothing of the address reaches the page but the registered name."""
    shown = ask(calm_oauth, lang="ru-RU", clientData="<script>alert(1)</script>", prompt="login")

    assert "Shop" in shown.page.text
    assert "Войти" in shown.page.text
    assert "alert" not in shown.page.text
    assert VERIFIER not in shown.page.text
