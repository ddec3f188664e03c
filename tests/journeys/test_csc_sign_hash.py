"""``signatures/signHash`` of v2: who asked collects what the signer approved, and only that."""

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from asn1crypto import algos
from cryptography import x509
from cryptography.hazmat.primitives import hashes as primitives
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from sqlalchemy import func, select

from backend.algorithms import KeyAlgorithm
from backend.errors import SamUnavailable
from backend.model.tables import Receipt, Signature
from backend.signers.freeze import freeze
from backend.signers.registration import find_signer
from tests.journeys.conftest import Stage
from tests.world.clock import SettableClock
from tests.world.csc_client import (
    ECDSA_SHA256,
    MD5,
    SHA1,
    SHA256,
    SHA384,
    SHA512,
    CscClient,
    a_relying_party,
    b64,
    refusal,
    words,
)
from tests.world.service import Service, copy_service, hashes, open_service

INVALID = (400, "invalid_request")
DENIED = (400, "access_denied")
ONE = hashes(1)
RSA = "1.2.840.113549.1.1.1"
RSA_SHA256 = "1.2.840.113549.1.1.11"
RSA_SHA384 = "1.2.840.113549.1.1.12"
RSA_SHA512 = "1.2.840.113549.1.1.13"
RSA_PSS = "1.2.840.113549.1.1.10"
DIGESTS: dict[str, primitives.HashAlgorithm] = {
    SHA256: primitives.SHA256(),
    SHA384: primitives.SHA384(),
    SHA512: primitives.SHA512(),
}


@pytest.fixture
def shop(signing_service: Service) -> CscClient:
    return a_relying_party(signing_service)


@pytest.fixture(scope="module")
def certified_rsa(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A signer with an RSA key, a phone and a certificate."""
    folder = tmp_path_factory.mktemp("certified-rsa")
    service = open_service(folder)
    envelope = service.register(algorithm=KeyAlgorithm.RSA_2048)
    service.signing_phone(envelope)
    service.close()
    return Stage(folder, envelope)


@pytest.fixture(scope="module")
def rsa_shop(certified_rsa: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CscClient]:
    opened = copy_service(certified_rsa.folder, tmp_path_factory.mktemp("rsa"))
    yield a_relying_party(opened)
    opened.close()


def certificate(shop: CscClient) -> x509.Certificate:
    """The signer's, as ``credentials/info`` gives it."""
    info = shop.get("v2/credentials/info", {"credentialID": shop.credential})
    return x509.load_der_x509_certificate(base64.b64decode(info["cert"]["certificates"][0]))


def ec_key(shop: CscClient) -> ec.EllipticCurvePublicKey:
    key = certificate(shop).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def pss_parameters(name: str = "sha256", **other: object) -> str:
    """RSASSA-PSS-params, DER in base64."""
    given = {
        "hash_algorithm": {"algorithm": name},
        "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": {"algorithm": name}},
        "salt_length": 32,
    }
    return b64(algos.RSASSAPSSParams(given | other).dump())


def written(service: Service) -> tuple[int, int]:
    """How many signatures and receipts are kept, beside those of the first approval."""
    with service.sessions() as session:
        counts = [
            session.scalar(select(func.count()).select_from(table)) or 0
            for table in (Signature, Receipt)
        ]
    return counts[0] - 1, counts[1] - 1


# --- signatures -------------------------------------------------------------------


def test_csc_91_signatures_come_in_the_order_of_the_request(shop: CscClient) -> None:
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
def test_csc_91_an_rsa_key_signs_in_each_way_it_names(
    rsa_shop: CscClient, sign_oid: str, members: dict[str, str], hash_oid: str
) -> None:
    """CSC-92."""
    hash_algorithm = DIGESTS[hash_oid]
    digest = bytes(range(hash_algorithm.digest_size))
    sad = rsa_shop.approved(digest, hashAlgorithmOID=hash_oid)

    (made,) = rsa_shop.signed(sad, digest, signAlgo=sign_oid, **members)

    key = certificate(rsa_shop).public_key()
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
    assert written(signing_service) == (1, 1)


def test_csc_89_parallel_callers_get_the_same_signatures(
    signing_service: Service, shop: CscClient
) -> None:
    """CSC-121: none is counted twice."""
    wanted = hashes(3)
    sad = shop.approved(*wanted)

    with ThreadPoolExecutor(4) as callers:
        found = list(callers.map(lambda _: tuple(shop.signed(sad, *wanted)), range(4)))

    assert len(set(found)) == 1
    assert written(signing_service)[0] == 3


def test_csc_121_when_the_hsm_fails_nothing_is_signed_and_a_repeat_succeeds(
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
    assert written(signing_service) == (0, 0)
    assert len(shop.signed(sad, *wanted)) == 3


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
    assert written(signing_service) == (0, 0)


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
    assert written(signing_service) == (0, 0)


def test_csc_90_no_hash_is_counted_twice_in_a_call(
    signing_service: Service, shop: CscClient
) -> None:
    sad = shop.approved(*ONE)

    assert refusal(shop.sign_hash(sad, *ONE, *ONE)) == INVALID
    assert written(signing_service) == (0, 0)


def test_csc_83_a_sad_is_dead_when_its_time_is_over(
    signing_service: Service, shop: CscClient, clock: SettableClock
) -> None:
    settings = signing_service.settings
    sad = shop.approved(*ONE)
    clock.advance(seconds=settings.transaction_seconds + settings.use_seconds)

    answer = shop.sign_hash(sad, *ONE)

    assert refusal(answer) == INVALID
    assert words(answer) == "SAD expired"
    assert written(signing_service) == (0, 0)


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
    assert written(signing_service) == (0, 0)


def test_csc_96_an_expired_certificate_signs_nothing(
    signing_service: Service, shop: CscClient, clock: SettableClock
) -> None:
    expires = certificate(shop).not_valid_after_utc
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
    assert written(signing_service) == (0, 0)


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
def test_csc_95_what_does_not_fit_is_refused_and_said(
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
