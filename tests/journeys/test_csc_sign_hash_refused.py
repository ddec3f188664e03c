"""``signatures/signHash`` of v2: what is not authorised, or does not fit, is not signed."""

import pytest

from backend.signers.freeze import freeze
from backend.signers.registration import find_signer
from tests.world.clock import SettableClock
from tests.world.csc_client import (
    DENIED,
    ECDSA_SHA256,
    INVALID,
    MD5,
    RSA,
    RSA_PSS,
    RSA_SHA256,
    RSA_SHA512,
    SHA1,
    SHA256,
    SHA384,
    SHA512,
    CscClient,
    a_relying_party,
    b64,
    kept,
    pss_parameters,
    refusal,
    words,
)
from tests.world.service import Service, hashes

ONE = hashes(1)


# --- what is not authorised -------------------------------------------------------


def test_csc_86_a_token_without_a_sad_collects_nothing(shop: CscClient) -> None:
    shop.approved(*ONE)

    answer = shop.sign_hash(..., *ONE)

    assert refusal(answer) == INVALID
    assert words(answer) == "Missing (or invalid type) string parameter SAD"


@pytest.mark.parametrize("sad", ["A" * 43, "unknown", "x" * 200, "ä"])
def test_csc_87_a_sad_cannot_be_guessed(calm_shop: CscClient, sad: str) -> None:
    answer = calm_shop.sign_hash(sad, *ONE)

    assert refusal(answer) == INVALID
    assert words(answer) == "Invalid parameter SAD"


def test_csc_87_a_sad_counts_for_its_relying_party_alone(
    signing_service: Service, shop: CscClient
) -> None:
    sad = shop.approved(*ONE)
    other = a_relying_party(signing_service, name="Another shop")

    answer = other.sign_hash(sad, *ONE)

    assert refusal(answer) == INVALID
    assert words(answer) == "Invalid parameter SAD"
    assert kept(signing_service) == (0, 0)


def test_csc_87_the_handle_is_no_sad(shop: CscClient) -> None:
    handle = shop.asked(*ONE)
    shop.approve()

    assert refusal(shop.sign_hash(handle, *ONE)) == INVALID


def test_csc_88_a_hash_that_was_not_approved_is_refused_with_all_others(
    signing_service: Service, shop: CscClient
) -> None:
    wanted = hashes(2)
    sad = shop.approved(*wanted)

    answer = shop.sign_hash(sad, *wanted, *hashes(1, seed="another"))

    assert refusal(answer) == INVALID
    assert words(answer) == "Hash is not authorized by the SAD"
    assert kept(signing_service) == (0, 0)


def test_csc_90_no_hash_is_counted_twice_in_a_call(
    signing_service: Service, shop: CscClient
) -> None:
    sad = shop.approved(*ONE)

    assert refusal(shop.sign_hash(sad, *ONE, *ONE)) == INVALID
    assert kept(signing_service) == (0, 0)


def test_csc_83_a_sad_is_dead_when_its_time_is_over(
    signing_service: Service, shop: CscClient, clock: SettableClock
) -> None:
    settings = signing_service.settings
    sad = shop.approved(*ONE)
    clock.advance(seconds=settings.transaction_seconds + settings.use_seconds)

    answer = shop.sign_hash(sad, *ONE)

    assert refusal(answer) == INVALID
    assert words(answer) == "SAD expired"
    assert kept(signing_service) == (0, 0)


def test_csc_96_a_lock_after_the_approval_stops_the_signature(
    signing_service: Service, shop: CscClient
) -> None:
    """R-048."""
    sad = shop.approved(*ONE)
    with signing_service.sessions() as session:
        signer = find_signer(session, "a.ivanova").id
        freeze(session, signer=signer, by="phone", now=signing_service.clock())

    answer = shop.sign_hash(sad, *ONE)

    assert refusal(answer) == DENIED
    assert words(answer) == "Credential locked"
    assert kept(signing_service) == (0, 0)


def test_csc_96_an_expired_certificate_signs_nothing(
    signing_service: Service, shop: CscClient, clock: SettableClock
) -> None:
    expires = shop.certificate().not_valid_after_utc
    clock.set(expires)
    late = a_relying_party(signing_service)

    answer = late.authorize(*ONE)

    assert refusal(answer) == INVALID
    assert "expired" in words(answer)


def test_a_refusal_after_the_approval_counts(signing_service: Service, shop: CscClient) -> None:
    """Until it is redeemed (protocol, 2)."""
    handle = shop.asked(*ONE)
    phone = signing_service.phone()
    (listed,) = phone.pending().transactions
    shown = phone.show(listed.id)
    phone.approve(shown)
    sad = shop.csc_sad(handle)
    phone.reject(shown)

    answer = shop.sign_hash(sad, *ONE)

    assert refusal(answer) == DENIED
    assert kept(signing_service) == (0, 0)


# --- what does not fit ------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"credentialID": ...}, "Missing (or invalid type) string parameter credentialID"),
        ({"credentialID": "unknown"}, "Invalid parameter credentialID"),
        ({"SAD": 7}, "Missing (or invalid type) string parameter SAD"),
        ({"hashes": ...}, "Missing (or invalid type) array parameter hashes"),
        ({"hashes": "text"}, "Missing (or invalid type) array parameter hashes"),
        ({"hashes": []}, "Empty hash array"),
        ({"hashes": ["not base64"]}, "Invalid Base64 hash string parameter"),
        ({"hashes": [b64(bytes(20))]}, "a SHA-256 hash has 32 bytes"),
        ({"signAlgo": ...}, "Missing (or invalid type) string parameter signAlgo"),
        ({"signAlgo": 7}, "Missing (or invalid type) string parameter signAlgo"),
        ({"signAlgo": "1.2.840.113549.1.1.5"}, "Invalid parameter signAlgo"),
        ({"signAlgo": RSA_SHA256}, "Invalid parameter signAlgo: P-256 has another"),
        (
            {"hashAlgorithmOID": SHA384},
            "String parameter hashAlgorithmOID contradicts with signAlgo",
        ),
        ({"hashAlgorithmOID": SHA1}, "String parameter hashAlgorithmOID contradicts with signAlgo"),
        ({"hashAlgorithmOID": MD5}, "String parameter hashAlgorithmOID contradicts with signAlgo"),
        ({"operationMode": "A"}, "Invalid parameter operationMode"),
        ({"operationMode": 7}, "Missing (or invalid type) string parameter operationMode"),
        ({"hash": [b64(bytes(32))]}, "hash: is of CSC API v1; v2 has hashes"),
        ({"hashAlgo": SHA256}, "hashAlgo: is of CSC API v1; v2 has hashAlgorithmOID"),
    ],
    ids=str,
)
def test_csc_92_93_94_95_what_does_not_fit_is_refused_and_said(
    calm_shop: CscClient, members: dict[str, object], said: str
) -> None:
    """CSC-92 to 94."""
    answer = calm_shop.sign_hash("A" * 43, *ONE, **members)

    assert refusal(answer) == INVALID
    assert words(answer) == said


def test_what_is_refused_spends_nothing(shop: CscClient) -> None:
    """A11: the hashes are free again."""
    sad = shop.approved(*ONE)
    shop.sign_hash(sad, *ONE, signAlgo=RSA)
    shop.sign_hash(sad, *ONE, hashAlgorithmOID=SHA384)

    assert len(shop.signed(sad, *ONE)) == 1


OTHER_MASK = {"algorithm": "mgf1", "parameters": {"algorithm": "sha1"}}
NOT_OURS: dict[str, dict[str, object]] = {
    "no hash": {"signAlgo": RSA},
    "PSS without a hash": {"signAlgo": RSA_PSS},
    "PSS, SHA-1": {"signAlgo": RSA_PSS, "hashAlgorithmOID": SHA1},
    "no base64": {"signAlgo": RSA_PSS, "signAlgoParams": "!"},
    "no parameters": {"signAlgo": RSA_PSS, "signAlgoParams": b64(b"\x30\x03\x02\x01\x01")},
    "parameters of SHA-1": {"signAlgo": RSA_PSS, "signAlgoParams": pss_parameters("sha1")},
    "salt": {"signAlgo": RSA_PSS, "signAlgoParams": pss_parameters(salt_length=20)},
    "trailer": {"signAlgo": RSA_PSS, "signAlgoParams": pss_parameters(trailer_field=2)},
    "mask": {
        "signAlgo": RSA_PSS,
        "signAlgoParams": pss_parameters(mask_gen_algorithm=OTHER_MASK),
    },
    "another hash": {
        "signAlgo": RSA_PSS,
        "signAlgoParams": pss_parameters(),
        "hashAlgorithmOID": SHA512,
    },
    "too long": {"signAlgo": RSA_PSS, "signAlgoParams": "A" * 2000},
    "another length": {"signAlgo": RSA_SHA512},
    "another key": {"signAlgo": ECDSA_SHA256},
}


@pytest.mark.parametrize("members", NOT_OURS.values(), ids=NOT_OURS)
def test_csc_94_parameters_that_our_keys_do_not_sign_with_are_refused(
    rsa_shop: CscClient, members: dict[str, object]
) -> None:
    answer = rsa_shop.sign_hash("A" * 43, *ONE, **members)

    assert refusal(answer) == INVALID
    assert "SAD" not in words(answer)
