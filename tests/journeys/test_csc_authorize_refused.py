"""``credentials/authorize`` of v2: what cannot be asked or shown asks nobody."""

import pytest

from tests.world.csc_client import (
    INVALID,
    MD5,
    PAYMENT,
    SHA1,
    SHA512,
    CscClient,
    refusal,
    times_asked,
    words,
)
from tests.world.service import hashes

ONE = hashes(1)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"credentialID": ...}, "Missing (or invalid type) string parameter credentialID"),
        ({"credentialID": 7}, "Missing (or invalid type) string parameter credentialID"),
        ({"credentialID": "unknown"}, "Invalid parameter credentialID"),
        (
            {"credentialID": "0b7f5f9e-7d1c-4a5e-9f39-2f2c0c3f7a11"},
            "Invalid parameter credentialID",
        ),
        ({"numSignatures": ...}, "Missing (or invalid type) integer parameter numSignatures"),
        ({"numSignatures": "1"}, "Missing (or invalid type) integer parameter numSignatures"),
        ({"numSignatures": True}, "Missing (or invalid type) integer parameter numSignatures"),
        ({"numSignatures": 0}, "Invalid value for parameter numSignatures"),
        ({"numSignatures": -1}, "Invalid value for parameter numSignatures"),
        ({"numSignatures": 101}, "Numbers of signatures is too high"),
    ],
)
def test_csc_77_a_wrong_credential_or_number_asks_nobody(
    calm_shop: CscClient, members: dict[str, object], said: str
) -> None:
    answer = calm_shop.authorize(*ONE, **members)

    assert refusal(answer) == INVALID
    assert words(answer) == said
    assert times_asked(calm_shop.service) == 0


@pytest.mark.parametrize(
    "members",
    [
        {"hashes": ...},
        {"hashes": None},
        {"hashes": "text"},
        {"hashes": []},
        {"hashes": [7]},
        {"hashes": ["!"]},
        {"hashes": ["A" * 400]},
        {"hashes": ["AAAA"]},
        {"numSignatures": 2},
        {"hashAlgorithmOID": ...},
        {"hashAlgorithmOID": SHA1},
        {"hashAlgorithmOID": MD5},
        {"hashAlgorithmOID": SHA512},
        {"hashAlgorithmOID": 7},
        {"hashAlgorithmOID": "x" * 5000},
    ],
    ids=str,
)
def test_csc_78_without_fitting_hashes_nobody_is_asked(
    calm_shop: CscClient, members: dict[str, object]
) -> None:
    """SCAL 2."""
    assert refusal(calm_shop.authorize(*ONE, **members)) == INVALID
    assert times_asked(calm_shop.service) == 0


def test_csc_78_a_hash_stands_once(calm_shop: CscClient) -> None:
    assert refusal(calm_shop.authorize(*ONE, *ONE)) == INVALID
    assert times_asked(calm_shop.service) == 0


def test_csc_78_a_p_256_key_is_asked_for_sha_256_alone(calm_shop: CscClient) -> None:
    assert refusal(calm_shop.authorize(bytes(64), hashAlgorithmOID=SHA512)) == INVALID


@pytest.mark.parametrize(
    "auth_data",
    [[{"id": "sms"}], [{"id": "app", "value": "1234"}], [{"id": "app"}, {"id": "pin"}]],
    ids=str,
)
def test_csc_79_what_would_pass_through_the_caller_is_refused(
    calm_shop: CscClient, auth_data: object
) -> None:
    """CSC-134: nothing that the relying party hands in can stand for the phone."""
    answer = calm_shop.authorize(*ONE, authData=auth_data)

    assert refusal(answer) == (400, "invalid_authentication_data")
    assert times_asked(calm_shop.service) == 0


@pytest.mark.parametrize(
    "auth_data", ["app", {"id": "app"}, ["app"], [{}], [{"id": 7}], [{"id": "app"}] * 11], ids=str
)
def test_csc_10_auth_data_is_an_array_of_objects(calm_shop: CscClient, auth_data: object) -> None:
    answer = calm_shop.authorize(*ONE, authData=auth_data)

    assert refusal(answer) == INVALID
    assert "authData" in words(answer)


@pytest.mark.parametrize(
    "members",
    [
        {"description": "x" * 501},
        {"description": 7},
        {"description": "\N{RIGHT-TO-LEFT OVERRIDE}"},
        {"description": "and so", "transaction": PAYMENT},
        {"transaction": "payment"},
        {"transaction": {}},
        {"transaction": {"type": "certificate_request"}},
        {"transaction": PAYMENT | {"amount": {"value": "12500", "currency": "RUB"}}},
        {"transaction": PAYMENT | {"unknown": "member"}},
        {"labels": "one"},
        {"labels": []},
        {"labels": ["one", "two"]},
        {"labels": [7]},
        {"labels": [None]},
        {"labels": [""]},
        {"labels": ["x" * 201]},
        {"labels": ["line\nbreak"]},
        {"labels": ["nothing\x00"]},
    ],
    ids=str,
)
def test_csc_82_what_cannot_be_shown_to_the_signer_is_refused(
    calm_shop: CscClient, members: dict[str, object]
) -> None:
    """T-06: hostile text is refused, never cut or mended."""
    assert refusal(calm_shop.authorize(*ONE, **members)) == INVALID
    assert times_asked(calm_shop.service) == 0


@pytest.mark.parametrize("member", ["hash", "hashAlgo", "PIN", "OTP"])
def test_csc_129_members_of_v1_are_refused_by_name(calm_shop: CscClient, member: str) -> None:
    answer = calm_shop.authorize(*ONE, **{member: "x"})

    assert refusal(answer) == INVALID
    assert words(answer).startswith(f"{member}: ")
