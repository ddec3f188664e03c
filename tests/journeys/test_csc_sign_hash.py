"""``signatures/signHash`` of v2: who asked collects what the signer approved, and only that."""

import base64
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives import hashes as primitives
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from backend.errors import SamUnavailable
from tests.world.csc_client import (
    RSA,
    RSA_PSS,
    RSA_SHA256,
    RSA_SHA384,
    RSA_SHA512,
    SHA256,
    SHA384,
    SHA512,
    CscClient,
    b64,
    kept,
    pss_parameters,
    refusal,
    words,
)
from tests.world.service import Service, hashes

ONE = hashes(1)
DIGESTS: dict[str, primitives.HashAlgorithm] = {
    SHA256: primitives.SHA256(),
    SHA384: primitives.SHA384(),
    SHA512: primitives.SHA512(),
}


def ec_key(shop: CscClient) -> ec.EllipticCurvePublicKey:
    key = shop.certificate().public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


# --- signatures -------------------------------------------------------------------


def test_csc_91_97_signatures_come_in_the_order_of_the_request(shop: CscClient) -> None:
    """CSC-97: and nothing else comes."""
    wanted = hashes(5)
    sad = shop.approved(*wanted)
    shuffled = [wanted[place] for place in (3, 0, 4, 2, 1)]

    made = shop.signed(sad, *shuffled)

    for digest, signature in zip(shuffled, made, strict=True):
        ec_key(shop).verify(signature, digest, ec.ECDSA(Prehashed(primitives.SHA256())))


@pytest.mark.parametrize(
    ("sign_oid", "members", "hash_oid"),
    [
        (RSA_SHA256, {}, SHA256),
        (RSA_SHA384, {}, SHA384),
        (RSA_SHA512, {"hashAlgorithmOID": SHA512}, SHA512),
        (RSA, {"hashAlgorithmOID": SHA256}, SHA256),
        (RSA, {"hashAlgorithmOID": SHA512}, SHA512),
        (RSA_PSS, {"hashAlgorithmOID": SHA384}, SHA384),
        (RSA_PSS, {"signAlgoParams": pss_parameters()}, SHA256),
        (
            RSA_PSS,
            {
                "signAlgoParams": pss_parameters("sha512", salt_length=64),
                "hashAlgorithmOID": SHA512,
            },
            SHA512,
        ),
    ],
    ids=["11", "12", "13", "bare-256", "bare-512", "pss-384", "pss-params", "pss-params-512"],
)
def test_csc_91_92_an_rsa_key_signs_in_each_way_it_names(
    rsa_shop: CscClient, sign_oid: str, members: dict[str, str], hash_oid: str
) -> None:
    """CSC-92."""
    hash_algorithm = DIGESTS[hash_oid]
    digest = bytes(range(hash_algorithm.digest_size))
    sad = rsa_shop.approved(digest, hashAlgorithmOID=hash_oid)

    (made,) = rsa_shop.signed(sad, digest, signAlgo=sign_oid, **members)

    key = rsa_shop.certificate().public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    padding = (
        PSS(mgf=MGF1(hash_algorithm), salt_length=hash_algorithm.digest_size)
        if sign_oid == RSA_PSS
        else PKCS1v15()
    )
    key.verify(made, digest, padding, Prehashed(hash_algorithm))


def test_hashes_are_compared_as_bytes(shop: CscClient) -> None:
    """Both alphabets, with and without padding (csc.md, A2)."""
    digest = bytes([0xFB, 0xEF, 0xFF] * 10) + b"\xfb\xff"
    standard = b64(digest)
    handle = shop.asked(digest, hashes=[standard])
    shop.approve()
    sad = shop.csc_sad(handle)
    forms = [
        standard,
        standard.rstrip("="),
        base64.urlsafe_b64encode(digest).decode(),
        base64.urlsafe_b64encode(digest).decode().rstrip("="),
    ]

    made = {shop.signed(sad, digest, hashes=[form])[0] for form in forms}

    assert len(set(forms)) == 4
    assert len(made) == 1


@pytest.mark.parametrize(
    "members",
    [
        {"operationMode": "S"},
        {"operationMode": None, "validity_period": None, "response_uri": None},
        {"operationMode": "S", "validity_period": 1000, "response_uri": "https://shop.example"},
    ],
    ids=str,
)
def test_csc_93_97_the_mode_is_synchronous_and_what_is_of_the_other_passed_over(
    shop: CscClient, members: dict[str, object]
) -> None:
    sad = shop.approved(*ONE)

    assert len(shop.signed(sad, *ONE, **members)) == 1


def test_csc_120_one_approval_may_be_collected_in_parts(shop: CscClient) -> None:
    wanted = hashes(4)
    sad = shop.approved(*wanted)

    parts = shop.signed(sad, wanted[2]), shop.signed(sad, *wanted[:2]), shop.signed(sad, wanted[3])

    assert [len(part) for part in parts] == [1, 2, 1]
    assert len({signature for part in parts for signature in part}) == 4


def test_csc_89_a_repeat_gives_the_signature_that_was_made_and_no_second_one(
    signing_service: Service, shop: CscClient
) -> None:
    """Each hash is signed once; who lost the answer may ask for it again."""
    sad = shop.approved(*ONE)

    first, second = shop.signed(sad, *ONE), shop.signed(sad, *ONE)

    assert first == second
    assert kept(signing_service) == (1, 1)


def test_csc_89_121_parallel_callers_get_the_same_signatures(
    signing_service: Service, shop: CscClient
) -> None:
    """CSC-121: none is counted twice."""
    wanted = hashes(3)
    sad = shop.approved(*wanted)

    with ThreadPoolExecutor(4) as callers:
        found = list(callers.map(lambda _: tuple(shop.signed(sad, *wanted)), range(4)))

    assert len(set(found)) == 1
    assert kept(signing_service)[0] == 3


def test_csc_09_121_when_the_hsm_fails_nothing_is_signed_and_a_repeat_succeeds(
    signing_service: Service, shop: CscClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CSC-09."""
    wanted = hashes(3)
    sad = shop.approved(*wanted)

    def fails(_sam: object, _request: object) -> None:
        raise SamUnavailable("the HSM is away")

    with monkeypatch.context() as patched:
        patched.setattr(type(signing_service.sam), "release", fails)
        away = shop.sign_hash(sad, *wanted)

    assert refusal(away) == (503, "temporarily_unavailable")
    assert away.headers["Retry-After"]
    assert "HSM" not in words(away)
    assert kept(signing_service) == (0, 0)
    assert len(shop.signed(sad, *wanted)) == 3
