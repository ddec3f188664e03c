"""Credentials that CSC alone cannot authorise say so: ``oauth2code``."""

import pytest

from backend.access.registrations import RegistrationChange, change_registration
from tests.world.csc_client import INVALID, CscClient, refusal, times_asked, words
from tests.world.raw_calls import RawCalls
from tests.world.service import Service, hashes

ONE = hashes(1)
OAUTH_ALONE = {"mode": "oauth2code", "objects": []}


def modes(shop: CscClient) -> tuple[object, object, object]:
    """As the two editions, and a list, tell it."""
    asked = {"credentialID": shop.credential}
    old = shop.get("v1/credentials/info", asked)
    new = shop.get("v2/credentials/info", asked)
    listed = shop.get("v2/credentials/list", {"userID": "a.ivanova", "credentialInfo": True})
    return old["authMode"], new["auth"], listed["credentialInfos"][0]["auth"]


def asks_number(service: Service, shop: CscClient) -> None:
    with service.sessions() as session:
        change = RegistrationChange(asks_number=True)
        change_registration(session, client_id=shop.party.client_id, change=change)


def remove_phone(service: Service) -> None:
    phone = service.phone()
    RawCalls(service, phone).send("DELETE", f"/devices/{phone.kid()}")
    service.clerk.run_once()


def test_csc_68_76_where_the_phone_asks_for_a_number_only_our_page_will_do(
    signing_service: Service, shop: CscClient
) -> None:
    """The page on which the signer waits shows it; a call by CSC has no page."""
    before = modes(shop)
    asks_number(signing_service, shop)
    after = modes(shop)

    assert before[0] == "implicit"
    assert after == ("oauth2code", OAUTH_ALONE, OAUTH_ALONE)
    for answer in (shop.authorize(*ONE), shop.old_authorize(*ONE)):
        assert refusal(answer) == INVALID
        assert words(answer).startswith("oauth2code: ")
    assert times_asked(signing_service) == 0
    challenge = {"credentialID": shop.credential, "authObjectID": "app"}
    assert refusal(shop.post("v2/credentials/getChallenge", challenge)) == INVALID


def test_csc_67_68_76_where_no_phone_is_left_it_is_oauth_alone(
    signing_service: Service, shop: CscClient
) -> None:
    remove_phone(signing_service)

    assert modes(shop) == ("oauth2code", OAUTH_ALONE, OAUTH_ALONE)
    for answer in (shop.authorize(*ONE), shop.old_authorize(*ONE)):
        assert refusal(answer) == INVALID
    assert times_asked(signing_service) == 0


@pytest.mark.parametrize("edition", ["v1", "v2"])
def test_csc_126_134_no_object_of_a_credential_passes_a_value_through_the_caller(
    calm_shop: CscClient, edition: str
) -> None:
    """SCAL 2: ``PIN`` and ``OTP`` in v1, ``value`` in v2."""
    info = calm_shop.get(f"{edition}/credentials/info", {"credentialID": calm_shop.credential})

    assert info["SCAL"] == "2"
    assert not info.keys() & {"PIN", "OTP"}
    objects = info.get("auth", {"objects": []})["objects"]
    assert all(each["type"].endswith("OOB") for each in objects)
