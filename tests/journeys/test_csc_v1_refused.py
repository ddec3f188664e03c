"""CSC v1.0.4: what does not fit that edition is refused by name, and asks nobody."""

import pytest

from tests.world.csc_client import INVALID, SHA256, SHA384, CscClient, b64, refusal, texts, words
from tests.world.service import hashes

ONE = hashes(1)


@pytest.mark.parametrize(
    "members",
    [
        {"hash": ...},
        {"hash": []},
        {"hash": "text"},
        {"hash": [b64(bytes(20))]},
        {"hash": [b64(bytes(33))]},
        {"hash": [b64(bytes(32)), b64(bytes(48))], "numSignatures": 2},
        {"hash": [b64(bytes(48))]},
        {"numSignatures": 2},
        {"numSignatures": ...},
        {"credentialID": "unknown"},
        {"hashes": texts(ONE)},
        {"hashAlgorithmOID": SHA256},
        {"authData": [{"id": "app"}]},
        {"PIN": "1234"},
        {"OTP": "123456"},
    ],
    ids=str,
)
def test_csc_129_what_does_not_fit_v1_is_refused_and_asks_nobody(
    calm_shop: CscClient, members: dict[str, object]
) -> None:
    """Hashes of 32, 48 or 64 bytes name their algorithm; the key of this signer has SHA-256."""
    assert refusal(calm_shop.old_authorize(*ONE, **members)) == INVALID
    assert not calm_shop.service.phone().pending().transactions


@pytest.mark.parametrize("member", ["hashes", "hashAlgorithmOID", "authData", "PIN", "OTP"])
def test_csc_129_the_refusal_names_the_foreign_member(calm_shop: CscClient, member: str) -> None:
    assert words(calm_shop.old_authorize(*ONE, **{member: ["x"]})).startswith(f"{member}: ")


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"SAD": ...}, "Missing (or invalid type) string parameter SAD"),
        ({"hash": ...}, "Missing (or invalid type) array parameter hash"),
        ({"hash": []}, "Empty hash array"),
        ({"hash": ["!"]}, "Invalid Base64 hash string parameter"),
        ({"hash": [b64(bytes(31))]}, "Invalid digest value length"),
        ({"hash": [b64(bytes(48))]}, "Invalid digest value length"),
        ({"hashAlgo": SHA384}, "String parameter hashAlgo contradicts with signAlgo"),
        ({"hashAlgorithmOID": SHA256}, "hashAlgorithmOID: is of CSC API v2; v1 has hashAlgo"),
        ({"hashes": texts(ONE)}, "hashes: is of CSC API v2; v1 has hash"),
        ({"signAlgo": ...}, "Missing (or invalid type) string parameter signAlgo"),
        ({"signAlgo": "1.2.3"}, "Invalid parameter signAlgo"),
    ],
    ids=str,
)
def test_csc_129_what_does_not_fit_at_signing_is_said(
    calm_shop: CscClient, members: dict[str, object], said: str
) -> None:
    answer = calm_shop.old_sign_hash("A" * 43, *ONE, **members)

    assert refusal(answer) == INVALID
    assert words(answer) == said


@pytest.mark.parametrize("member", ["PIN", "OTP"])
def test_csc_127_a_code_at_the_relying_party_stands_for_nobody(
    calm_shop: CscClient, member: str
) -> None:
    """It cannot be SCAL 2 (TS 119 432, 6.2); refused in both editions, and not tried."""
    for answer in (
        calm_shop.old_authorize(*ONE, **{member: "123456"}),
        calm_shop.authorize(*ONE, **{member: "123456"}),
    ):
        assert refusal(answer) == INVALID
        assert words(answer).startswith(f"{member}: ")
    assert refusal(calm_shop.post("v1/credentials/sendOTP", {})) == (501, "invalid_request")
    assert not calm_shop.service.phone().pending().transactions


def test_there_is_no_handle_in_v1(calm_shop: CscClient) -> None:
    answer = calm_shop.post("v1/credentials/authorizeCheck", {"handle": "A" * 43})

    assert refusal(answer) == (501, "invalid_request")
