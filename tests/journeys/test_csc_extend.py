"""``credentials/extendTransaction`` and ``credentials/getChallenge``."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update
from werkzeug.test import TestResponse

from backend.model.tables import AccessToken
from backend.signers.freeze import freeze
from tests.world.browser import Browser
from tests.world.clock import SettableClock
from tests.world.csc_client import (
    DENIED,
    INVALID,
    SHA256,
    SHA384,
    CscClient,
    a_relying_party,
    b64,
    content,
    refusal,
    texts,
    words,
)
from tests.world.oauth_client import OauthClient, sign_in
from tests.world.service import WITHOUT_NUMBER, Service, hashes

ONE, TWO = hashes(2)
EDITIONS = ("v1", "v2")
INVALID_SAD = "Invalid parameter SAD"


def extend(
    shop: CscClient,
    sad: object,
    *wanted: bytes,
    edition: str = "v2",
    **members: Any,  # noqa: ANN401  # JSON
) -> TestResponse:
    name = {"v1": "hash", "v2": "hashes"}[edition]
    body = {"credentialID": shop.credential, "SAD": sad, name: texts(wanted)}
    return shop.post(f"{edition}/credentials/extendTransaction", body | members)


# --- extendTransaction ------------------------------------------------------------


@pytest.mark.parametrize("edition", EDITIONS)
def test_csc_84_a_sad_is_exchanged_and_the_old_one_dead(
    shop: CscClient, clock: SettableClock, edition: str
) -> None:
    handle = shop.asked(ONE, TWO)
    shop.approve()
    old = content(shop.check(handle), 200)
    shop.signed(old["SAD"], ONE)
    clock.advance(seconds=100)

    new = content(extend(shop, old["SAD"], TWO, edition=edition), 200)

    assert new.keys() == {"SAD", "expiresIn"}
    assert new["expiresIn"] == old["expiresIn"] - 100  # nothing is prolonged
    assert new["SAD"] != old["SAD"]
    assert words(shop.sign_hash(old["SAD"], TWO)) == INVALID_SAD
    assert words(extend(shop, old["SAD"], TWO)) == INVALID_SAD
    assert len(shop.signed(new["SAD"], ONE, TWO)) == 2


def test_csc_84_a_handle_gives_no_sad_that_was_exchanged(shop: CscClient) -> None:
    """It would be the dead one."""
    handle = shop.asked(ONE)
    shop.approve()
    new = content(extend(shop, shop.csc_sad(handle), ONE), 200)["SAD"]

    answer = shop.check(handle)

    assert refusal(answer) == INVALID
    assert words(answer) == "Invalid parameter handle"
    assert len(shop.signed(new, ONE)) == 1


def test_csc_84_no_hash_is_added_that_the_signer_did_not_see(shop: CscClient) -> None:
    sad = shop.approved(ONE)

    answer = extend(shop, sad, ONE, TWO)

    assert refusal(answer) == INVALID
    assert words(answer) == "Hash is not authorized by the SAD"
    assert len(shop.signed(sad, ONE)) == 1


def test_csc_84_an_expired_or_used_sad_is_not_exchanged(
    shop: CscClient, clock: SettableClock
) -> None:
    used, late = shop.approved(ONE), shop.approved(TWO)
    shop.signed(used, ONE)
    clock.advance(minutes=11)

    assert refusal(extend(shop, used, ONE)) == INVALID
    expired = extend(shop, late, TWO)
    assert refusal(expired) == INVALID
    assert words(expired) == "SAD expired"


def test_csc_84_a_used_sad_has_done_what_it_was_for(shop: CscClient) -> None:
    sad = shop.approved(ONE)
    shop.signed(sad, ONE)

    assert words(extend(shop, sad, ONE)) == INVALID_SAD
    assert len(shop.signed(sad, ONE)) == 1


@pytest.mark.parametrize("approved", [False, True])
def test_csc_84_without_an_approval_that_counts_nothing_is_exchanged(
    signing_service: Service, shop: CscClient, *, approved: bool
) -> None:
    """A frozen signer's counts as little as one that is not there."""
    other = a_relying_party(signing_service, name="Another shop")
    sad = shop.approved(ONE)
    assert words(extend(other, sad, ONE)) == INVALID_SAD
    if approved:
        with signing_service.sessions() as session:
            now = signing_service.clock()
            freeze(session, signer=signing_service.signer(), by="phone", now=now)
        assert refusal(extend(shop, sad, ONE)) == DENIED


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"credentialID": None}, "Missing (or invalid type) string parameter credentialID"),
        ({"credentialID": "unknown"}, "Invalid parameter credentialID"),
        ({"credentialID": str(UUID(int=7))}, "Invalid parameter credentialID"),
        ({"SAD": None}, "Missing (or invalid type) string parameter SAD"),
        ({"SAD": "unknown"}, INVALID_SAD),
        ({"hashes": None}, "Missing (or invalid type) array parameter hashes"),
        ({"hashes": []}, "Empty hash array"),
        ({"hashes": ["!"]}, "Invalid Base64 hash string parameter"),
        ({"hashAlgorithmOID": "1.2.3"}, "Invalid parameter hashAlgorithmOID"),
        ({"hashAlgorithmOID": SHA384}, "a SHA-384 hash has 48 bytes"),
        ({"hash": [b64(ONE)]}, "hash: is of CSC API v1; v2 has hashes"),
        ({"clientData": 7}, "Missing (or invalid type) string parameter clientData"),
    ],
    ids=str,
)
def test_csc_84_what_does_not_fit_is_refused_and_said(
    calm_shop: CscClient, members: dict[str, Any], said: str
) -> None:
    answer = extend(calm_shop, "A" * 43, ONE, **members)

    assert refusal(answer) == INVALID
    assert words(answer) == said


def test_csc_84_the_hash_algorithm_may_be_named(shop: CscClient) -> None:
    sad = shop.approved(ONE)

    assert content(extend(shop, sad, ONE, hashAlgorithmOID=SHA256), 200)["SAD"]


def test_csc_39_84_what_a_credential_token_was_exchanged_for_dies_with_it(
    oauth_shop: OauthClient,
) -> None:
    """Revoking the token ends what was approved, by whichever name."""
    sad = credential_token(oauth_shop)
    csc = oauth_shop.csc(service_token(oauth_shop))
    new = content(extend(csc, sad, ONE), 200)["SAD"]

    assert refusal(oauth_shop.csc(sad).sign_hash(..., ONE)) == INVALID
    assert csc.post("v2/auth/revoke", {"token": sad}).status_code == 204
    assert words(csc.sign_hash(new, ONE)) == INVALID_SAD


def service_token(shop: OauthClient) -> str:
    session, browser = shop.session(), Browser(shop.service)
    address, state = shop.address(session)
    browser.open(address)
    return str(shop.redeem(session, sign_in(browser), state)["access_token"])


def credential_token(shop: OauthClient) -> str:
    session, browser = shop.session(scope="credential"), Browser(shop.service)
    address, state = shop.address(session, **shop.wish(ONE))
    browser.open(address)
    sign_in(browser)
    shop.csc("none").approve()
    return str(shop.redeem(session, browser.again(), state)["access_token"])


def test_csc_74_a_signers_token_polls_for_no_other_signer(oauth_shop: OauthClient) -> None:
    service = oauth_shop.service
    csc = oauth_shop.csc(service_token(oauth_shop))
    handle = csc.asked(ONE)
    service.register(WITHOUT_NUMBER)
    other = service.signer(WITHOUT_NUMBER.login or "")

    mine = csc.check(handle)
    with service.sessions.begin() as session:
        session.execute(update(AccessToken).values(signer_id=other))
    others = csc.check(handle)

    assert mine.status_code == 202
    assert refusal(others) == INVALID
    assert words(others) == "Invalid parameter handle"


# --- getChallenge -----------------------------------------------------------------


def test_csc_80_there_is_no_challenge_to_be_had_the_phone_gets_its_own(
    signing_service: Service, shop: CscClient
) -> None:
    """204: out of band. Nothing is sent: it says nothing of what would be signed."""
    body = {"credentialID": shop.credential, "authObjectID": "app"}

    answer = shop.post("v2/credentials/getChallenge", body)

    assert (answer.status_code, answer.data) == (204, b"")
    assert not signing_service.phone().pending().transactions


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"credentialID": None}, "Missing (or invalid type) string parameter credentialID"),
        ({"credentialID": "unknown"}, "Invalid parameter credentialID"),
        ({"authObjectID": None}, "Missing (or invalid type) string parameter authObjectID"),
        ({"authObjectID": 7}, "Missing (or invalid type) string parameter authObjectID"),
        ({"authObjectID": "sms"}, "Invalid parameter authObjectID"),
    ],
    ids=str,
)
def test_csc_80_what_is_no_object_has_no_challenge(
    calm_shop: CscClient, members: dict[str, Any], said: str
) -> None:
    given: dict[str, object] = {"credentialID": calm_shop.credential, "authObjectID": "app"}

    answer = calm_shop.post("v2/credentials/getChallenge", given | members)

    assert refusal(answer) == INVALID
    assert words(answer) == said
