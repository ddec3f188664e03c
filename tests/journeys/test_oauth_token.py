"""The token end point: codes, refresh tokens, revocation, and what the tokens open."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from backend.access.families import forget_authorizations
from backend.model.tables import (
    AccessToken,
    Authorization,
    Cell,
    RefreshToken,
    Transaction,
)
from backend.signers.freeze import freeze
from tests.world.browser import Browser
from tests.world.clock import SettableClock
from tests.world.csc_client import INVALID, SHA256, b64, content, refusal
from tests.world.oauth_client import (
    CALLBACK,
    VERIFIER,
    OauthClient,
    an_oauth_client,
    b64url,
    sign_in,
)
from tests.world.service import WITHOUT_NUMBER, Service, hashes

ONE, TWO = hashes(2)
INVALID_GRANT = (400, "invalid_grant")


def post(shop: OauthClient, path: str = "token", /, **form: str | None) -> TestResponse:
    """Call an end point by hand, by HTTP Basic; what is ``None`` is left out."""
    given = {name: value for name, value in form.items() if value is not None}
    auth = (shop.party.client_id, shop.party.client_secret)
    return shop.service.client().post(f"/oauth2/{path}", data=given, auth=auth)


def redeem(shop: OauthClient, code: str, /, **changed: str | None) -> TestResponse:
    form: dict[str, str | None] = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }
    return post(shop, **(form | changed))


def refresh(shop: OauthClient, token: str, /, **changed: str | None) -> TestResponse:
    form: dict[str, str | None] = {"grant_type": "refresh_token", "refresh_token": token}
    return post(shop, **(form | changed))


def service_code(shop: OauthClient) -> str:
    browser = Browser(shop.service)
    browser.open(shop.address(shop.session())[0])
    return sign_in(browser).told["code"]


def approved_code(shop: OauthClient, *wanted: bytes, **parameters: str) -> str:
    browser = Browser(shop.service)
    given = parameters or shop.wish(*wanted)
    browser.open(shop.address(shop.session(scope="credential"), **given)[0])
    sign_in(browser)
    shop.csc("none").approve()
    return browser.again().told["code"]


def error(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, content(answer, answer.status_code)["error"]


def told(answer: TestResponse) -> dict[str, Any]:
    return content(answer, 200)


def works(shop: OauthClient, token: str) -> bool:
    return shop.csc(token).post("v2/credentials/list", {}).status_code == 200


# --- scope service ----------------------------------------------------------------


def test_csc_25_59_60_a_signers_sign_in_becomes_a_token_for_this_signer(
    oauth_shop: OauthClient,
) -> None:
    """It lists that signer's credentials and no other's."""
    service = oauth_shop.service
    service.register(WITHOUT_NUMBER)
    tokens = told(redeem(oauth_shop, service_code(oauth_shop)))
    csc = oauth_shop.csc(tokens["access_token"])

    assert tokens.keys() == {"access_token", "token_type", "expires_in", "scope", "refresh_token"}
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 3600)
    for edition in ("v1", "v2"):
        path = f"{edition}/credentials/list"
        assert csc.get(path, {})["credentialIDs"] == [csc.credential]
        assert refusal(csc.post(path, {"userID": "a.ivanova"})) == INVALID
        assert refusal(csc.post(path, {"userID": "nobody"})) == INVALID
    others = str(service.credential(WITHOUT_NUMBER.login or ""))
    with service.sessions.begin() as session:
        der = session.scalars(select(Cell.certificate).where(Cell.certificate.is_not(None))).one()
        session.execute(update(Cell).values(certificate=der))
    by_itself = told(post(oauth_shop, grant_type="client_credentials"))["access_token"]
    assert oauth_shop.csc(by_itself).get("v2/credentials/info", {"credentialID": others})
    assert refusal(csc.post("v2/credentials/info", {"credentialID": others})) == INVALID
    assert csc.get("v2/credentials/info", {"credentialID": csc.credential})["SCAL"] == "2"


def test_a_signers_token_asks_the_phone_like_any_other(oauth_shop: OauthClient) -> None:
    csc = oauth_shop.csc(told(redeem(oauth_shop, service_code(oauth_shop)))["access_token"])

    assert len(csc.signed(csc.approved(ONE), ONE)) == 1


def test_csc_33_a_code_counts_once_and_a_second_use_ends_its_tokens(
    oauth_shop: OauthClient,
) -> None:
    """RFC 6749, 4.1.2."""
    code = service_code(oauth_shop)
    tokens = told(redeem(oauth_shop, code))
    assert works(oauth_shop, tokens["access_token"])

    assert error(redeem(oauth_shop, code)) == INVALID_GRANT
    assert not works(oauth_shop, tokens["access_token"])
    assert error(refresh(oauth_shop, tokens["refresh_token"])) == INVALID_GRANT


def test_csc_33_a_code_is_its_clients(oauth_shop: OauthClient) -> None:
    """T-34: a stranger neither uses it nor uses it up."""
    other = an_oauth_client(oauth_shop.service, client_id="other")
    code = service_code(oauth_shop)

    assert error(redeem(other, code)) == INVALID_GRANT
    assert told(redeem(oauth_shop, code))["access_token"]
    assert error(redeem(other, code)) == INVALID_GRANT
    with oauth_shop.service.sessions() as session:
        assert session.scalars(select(AccessToken.revoked_at)).all() == [None]


def test_csc_28_34_36_what_is_not_the_same_gets_nothing_and_uses_nothing_up(
    oauth_shop: OauthClient,
) -> None:
    changes: list[tuple[dict[str, str | None], str]] = [
        ({"code_verifier": None}, "invalid_grant"),
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code_verifier": VERIFIER[:-1]}, "invalid_grant"),
        ({"redirect_uri": None}, "invalid_grant"),
        ({"redirect_uri": CALLBACK + "/"}, "invalid_grant"),
        ({"code": "wrong"}, "invalid_grant"),
        ({"code": "x" * 5000}, "invalid_grant"),
        ({"code": ""}, "invalid_request"),
        ({"code": None}, "invalid_request"),
        ({"grant_type": None}, "unsupported_grant_type"),
        ({"authorization_details": "[]"}, "invalid_grant"),
        ({"client_id": "other"}, "invalid_client"),
    ]
    code = service_code(oauth_shop)

    for changed, expected in changes:
        assert error(redeem(oauth_shop, code, **changed))[1] == expected, changed
    assert told(redeem(oauth_shop, code))["access_token"]


def test_csc_33_a_code_lives_a_minute(oauth_shop: OauthClient, clock: SettableClock) -> None:
    code = service_code(oauth_shop)
    clock.advance(seconds=60)

    assert error(redeem(oauth_shop, code)) == INVALID_GRANT


def test_a_signer_frozen_after_the_code_gets_no_token(oauth_shop: OauthClient) -> None:
    """R-048: neither by code nor by refreshing."""
    service = oauth_shop.service
    tokens = told(redeem(oauth_shop, service_code(oauth_shop)))
    code = service_code(oauth_shop)
    with service.sessions() as session:
        freeze(session, signer=service.signer(), by="operator", now=service.clock())

    assert error(redeem(oauth_shop, code)) == INVALID_GRANT
    assert error(refresh(oauth_shop, tokens["refresh_token"])) == INVALID_GRANT


def test_who_is_not_registered_for_refreshing_gets_nothing_to_refresh(
    signing_service: Service,
) -> None:
    shop = an_oauth_client(signing_service, grants=("authorization_code",))

    tokens = told(redeem(shop, service_code(shop)))

    assert "refresh_token" not in tokens
    assert error(post(shop, grant_type="client_credentials")) == (400, "unauthorized_client")


# --- refreshing -------------------------------------------------------------------


def test_csc_38_each_refresh_gives_the_next_token(
    oauth_shop: OauthClient, clock: SettableClock
) -> None:
    tokens = told(redeem(oauth_shop, service_code(oauth_shop)))
    for _ in range(3):
        clock.advance(days=20)
        assert not works(oauth_shop, tokens["access_token"])
        tokens = told(refresh(oauth_shop, tokens["refresh_token"], scope="service"))
        assert works(oauth_shop, tokens["access_token"])

    clock.advance(days=29, hours=23)
    tokens = told(refresh(oauth_shop, tokens["refresh_token"]))
    clock.advance(hours=2)
    assert error(refresh(oauth_shop, tokens["refresh_token"])) == INVALID_GRANT


def test_csc_38_a_refresh_token_that_comes_again_ends_the_family(oauth_shop: OauthClient) -> None:
    """RFC 9700, 4.14: who copied it and who was copied cannot be told apart."""
    first = told(redeem(oauth_shop, service_code(oauth_shop)))
    second = told(refresh(oauth_shop, first["refresh_token"]))
    elsewhere = told(redeem(oauth_shop, service_code(oauth_shop)))

    assert error(refresh(oauth_shop, first["refresh_token"])) == INVALID_GRANT
    assert error(refresh(oauth_shop, second["refresh_token"])) == INVALID_GRANT
    assert not works(oauth_shop, second["access_token"])
    assert works(oauth_shop, elsewhere["access_token"])


def test_csc_38_an_unused_refresh_token_dies(oauth_shop: OauthClient, clock: SettableClock) -> None:
    tokens = told(redeem(oauth_shop, service_code(oauth_shop)))
    clock.advance(days=30)

    assert error(refresh(oauth_shop, tokens["refresh_token"])) == INVALID_GRANT


def test_csc_36_a_refresh_that_does_not_fit_is_refused(oauth_shop: OauthClient) -> None:
    changes: list[tuple[dict[str, str | None], str]] = [
        ({"refresh_token": "wrong"}, "invalid_grant"),
        ({"refresh_token": "x" * 5000}, "invalid_grant"),
        ({"refresh_token": ""}, "invalid_request"),
        ({"refresh_token": None}, "invalid_request"),
        ({"scope": "credential"}, "invalid_scope"),
        ({"scope": "service credential"}, "invalid_scope"),
    ]
    tokens = told(redeem(oauth_shop, service_code(oauth_shop)))

    for changed, expected in changes:
        refused = refresh(oauth_shop, tokens["refresh_token"], **changed)
        assert error(refused)[1] == expected, changed
    assert told(refresh(oauth_shop, tokens["refresh_token"]))


def test_a_refresh_token_is_its_clients(oauth_shop: OauthClient) -> None:
    other = an_oauth_client(oauth_shop.service, client_id="other")
    token = told(redeem(oauth_shop, service_code(oauth_shop)))["refresh_token"]

    assert error(refresh(other, token)) == INVALID_GRANT
    assert told(refresh(oauth_shop, token))
    assert error(refresh(other, token)) == INVALID_GRANT


def test_of_many_at_once_one_gets_tokens(oauth_shop: OauthClient) -> None:
    """ASVS 15.4.2: a code, then a refresh token."""
    code = service_code(oauth_shop)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: redeem(oauth_shop, code), range(4)))
    assert [answer.status_code for answer in answers].count(200) == 1

    token = told(redeem(oauth_shop, service_code(oauth_shop)))["refresh_token"]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: refresh(oauth_shop, token), range(4)))
    assert [answer.status_code for answer in answers].count(200) == 1


def test_csc_138_authlibs_client_refreshes_and_revokes(oauth_shop: OauthClient) -> None:
    session = oauth_shop.session()
    address, state = oauth_shop.address(session)
    browser = Browser(oauth_shop.service)
    browser.open(address)
    first = dict(oauth_shop.redeem(session, sign_in(browser), state))
    second = dict(session.refresh_token(f"{oauth_shop.here}/oauth2/token"))

    assert first["refresh_token"] != second["refresh_token"]
    assert works(oauth_shop, second["access_token"])
    revoked = session.revoke_token(
        f"{oauth_shop.here}/oauth2/revoke", second["refresh_token"], "refresh_token"
    )
    assert revoked.status_code == 204
    assert not works(oauth_shop, second["access_token"])


def test_csc_39_who_goes_by_the_metadata_is_answered_as_rfc_7009_has_it(
    oauth_shop: OauthClient,
) -> None:
    """200 there, 204 where CSC fixes the address; refused alike."""
    tokens = told(redeem(oauth_shop, service_code(oauth_shop)))
    metadata = oauth_shop.service.client().get("/.well-known/oauth-authorization-server").json
    assert metadata is not None
    path = metadata["revocation_endpoint"].removeprefix(f"{oauth_shop.here}/oauth2/")

    answer = post(oauth_shop, path, token=tokens["access_token"])

    assert path != "revoke"
    assert (answer.status_code, answer.data) == (200, b"")
    assert not works(oauth_shop, tokens["access_token"])
    assert post(oauth_shop, path, token="unknown").status_code == 200
    for each in (path, "revoke"):
        assert error(post(oauth_shop, each)) == (400, "invalid_request")


# --- revocation -------------------------------------------------------------------


def test_csc_39_a_revoked_refresh_token_takes_its_family_along(oauth_shop: OauthClient) -> None:
    tokens = told(redeem(oauth_shop, service_code(oauth_shop)))

    answer = post(
        oauth_shop, "revoke", token=tokens["refresh_token"], token_type_hint="refresh_token"
    )

    assert answer.status_code == 204
    assert not works(oauth_shop, tokens["access_token"])
    assert error(refresh(oauth_shop, tokens["refresh_token"])) == INVALID_GRANT


def test_csc_39_a_revoked_access_token_leaves_the_refresh_token(oauth_shop: OauthClient) -> None:
    tokens = told(redeem(oauth_shop, service_code(oauth_shop)))

    assert post(oauth_shop, "revoke", token=tokens["access_token"]).status_code == 204
    assert not works(oauth_shop, tokens["access_token"])
    assert works(oauth_shop, told(refresh(oauth_shop, tokens["refresh_token"]))["access_token"])


def test_csc_39_nobody_revokes_anothers_refresh_token(oauth_shop: OauthClient) -> None:
    other = an_oauth_client(oauth_shop.service, client_id="other")
    tokens = told(redeem(oauth_shop, service_code(oauth_shop)))

    assert post(other, "revoke", token=tokens["refresh_token"]).status_code == 204
    assert told(refresh(oauth_shop, tokens["refresh_token"]))


# --- scope credential -------------------------------------------------------------


def test_csc_57_58_86_88_89_the_token_is_for_one_credential_and_one_approval(
    oauth_shop: OauthClient,
) -> None:
    """CSC-86, CSC-88, CSC-89."""
    tokens = told(redeem(oauth_shop, approved_code(oauth_shop, ONE, TWO)))
    csc = oauth_shop.csc(tokens["access_token"])

    assert tokens.keys() == {*("access_token", "token_type", "expires_in", "scope", "credentialID")}
    assert tokens["credentialID"] == csc.credential
    assert 0 < tokens["expires_in"] <= 300
    assert csc.get("v2/credentials/info", {"credentialID": csc.credential})["SCAL"] == "2"
    for path, body in (
        ("v2/credentials/list", {}),
        ("v2/credentials/authorize", {}),
        ("v2/credentials/authorizeCheck", {"handle": "a"}),
        ("v1/credentials/list", {}),
        ("v1/credentials/authorize", {}),
    ):
        assert refusal(csc.post(path, body)) == (403, "insufficient_scope")
    unknown = {"credentialID": "00000000-0000-4000-8000-000000000000"}
    assert refusal(csc.post("v2/credentials/info", unknown)) == INVALID
    assert refusal(csc.sign_hash(..., *hashes(3))) == INVALID
    assert len(csc.signed(..., ONE)) == 1
    assert len(csc.signed(..., TWO)) == 1


def test_csc_86_87_130_a_service_token_signs_with_the_credential_token_as_sad(
    oauth_shop: OauthClient,
) -> None:
    """CSC-87, CSC-130: by v1 and v2; without it nothing."""
    service_token = told(redeem(oauth_shop, service_code(oauth_shop)))["access_token"]
    sad = told(redeem(oauth_shop, approved_code(oauth_shop, ONE, TWO)))["access_token"]
    csc = oauth_shop.csc(service_token)

    assert refusal(csc.sign_hash(..., ONE)) == INVALID
    assert refusal(csc.sign_hash(service_token, ONE)) == INVALID
    assert len(csc.signed(sad, ONE)) == 1
    assert len(content(csc.old_sign_hash(sad, TWO), 200)["signatures"]) == 1


def test_csc_87_the_sad_is_nothing_for_another_relying_party_or_signer(
    oauth_shop: OauthClient,
) -> None:
    """T-34."""
    service = oauth_shop.service
    other = an_oauth_client(service, client_id="other")
    sad = told(redeem(oauth_shop, approved_code(oauth_shop, ONE)))["access_token"]
    others = told(redeem(other, service_code(other)))["access_token"]

    assert refusal(other.csc(others).sign_hash(sad, ONE)) == INVALID
    assert len(oauth_shop.csc(sad).signed(..., ONE)) == 1


def test_csc_33_a_code_that_comes_again_ends_the_sad_too(oauth_shop: OauthClient) -> None:
    code = approved_code(oauth_shop, ONE)
    sad = told(redeem(oauth_shop, code))["access_token"]
    service_token = told(redeem(oauth_shop, service_code(oauth_shop)))["access_token"]

    assert error(redeem(oauth_shop, code)) == INVALID_GRANT
    assert oauth_shop.csc(sad).sign_hash(..., ONE).status_code == 401
    assert refusal(oauth_shop.csc(service_token).sign_hash(sad, ONE)) == INVALID


def test_csc_39_a_revoked_credential_token_is_no_sad_either(oauth_shop: OauthClient) -> None:
    sad = told(redeem(oauth_shop, approved_code(oauth_shop, ONE)))["access_token"]
    service_token = told(redeem(oauth_shop, service_code(oauth_shop)))["access_token"]

    post(oauth_shop, "revoke", token=sad)

    assert oauth_shop.csc(sad).sign_hash(..., ONE).status_code == 401
    assert refusal(oauth_shop.csc(service_token).sign_hash(sad, ONE)) == INVALID


def test_csc_57_83_the_sad_dies_with_the_token(
    oauth_shop: OauthClient, clock: SettableClock
) -> None:
    """Beside a service token too: what the approval still allowed is cut to the token's life."""
    sad = told(redeem(oauth_shop, approved_code(oauth_shop, ONE)))["access_token"]
    service_token = told(redeem(oauth_shop, service_code(oauth_shop)))["access_token"]
    clock.advance(seconds=300)

    assert oauth_shop.csc(sad).sign_hash(..., ONE).status_code == 401
    assert oauth_shop.csc(service_token).sign_hash(sad, ONE).status_code == 400


def late_code(shop: OauthClient, clock: SettableClock) -> str:
    """The code of a browser that comes back ten seconds before the last moment to sign."""
    browser = Browser(shop.service)
    browser.open(shop.address(shop.session(scope="credential"), **shop.wish(ONE))[0])
    page = sign_in(browser).address
    shop.csc("none").approve()
    for seconds in (240, 240, 110):
        browser.fetch(f"{page}/state")
        clock.advance(seconds=seconds)
    return browser.again().told["code"]


def test_csc_83_no_token_outlives_what_was_approved(
    oauth_shop: OauthClient, clock: SettableClock
) -> None:
    assert told(redeem(oauth_shop, late_code(oauth_shop, clock)))["expires_in"] == 10


def test_a_code_for_what_is_over_gives_no_token(
    oauth_shop: OauthClient, clock: SettableClock
) -> None:
    """The code lives a minute; that the approval's time is over nobody has written down yet."""
    code = late_code(oauth_shop, clock)
    clock.advance(seconds=10)

    assert error(redeem(oauth_shop, code)) == INVALID_GRANT


def test_no_csc_sad_is_there_before_the_code_is_redeemed(oauth_shop: OauthClient) -> None:
    """Design 5.4: made in the commit that consumes the code; only its hash is kept."""
    code = approved_code(oauth_shop, ONE)
    with oauth_shop.service.sessions() as session:
        which = select(Transaction.csc_sad_hash).where(Transaction.kind == "sign")
        before = session.scalars(which).one()
    sad = told(redeem(oauth_shop, code))["access_token"]
    with oauth_shop.service.sessions() as session:
        after = session.scalars(which).one()
        rows = str(session.execute(select(Authorization.__table__)).all())

    assert before != after
    assert len(base64.urlsafe_b64decode(sad + "=")) == 32
    assert code not in rows
    database = oauth_shop.service.settings.data_dir.joinpath("cellkey.sqlite3").read_bytes()
    assert sad.encode() not in database


def test_a_refusal_after_the_code_gives_no_token(oauth_shop: OauthClient) -> None:
    code = approved_code(oauth_shop, ONE)
    service = oauth_shop.service
    with service.sessions() as session:
        freeze(session, signer=service.signer(), by="operator", now=service.clock())

    assert error(redeem(oauth_shop, code)) == INVALID_GRANT


def test_an_approval_that_was_cancelled_meanwhile_gives_no_token(oauth_shop: OauthClient) -> None:
    code = approved_code(oauth_shop, ONE)
    with oauth_shop.service.sessions.begin() as session:
        session.execute(update(Transaction).values(state="cancelled"))

    assert error(redeem(oauth_shop, code)) == INVALID_GRANT


def test_csc_37_a_relying_party_alone_authorises_no_credential(oauth_shop: OauthClient) -> None:
    answer = post(oauth_shop, grant_type="client_credentials", scope="credential")

    assert error(answer) == (400, "invalid_scope")


def test_csc_130_the_parameters_of_v1_give_a_token_of_type_sad(oauth_shop: OauthClient) -> None:
    """csc.md, A10: Documenso's sequence."""
    wish = {
        "credentialID": str(oauth_shop.service.credential()),
        "numSignatures": "2",
        "hash": f"{b64url(ONE)},{b64url(TWO)}",
        "description": "Two contracts",
    }
    tokens = told(redeem(oauth_shop, approved_code(oauth_shop, **wish)))
    service_token = told(redeem(oauth_shop, service_code(oauth_shop)))["access_token"]

    assert tokens["token_type"] == "SAD"
    answer = oauth_shop.csc(service_token).old_sign_hash(tokens["access_token"], TWO, ONE)
    assert len(content(answer, 200)["signatures"]) == 2


# --- authorization_details --------------------------------------------------------


@pytest.fixture
def entry(oauth_shop: OauthClient) -> dict[str, Any]:
    return {
        "type": "https://cloudsignatureconsortium.org/2025/credential",
        "credentialID": str(oauth_shop.service.credential()),
        "documentDigests": [{"hash": b64url(ONE), "label": "Order", "hashType": "DTBSR"}],
        "hashAlgorithmOID": SHA256,
        "locations": [],
    }


def test_csc_54_the_token_repeats_the_details_as_they_came(
    oauth_shop: OauthClient, entry: dict[str, Any]
) -> None:
    """EUDI's Swift client sends base64 of another alphabet the second time."""
    again = entry | {"documentDigests": [entry["documentDigests"][0] | {"hash": b64(ONE)}]}
    code = approved_code(oauth_shop, authorization_details=json.dumps([entry]))

    tokens = told(redeem(oauth_shop, code, authorization_details=json.dumps([again])))

    assert tokens["authorization_details"] == [entry | {"numSignatures": 1}]
    assert len(oauth_shop.csc(tokens["access_token"]).signed(..., ONE)) == 1


def test_csc_54_other_details_at_the_token_end_point_are_refused(
    oauth_shop: OauthClient, entry: dict[str, Any]
) -> None:
    digest = entry["documentDigests"][0]
    others: list[list[dict[str, Any]]] = [
        [entry | {"documentDigests": [digest | {"hash": b64url(TWO)}]}],
        [entry | {"documentDigests": [digest | {"label": "Other"}]}],
        [entry | {"credentialID": "other"}],
        [],
        [entry, entry],
    ]
    code = approved_code(oauth_shop, authorization_details=json.dumps([entry]))

    for other in others:
        refused = redeem(oauth_shop, code, authorization_details=json.dumps(other))
        assert error(refused) == INVALID_GRANT
    assert told(redeem(oauth_shop, code))["access_token"]


# --- what is left behind ----------------------------------------------------------


def test_what_counts_no_more_is_forgotten(oauth_shop: OauthClient, clock: SettableClock) -> None:
    service = oauth_shop.service
    told(redeem(oauth_shop, service_code(oauth_shop)))
    told(redeem(oauth_shop, approved_code(oauth_shop, ONE)))
    left = []
    for days in (0, 1, 90):
        clock.advance(days=days)
        with service.sessions() as session:
            forget_authorizations(session, clock())
            tables = (Authorization, AccessToken, RefreshToken)
            left.append([len(session.scalars(select(table)).all()) for table in tables])

    assert left == [[2, 2, 1], [1, 1, 1], [0, 0, 0]]
