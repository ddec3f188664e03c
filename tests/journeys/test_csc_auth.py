"""``auth/login`` and ``auth/revoke``: a token without OAuth (CSC API 11.2, 11.3)."""

import base64
from typing import Any

import pytest
from werkzeug.test import TestResponse

from backend.access.registrations import RegistrationChange, change_registration
from tests.world.csc_client import INVALID, CscClient, a_relying_party, content, refusal, words
from tests.world.oauth_client import an_oauth_client
from tests.world.service import ANNA, NEW_PASSWORD, Service

EDITIONS = ("v1", "v2")
every_edition = pytest.mark.parametrize("edition", EDITIONS)
UNKNOWN = "Invalid string parameter token"


@pytest.fixture
def shop(service: Service) -> CscClient:
    return a_relying_party(service)


def login(
    shop: CscClient,
    *,
    edition: str = "v2",
    auth: object = None,
    **body: Any,  # noqa: ANN401  # JSON
) -> TestResponse:
    party = shop.party
    given = (party.client_id, party.client_secret) if auth is None else auth
    headers = {"Authorization": given} if isinstance(given, str) else None
    return shop.service.client().post(
        f"/csc/{edition}/auth/login",
        json=body,
        headers=headers,
        auth=given if isinstance(given, tuple) else None,
    )


def works(shop: CscClient, token: str) -> bool:
    answer = shop.post("v2/credentials/list", {"userID": "nobody"}, token=token)
    return answer.status_code == 200


# --- login ------------------------------------------------------------------------


@every_edition
@pytest.mark.parametrize("body", [{}, {"rememberMe": True, "clientData": "x"}], ids=str)
def test_who_has_the_secret_logs_in(shop: CscClient, edition: str, body: dict[str, Any]) -> None:
    """There is nothing to remember: whoever has the secret logs in again."""
    told = content(login(shop, edition=edition, **body), 200)

    assert told.keys() == {"access_token", "expires_in"}
    assert told["expires_in"] == 3600
    assert works(shop, told["access_token"])


def test_such_a_token_is_no_signers(shop: CscClient) -> None:
    token = content(login(shop), 200)["access_token"]

    answer = shop.post("v2/credentials/list", {}, token=token)

    assert refusal(answer) == INVALID


@every_edition
@pytest.mark.parametrize("header", ["Bearer token", "Digest username=shop", "Basically x", ""])
def test_without_http_basic_it_is_401(shop: CscClient, edition: str, header: str) -> None:
    answer = login(shop, edition=edition, auth=header)

    assert refusal(answer) == (401, "invalid_request")
    assert words(answer) == "Malformed authentication parameter"
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize("pair", [b"shop", b"shop:", b":secret", b":", b"\xff:\xff", b""])
def test_what_is_no_pair_is_malformed(shop: CscClient, pair: bytes) -> None:
    answer = login(shop, auth="Basic " + base64.b64encode(pair).decode())

    assert refusal(answer) == INVALID
    assert words(answer) == "Malformed username-password"


@pytest.mark.parametrize("header", ["Basic !", "Basic \xe4\xf6", "Basic"])
def test_what_is_no_base64_is_malformed(shop: CscClient, header: str) -> None:
    assert refusal(login(shop, auth=header)) == INVALID


def test_a_signers_password_is_not_taken_at_a_relying_party(signing_service: Service) -> None:
    """It would have come through the caller; wrong ids and secrets look the same (T-17)."""
    shop = a_relying_party(signing_service)
    assert ANNA.login is not None

    refused = [
        login(shop, auth=pair)
        for pair in (
            (ANNA.login, NEW_PASSWORD),
            ("nobody", "x"),
            (shop.party.client_id, "wrong"),
            ("shop\x00", "x"),
        )
    ]

    assert {refusal(answer) for answer in refused} == {(400, "authentication_error")}
    assert len({answer.data for answer in refused}) == 1


def test_who_proves_itself_in_another_way_has_no_login(service: Service) -> None:
    """By secret in the form alone, or without a token of its own."""
    posts = an_oauth_client(service, client_id="posts", auth_methods=("client_secret_post",))
    codes = an_oauth_client(service, client_id="codes", grants=("authorization_code",))

    for party in (posts, codes):
        answer = login(CscClient(service=service, party=party.party, token="", credential=""))
        assert refusal(answer) == (400, "authentication_error")


@pytest.mark.parametrize(
    "body", [{"refresh_token": "a"}, {"rememberMe": "yes"}, {"clientData": 7}], ids=str
)
def test_there_is_nothing_to_refresh(shop: CscClient, body: dict[str, Any]) -> None:
    assert refusal(login(shop, **body)) == INVALID


@pytest.mark.parametrize("settings", [{"failures_per_minute": 3}], ids=["three"])
def test_guesses_at_login_and_token_end_point_are_counted_together(
    signing_service: Service, shop: CscClient
) -> None:
    """T-39."""
    shop = a_relying_party(signing_service)
    statuses = [login(shop, auth=("nobody", "x")).status_code for _ in range(3)]
    guess = signing_service.client().post(
        "/oauth2/token", data={"grant_type": "client_credentials"}, auth=("nobody", "x")
    )

    assert statuses == [400, 400, 400]
    assert guess.status_code == 429
    assert refusal(login(shop, auth=("nobody", "x"))) == (429, "too_many_requests")


@pytest.mark.parametrize("settings", [{"tokens_per_minute": 2}], ids=["two"])
def test_tokens_by_login_count_like_others(signing_service: Service) -> None:
    shop = a_relying_party(signing_service)  # the first

    assert login(shop).status_code == 200
    assert refusal(login(shop)) == (429, "too_many_requests")


# --- revoke -----------------------------------------------------------------------


@every_edition
@pytest.mark.parametrize("hint", [{}, {"token_type_hint": "access_token"}], ids=str)
def test_csc_39_a_token_may_be_revoked_by_csc_too(
    shop: CscClient, edition: str, hint: dict[str, str]
) -> None:
    token = content(login(shop), 200)["access_token"]

    answer = shop.post(f"{edition}/auth/revoke", {"token": token, **hint})

    assert (answer.status_code, answer.data) == (204, b"")
    assert not works(shop, token)
    again = shop.post(f"{edition}/auth/revoke", {"token": token, **hint})
    assert refusal(again) == INVALID
    assert words(again) == UNKNOWN


def test_a_token_may_revoke_itself(shop: CscClient) -> None:
    assert shop.post("v2/auth/revoke", {"token": shop.token}).status_code == 204
    assert shop.post("v2/auth/revoke", {"token": shop.token}).status_code == 401


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "Missing (or invalid type) string parameter token"),
        ({"token": 7}, "Missing (or invalid type) string parameter token"),
        ({"token": "unknown"}, UNKNOWN),
        ({"token": "x" * 513}, "Invalid parameter token"),
        ({"token": "a", "token_type_hint": "other"}, "Invalid parameter token_type_hint"),
    ],
    ids=str,
)
def test_csc_39_what_is_no_token_is_said_by_csc(
    calm_shop: CscClient, body: dict[str, object], said: str
) -> None:
    """Unlike at ``oauth2/revoke``, where it is no error."""
    answer = calm_shop.post("v2/auth/revoke", body)

    assert refusal(answer) == INVALID
    assert words(answer) == said


def test_nobody_revokes_anothers_token_by_csc(service: Service, shop: CscClient) -> None:
    other = a_relying_party(service, name="Another shop")

    answer = other.post("v2/auth/revoke", {"token": shop.token})

    assert refusal(answer) == INVALID
    assert works(shop, shop.token)


def test_a_relying_party_that_changes_how_it_proves_itself_logs_in_no_more(
    service: Service, shop: CscClient
) -> None:
    with service.sessions() as session:
        change_registration(
            session,
            client_id=shop.party.client_id,
            change=RegistrationChange(auth_methods=("client_secret_post",)),
        )

    assert refusal(login(shop)) == (400, "authentication_error")
