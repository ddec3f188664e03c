"""Rules of every CSC method, ``info``, and who may call at all."""

import json
import re
from typing import Any

import pytest
from werkzeug.test import TestResponse

from backend.access.relying_parties import disable_relying_party
from backend.algorithms import KeyAlgorithm
from backend.csc.algorithms import SIGN_OIDS, key_oids
from backend.csc.answers import V1_METHODS, V2_METHODS
from tests.world.clock import SettableClock
from tests.world.csc_client import (
    INVALID,
    CscClient,
    a_relying_party,
    content,
    refusal,
    words,
)
from tests.world.service import Service, hashes

EDITIONS = ("v1", "v2")
METHODS = [("v1", name) for name in V1_METHODS] + [("v2", name) for name in V2_METHODS]
SAID = [f"{edition}/{name}" for edition, name in METHODS]
OPEN = {"v1/info", "v2/info", "v1/auth/login", "v2/auth/login"}
PROTECTED = [path for path in SAID if path not in OPEN]
NOT_OFFERED = (
    "credentials/create",
    "credentials/delete",
    "credentials/sendOTP",
    "signatures/signDoc",
    "signatures/signPolling",
    "signatures/timestamp",
)


@pytest.fixture
def shop(service: Service) -> CscClient:
    return a_relying_party(service)


def unsigned(service: Service, path: str, body: object = None, **headers: str) -> TestResponse:
    """A call without a token."""
    return service.client().post(
        f"/csc/{path}",
        data=json.dumps(body or {}),
        headers=headers,
        content_type="application/json",
    )


def basic_login(shop: CscClient) -> TestResponse:
    party = shop.party
    return shop.service.client().post(
        "/csc/v2/auth/login", json={}, auth=(party.client_id, party.client_secret)
    )


# --- transport --------------------------------------------------------------------


@pytest.mark.parametrize("path", [*SAID, "v2/credentials/unknown", "v2/anything/at/all"])
@pytest.mark.parametrize("verb", ["GET", "PUT", "DELETE"])
def test_csc_01_methods_are_called_by_post(calm_shop: CscClient, path: str, verb: str) -> None:
    answer = calm_shop.service.client().open(f"/csc/{path}", method=verb)

    assert refusal(answer) == (405, "invalid_request")
    assert answer.headers["Allow"] == "POST"


@pytest.mark.parametrize("path", ["v1/info", "v2/info", "v2/credentials/info"])
@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"text"', b"7", b"null", b"\xff", b'{"lang":"en","lang":"ru"}']
)
def test_csc_04_what_is_no_json_object_is_refused(
    calm_shop: CscClient, path: str, body: bytes
) -> None:
    assert refusal(calm_shop.post(path, body)) == INVALID


def test_csc_04_another_media_type_is_refused(calm_shop: CscClient) -> None:
    answer = calm_shop.service.client().post("/csc/v2/info", data="{}", content_type="text/plain")

    assert refusal(answer) == (415, "invalid_request")


@pytest.mark.parametrize(
    ("path", "size"), [("v2/info", 70_000), ("v2/credentials/authorize", 5_000_000)]
)
def test_a_body_that_is_too_long_is_not_read(calm_shop: CscClient, path: str, size: int) -> None:
    assert refusal(calm_shop.post(path, {"clientData": "x" * size})) == (413, "invalid_request")


def test_csc_05_null_is_absent_and_unknown_members_are_passed_over(
    signing_service: Service,
) -> None:
    """As a Kotlin client sends them."""
    shop = a_relying_party(signing_service)

    handle = shop.asked(
        *hashes(1), lang=None, clientData=None, description=None, signAlgoParams=None, other=[1]
    )
    info = shop.get("v2/info", {"lang": None, "unknown": {"a": [1]}})

    assert handle
    assert info["specs"] == "2.2.0.0"


@pytest.mark.parametrize("path", SAID)
def test_csc_11_client_data_is_a_string(calm_shop: CscClient, path: str) -> None:
    answer = calm_shop.post(path, {"clientData": 7})

    assert refusal(answer) == INVALID


@pytest.mark.parametrize("edition", EDITIONS)
@pytest.mark.parametrize("name", [*NOT_OFFERED, "credentials/unknown"])
def test_csc_08_what_is_not_offered_is_501(calm_shop: CscClient, edition: str, name: str) -> None:
    assert refusal(calm_shop.post(f"{edition}/{name}", {})) == (501, "invalid_request")


@pytest.mark.parametrize("name", ["credentials/authorizeCheck", "credentials/getChallenge"])
def test_csc_08_what_v1_has_not_is_501_there(calm_shop: CscClient, name: str) -> None:
    assert refusal(calm_shop.post(f"v1/{name}", {})) == (501, "invalid_request")


@pytest.mark.parametrize("path", [*SAID, "v2/anything", "v1/signatures/signDoc"])
@pytest.mark.parametrize("body", [{}, {"clientData": 7}, b"{", b""], ids=str)
def test_csc_02_03_every_answer_with_a_body_is_json_in_utf_8(
    calm_shop: CscClient, path: str, body: object
) -> None:
    answer = calm_shop.post(path, body)

    assert answer.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert answer.status_code == 200 or refusal(answer)


def test_csc_13_secrets_are_stored_nowhere_on_the_way(signing_service: Service) -> None:
    """Token, handle and SAD; :func:`content` demands it of all other answers too."""
    shop = a_relying_party(signing_service)
    asked = shop.authorize(*hashes(1))
    shop.approve()
    checked = shop.check(asked.get_json()["handle"])
    login = basic_login(shop)

    answers = (asked, checked, login)
    assert [answer.status_code for answer in answers] == [202, 200, 200]
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}


# --- who may call -----------------------------------------------------------------


@pytest.mark.parametrize("path", PROTECTED)
@pytest.mark.parametrize("header", [None, "Basic YTpi", "Bearer", "Bearer ", "Bearer " + "x" * 600])
def test_csc_06_without_a_token_nothing_is_done(
    calm_shop: CscClient, path: str, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header}

    answer = unsigned(calm_shop.service, path, **headers)

    assert refusal(answer) == INVALID
    assert words(answer) == "Malformed authorization header"


@pytest.mark.parametrize("path", PROTECTED)
def test_csc_07_an_unknown_token_is_401(calm_shop: CscClient, path: str) -> None:
    answer = calm_shop.post(path, {}, token="unknown")

    assert refusal(answer) == (401, "invalid_token")
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_csc_07_a_token_dies_after_an_hour(shop: CscClient, clock: SettableClock) -> None:
    asked = {"userID": "nobody"}
    clock.advance(seconds=3599)
    before = shop.post("v2/credentials/list", asked)
    clock.advance(seconds=1)

    assert before.status_code == 200
    assert refusal(shop.post("v2/credentials/list", asked)) == (401, "invalid_token")


def test_csc_07_a_disabled_relying_party_calls_nothing_any_more(
    service: Service, shop: CscClient
) -> None:
    with service.sessions() as session:
        client_id = shop.party.client_id
        disable_relying_party(session, client_id=client_id, now=service.clock())

    answer = shop.post("v2/credentials/list", {"userID": "nobody"})

    assert refusal(answer) == (401, "invalid_token")


# --- info -------------------------------------------------------------------------


@pytest.mark.parametrize("edition", EDITIONS)
@pytest.mark.parametrize("body", [{}, {"lang": "de"}])
def test_csc_14_23_info_needs_no_token_and_says_its_language(
    calm_shop: CscClient, edition: str, body: dict[str, object]
) -> None:
    info = content(unsigned(calm_shop.service, f"{edition}/info", body), 200)

    assert info["lang"] == "en"


@pytest.mark.parametrize(("edition", "specs"), [("v1", "1.0.4.0"), ("v2", "2.2.0.0")])
def test_csc_15_16_17_info_has_what_both_editions_require(
    calm_shop: CscClient, edition: str, specs: str
) -> None:
    info = content(unsigned(calm_shop.service, f"{edition}/info"), 200)

    assert info["specs"] == specs
    assert all(0 < len(info[name]) <= 255 for name in ("name", "description"))
    assert re.fullmatch("[A-Z]{2}", info["region"])
    assert info["authType"] == ["basic", "oauth2code", "oauth2client"]
    assert info["oauth2"] == calm_shop.service.settings.authorization_server_url
    assert not info.keys() & {"oauth2Issuer", "oauth2Servers"}


def test_csc_15_the_logo_is_a_small_png(calm_shop: CscClient) -> None:
    url: str = content(unsigned(calm_shop.service, "v2/info"), 200)["logo"]
    path = url.removeprefix(calm_shop.service.settings.authorization_server_url)

    answer = calm_shop.service.client().get(path)

    assert answer.mimetype == "image/png"
    assert answer.data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = answer.data[16:20], answer.data[20:24]
    assert int.from_bytes(width) == int.from_bytes(height) == 128
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("edition", EDITIONS)
def test_csc_18_132_methods_are_exactly_those_that_are_offered(
    calm_shop: CscClient, edition: str
) -> None:
    offered: list[str] = calm_shop.get(f"{edition}/info", {})["methods"]
    every = {*V2_METHODS, *NOT_OFFERED}

    answered = {
        name for name in every if calm_shop.post(f"{edition}/{name}", {}).status_code != 501
    }

    assert answered == set(offered)
    assert {"info", "credentials/list", "credentials/info", "signatures/signHash"} <= answered


def test_csc_124_info_of_v1_has_its_own_members_alone(calm_shop: CscClient) -> None:
    info = content(unsigned(calm_shop.service, "v1/info"), 200)

    required = {"specs", "name", "logo", "region", "lang", "description", "authType", "methods"}
    assert info.keys() == required | {"oauth2"}
    assert isinstance(info["oauth2"], str)


def test_csc_19_20_21_22_what_is_told_of_algorithms_and_formats_is_what_there_is(
    calm_shop: CscClient,
) -> None:
    """Of documents nothing is offered yet, and nothing is signed later than at once."""
    info: dict[str, Any] = content(unsigned(calm_shop.service, "v2/info"), 200)

    named = info["signAlgorithms"]
    assert {oid for key in KeyAlgorithm for oid in key_oids(key)} == set(named["algos"])
    assert len(named["algoParams"]) == len(named["algos"]) == len(SIGN_OIDS)
    assert info["signature_formats"] == {"formats": [], "envelope_properties": []}
    assert info["conformance_levels"] == []
    assert info["supportsRar"] is True
    assert info["asynchronousOperationMode"] is False
    assert info["supportedHashTypes"] == ["dtbsr"]
