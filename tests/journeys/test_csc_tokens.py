"""Tokens of relying parties: OAuth 2.0 ``client_credentials``, and what is refused."""

import base64
import logging
from pathlib import Path

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from backend.access.relying_parties import (
    NewRelyingParty,
    add_relying_party,
    disable_relying_party,
)
from backend.model.tables import AccessToken
from tests.world.clock import SettableClock
from tests.world.csc_client import a_relying_party, ask_token, content
from tests.world.service import Service, open_service

GRANT = {"grant_type": "client_credentials"}


@pytest.fixture
def party(service: Service) -> NewRelyingParty:
    with service.sessions() as session:
        return add_relying_party(session, name="Shop", client_id="shop", now=service.clock())


def by_body(service: Service, party: NewRelyingParty, **form: str) -> TestResponse:
    given = {"client_id": party.client_id, "client_secret": party.client_secret}
    return service.client().post("/oauth2/token", data=GRANT | given | form)


def with_header(service: Service, header: str) -> TestResponse:
    return service.client().post("/oauth2/token", data=GRANT, headers={"Authorization": header})


def error(answer: TestResponse) -> tuple[int, str]:
    """Status and identifier, after a look at the form (RFC 6749, 5.2)."""
    body = content(answer, answer.status_code)
    assert answer.mimetype == "application/json"
    assert body.keys() <= {"error", "error_description"}
    return answer.status_code, str(body["error"])


def call(service: Service, token: str, *, login: str = "nobody") -> int:
    """Whether a token works."""
    headers = {"Authorization": f"Bearer {token}"}
    answer = service.client().post(
        "/csc/v2/credentials/list", json={"userID": login}, headers=headers
    )
    return answer.status_code


# --- the way it should be ---------------------------------------------------------


@pytest.mark.parametrize("ask", [ask_token, by_body], ids=["basic", "post"])
@pytest.mark.parametrize("form", [{}, {"scope": "service"}], ids=["no scope", "scope"])
def test_csc_26_35_37_a_secret_in_header_or_body_gives_a_token(
    service: Service, party: NewRelyingParty, ask: object, form: dict[str, str]
) -> None:
    """CSC-26, CSC-37: scope ``service``, an hour, and nothing to refresh it."""
    assert callable(ask)
    told = content(ask(service, party, **form), 200)

    assert told.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert (told["token_type"], told["expires_in"], told["scope"]) == ("Bearer", 3600, "service")
    assert call(service, told["access_token"]) == 200


def test_tokens_are_not_kept_but_known(service: Service, party: NewRelyingParty) -> None:
    """A stolen database calls nobody's API."""
    token: str = content(ask_token(service, party), 200)["access_token"]

    with service.sessions() as session:
        (kept,) = session.scalars(select(AccessToken.token_hash)).all()
    assert token.encode() not in service.settings.data_dir.joinpath("cellkey.sqlite3").read_bytes()
    assert len(kept) == 32
    assert len(base64.urlsafe_b64decode(token + "=")) == 32


def test_expired_tokens_are_forgotten_when_the_next_is_given(
    service: Service, party: NewRelyingParty, clock: SettableClock
) -> None:
    for _ in range(3):
        ask_token(service, party)
    clock.advance(hours=1)
    ask_token(service, party)

    with service.sessions() as session:
        assert len(session.scalars(select(AccessToken.token_hash)).all()) == 1


def test_csc_39_a_revoked_token_is_dead_at_once(service: Service, party: NewRelyingParty) -> None:
    """RFC 7009; an unknown token is no error."""
    token: str = content(ask_token(service, party), 200)["access_token"]
    auth = (party.client_id, party.client_secret)

    revoked = service.client().post("/oauth2/revoke", data={"token": token}, auth=auth)
    again = service.client().post("/oauth2/revoke", data={"token": "unknown"}, auth=auth)

    assert (revoked.status_code, again.status_code) == (204, 204)
    assert revoked.data == b""
    assert call(service, token) == 401


def test_csc_39_nobody_revokes_anothers_token(service: Service, party: NewRelyingParty) -> None:
    other = a_relying_party(service, name="Another shop")

    service.client().post(
        "/oauth2/revoke",
        data={"token": other.token},
        auth=(party.client_id, party.client_secret),
    )

    assert call(service, other.token) == 200


def test_behind_a_proxy_that_ends_tls_our_address_is_that_of_the_settings(tmp_path: Path) -> None:
    """There the request itself says http, and another host."""
    here = "https://sign.example"
    service = open_service(tmp_path, authorization_server_url=here)
    with service.sessions() as session:
        party = add_relying_party(session, name="Shop", client_id="shop", now=service.clock())

    answer = service.client().post(
        "/oauth2/token",
        data=GRANT,
        auth=(party.client_id, party.client_secret),
        base_url="http://backend:8600",
    )
    told = service.client().get("/.well-known/oauth-authorization-server")
    service.close()

    assert content(answer, 200)["access_token"]
    assert told.json is not None
    assert told.json["issuer"] == here


# --- no token ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {"client_secret": "wrong"},
        {"client_id": "nobody"},
        {"client_id": "shop\x00"},
        {"client_id": "x" * 500},
    ],
    ids=["secret", "id", "NUL", "long"],
)
def test_csc_35_a_wrong_secret_and_an_unknown_client_look_the_same(
    service: Service, party: NewRelyingParty, changed: dict[str, str]
) -> None:
    """T-17."""
    answer = by_body(service, party, **changed)

    assert error(answer) == (401, "invalid_client")
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert answer.data == by_body(service, party, client_secret="other").data


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic ",
        "Basic !",
        "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
        "Basic " + base64.b64encode(b"shop").decode(),
        "Basic " + base64.b64encode(b":").decode(),
        "Basic \xe4\xf6\xfc",
        "Bearer token",
        "Digest username=shop",
    ],
)
def test_csc_35_a_header_that_is_none_is_refused(
    service: Service, party: NewRelyingParty, header: str
) -> None:
    """Authlib's own reader fails on some of these."""
    assert error(with_header(service, header)) == (401, "invalid_client")


def test_a_refused_sign_in_stands_in_the_log(
    service: Service, party: NewRelyingParty, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    by_body(service, party, client_secret="wrong")

    (line,) = [vars(record) for record in caplog.records if "sign-in" in record.message]
    assert line["reason"] == "invalid_client"


def test_csc_35_a_client_that_says_nothing_is_refused(service: Service) -> None:
    answer = service.client().post("/oauth2/token", data=GRANT)

    assert error(answer) == (401, "invalid_client")


def test_a_disabled_relying_party_gets_no_token(service: Service, party: NewRelyingParty) -> None:
    with service.sessions() as session:
        disable_relying_party(session, client_id=party.client_id, now=service.clock())

    assert error(ask_token(service, party)) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, "unauthorized_client"),
        ({"grant_type": "refresh_token"}, "unauthorized_client"),
        ({"grant_type": ""}, "unsupported_grant_type"),
        ({"scope": "credential"}, "invalid_scope"),
        ({"scope": "service credential"}, "invalid_scope"),
        ({"scope": "Service"}, "invalid_scope"),
    ],
)
def test_csc_32_36_37_other_grants_and_scopes_are_refused(
    service: Service, party: NewRelyingParty, form: dict[str, str], expected: str
) -> None:
    """CSC-37, CSC-32."""
    assert error(ask_token(service, party, **form)) == (400, expected)


def test_csc_35_parameters_stand_in_the_body_once_and_the_secret_in_one_place(
    service: Service, party: NewRelyingParty
) -> None:
    auth = (party.client_id, party.client_secret)
    client = service.client()

    refused = [
        client.post("/oauth2/token", query_string=GRANT, data={}, auth=auth),
        client.post("/oauth2/token", query_string={"a": "b"}, data=GRANT, auth=auth),
        client.post(
            "/oauth2/token", data={"grant_type": ["client_credentials", "password"]}, auth=auth
        ),
        client.post("/oauth2/token", data=GRANT | {"client_secret": "x"}, auth=auth),
        client.post("/oauth2/token", json=GRANT, auth=auth),
        client.post("/oauth2/token", auth=auth),
        client.post("/oauth2/revoke", data={"token": ["a", "b"]}, auth=auth),
        client.post("/oauth2/revoke", data={}, auth=auth),
        client.post("/oauth2/revoke", data={"token": ""}, auth=auth),
    ]

    assert {error(answer) for answer in refused} == {(400, "invalid_request")}


def test_csc_39_an_unknown_hint_is_refused(service: Service, party: NewRelyingParty) -> None:
    answer = service.client().post(
        "/oauth2/revoke",
        data={"token": "a", "token_type_hint": "other"},
        auth=(party.client_id, party.client_secret),
    )

    assert error(answer) == (400, "invalid_request")


def test_a_form_that_is_too_long_is_not_read(service: Service, party: NewRelyingParty) -> None:
    answer = by_body(service, party, scope="x" * 70_000)

    assert error(answer) == (413, "invalid_request")


def test_tokens_on_every_database(database_url: str, tmp_path: Path) -> None:
    """Characters that a database does not hold are refused before it sees them."""
    service = open_service(tmp_path, database_url=database_url)
    with service.sessions() as session:
        party = add_relying_party(session, name="Shop", client_id="shop", now=service.clock())
    token: str = content(ask_token(service, party), 200)["access_token"]

    hostile = by_body(service, party, client_id="shop\x00")
    used, listed = call(service, token), call(service, token, login="anna\x00")
    service.close()

    assert error(hostile) == (401, "invalid_client")
    assert (used, listed) == (200, 400)
