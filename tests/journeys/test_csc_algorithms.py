"""Keys of other algorithms by CSC: what ``info`` names is signed, and others can verify it."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from asn1crypto import cms
from asn1crypto.x509 import Certificate
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc import jws
from joserfc.jwk import OKPKey
from pyhanko.sign.validation.generic_cms import validate_sig_integrity

from backend.algorithms import HashAlgorithm, KeyAlgorithm, digest_of
from tests.world.csc_client import (
    ECDSA_SHA256,
    ECDSA_SHA384,
    ECDSA_SHA512,
    ED25519,
    INVALID,
    RSA,
    RSA_PSS,
    RSA_SHA256,
    RSA_SHA384,
    RSA_SHA512,
    SHA256,
    SHA384,
    SHA512,
    CscClient,
    a_relying_party,
    b64,
    content,
    kept,
    pss_parameters,
    refusal,
    words,
)
from tests.world.service import open_service

MESSAGES = tuple(f"signed attributes {number}".encode() for number in range(3))
KINDS: dict[str, hashes.HashAlgorithm] = {
    SHA256: hashes.SHA256(),
    SHA384: hashes.SHA384(),
    SHA512: hashes.SHA512(),
}
NAMES = {
    SHA256: HashAlgorithm.SHA256,
    SHA384: HashAlgorithm.SHA384,
    SHA512: HashAlgorithm.SHA512,
}


def shop_of(algorithm: KeyAlgorithm, folder: Path) -> Iterator[CscClient]:
    """A relying party of a service whose signer has such a key."""
    opened = open_service(folder)
    opened.signing_phone(opened.register(algorithm=algorithm))
    yield a_relying_party(opened)
    opened.close()


@pytest.fixture(scope="module")
def p384_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CscClient]:
    yield from shop_of(KeyAlgorithm.P384, tmp_path_factory.mktemp("p384"))


@pytest.fixture(scope="module")
def rsa4096_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CscClient]:
    yield from shop_of(KeyAlgorithm.RSA_4096, tmp_path_factory.mktemp("rsa"))


@pytest.fixture(scope="module")
def ed25519_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CscClient]:
    yield from shop_of(KeyAlgorithm.ED25519, tmp_path_factory.mktemp("ed25519"))


def digests(hash_oid: str, *, seed: bytes = b"") -> tuple[bytes, ...]:
    return tuple(digest_of(seed + message, NAMES[hash_oid]) for message in MESSAGES)


# --- what info says ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("shop", "key"),
    [
        (
            "p384_shop",
            {
                "algo": [ECDSA_SHA256, ECDSA_SHA384, ECDSA_SHA512],
                "len": 384,
                "curve": "1.3.132.0.34",
            },
        ),
        (
            "rsa4096_shop",
            {"algo": [RSA_SHA256, RSA_SHA384, RSA_SHA512, RSA_PSS, RSA], "len": 4096},
        ),
        ("ed25519_shop", {"algo": [ED25519], "len": 256}),
    ],
)
@pytest.mark.parametrize("edition", ["v1", "v2"])
def test_csc_19_66_info_tells_algorithms_length_and_curve(
    request: pytest.FixtureRequest, shop: str, key: dict[str, object], edition: str
) -> None:
    """CSC-19: and all of them stand in the service's own list."""
    client: CscClient = request.getfixturevalue(shop)
    info = client.get(f"{edition}/credentials/info", {"credentialID": client.credential})
    service = client.get("v2/info", {})

    assert info["key"] == {"status": "enabled"} | key
    assert set(info["key"]["algo"]) <= set(service["signAlgorithms"]["algos"])


# --- P-384 and RSA-4096 -----------------------------------------------------------


@pytest.mark.parametrize(
    ("sign_oid", "hash_oid"),
    [(ECDSA_SHA256, SHA256), (ECDSA_SHA384, SHA384), (ECDSA_SHA512, SHA512)],
)
def test_csc_91_p384_signs_each_hash(p384_shop: CscClient, sign_oid: str, hash_oid: str) -> None:
    """By both editions."""
    wanted = digests(hash_oid, seed=sign_oid.encode())
    sad = p384_shop.approved(*wanted, hashAlgorithmOID=hash_oid)

    made = p384_shop.signed(sad, *wanted[:2], signAlgo=sign_oid)
    old = p384_shop.old_sign_hash(sad, wanted[2], signAlgo=sign_oid, hashAlgo=hash_oid)
    made.append(base64.b64decode(content(old, 200)["signatures"][0]))

    key = p384_shop.certificate().public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    for digest, signature in zip(wanted, made, strict=True):
        key.verify(signature, digest, ec.ECDSA(Prehashed(KINDS[hash_oid])))


@pytest.mark.parametrize(
    ("sign_oid", "hash_oid", "members"),
    [
        (RSA_SHA384, SHA384, {}),
        (RSA, SHA512, {}),
        (RSA_PSS, SHA256, {}),
        (RSA_PSS, SHA384, {"signAlgoParams": pss_parameters("sha384", salt_length=48)}),
        (RSA_PSS, SHA512, {"signAlgoParams": pss_parameters("sha512", salt_length=64)}),
    ],
    ids=["pkcs1-384", "bare-512", "pss-256", "pss-params-384", "pss-params-512"],
)
def test_csc_92_rsa_4096_signs_in_each_way_by_v1_as_by_v2(
    rsa4096_shop: CscClient, sign_oid: str, hash_oid: str, members: dict[str, str]
) -> None:
    kind = KINDS[hash_oid]
    wanted = digests(hash_oid, seed=sign_oid.encode() + str(members).encode())[:2]
    sad = rsa4096_shop.approved(*wanted, hashAlgorithmOID=hash_oid)

    made = rsa4096_shop.signed(
        sad, wanted[0], signAlgo=sign_oid, hashAlgorithmOID=hash_oid, **members
    )
    old = rsa4096_shop.old_sign_hash(
        sad, wanted[1], signAlgo=sign_oid, hashAlgo=hash_oid, **members
    )
    made.append(base64.b64decode(content(old, 200)["signatures"][0]))

    key = rsa4096_shop.certificate().public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    pad = PSS(MGF1(kind), kind.digest_size) if sign_oid == RSA_PSS else PKCS1v15()
    for digest, signature in zip(wanted, made, strict=True):
        key.verify(signature, digest, pad, Prehashed(kind))


def test_csc_94_an_algorithm_of_another_key_is_refused(p384_shop: CscClient) -> None:
    wanted = digests(SHA384, seed=b"of another key")
    sad = p384_shop.approved(*wanted, hashAlgorithmOID=SHA384)

    for sign_oid in (RSA_SHA384, ED25519):
        answer = p384_shop.sign_hash(sad, *wanted, signAlgo=sign_oid, hashAlgorithmOID=SHA384)
        assert refusal(answer) == INVALID
        assert "signAlgo" in words(answer)


# --- Ed25519: messages, whose hashes were approved ---------------------------------


def in_base64(*messages: bytes) -> list[str]:
    return [b64(message) for message in messages]


@pytest.mark.parametrize("edition", ["v1", "v2"])
@pytest.mark.parametrize("hash_oid", [SHA256, SHA512])
def test_ed25519_signs_the_messages_whose_hashes_were_approved(
    ed25519_shop: CscClient, hash_oid: str, edition: str
) -> None:
    """Decision 0010; a repeat gets the same signatures."""
    sad = ed25519_shop.approved(*digests(hash_oid), hashAlgorithmOID=hash_oid)
    given = {"signAlgo": ED25519, "messages": in_base64(*MESSAGES)}

    def collect() -> list[bytes]:
        if edition == "v2":
            return ed25519_shop.signed(sad, *digests(hash_oid), hashAlgorithmOID=hash_oid, **given)
        answer = ed25519_shop.old_sign_hash(sad, *digests(hash_oid), hashAlgo=hash_oid, **given)
        return [base64.b64decode(each) for each in content(answer, 200)["signatures"]]

    made = collect()

    assert collect() == made
    key = ed25519_shop.certificate().public_key()
    assert isinstance(key, ed25519.Ed25519PublicKey)
    for message, signature in zip(MESSAGES, made, strict=True):
        key.verify(signature, message)


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        (..., "hand them in as `messages`"),
        (in_base64(*MESSAGES[:2]), "not what the hashes were made of"),
        (in_base64(*MESSAGES[::-1]), "not what the hashes were made of"),
        (in_base64(*digests(SHA512)), "not what the hashes were made of"),
        (["*", "*", "*"], "messages: base64"),
        ([b64(bytes(16 * 1024 + 3))], "messages: base64"),
        ("AAAA", "Missing (or invalid type) array parameter messages"),
        ([1, 2, 3], "messages: base64"),
        ([""] * 10_001, "too high"),
    ],
    ids=["none", "too few", "order", "hashes", "text", "long", "type", "numbers", "many"],
)
def test_ed25519_signs_nothing_else(ed25519_shop: CscClient, messages: object, said: str) -> None:
    """And nothing is lost by that: the right ones are signed afterwards."""
    wanted = digests(SHA512)
    sad = ed25519_shop.approved(*wanted, hashAlgorithmOID=SHA512)
    given = {"signAlgo": ED25519, "hashAlgorithmOID": SHA512}
    before = kept(ed25519_shop.service)

    answer = ed25519_shop.sign_hash(sad, *wanted, **given, messages=messages)

    assert refusal(answer) == INVALID
    assert said in words(answer)
    assert kept(ed25519_shop.service) == before
    right = in_base64(*MESSAGES)
    assert len(ed25519_shop.signed(sad, *wanted, **given, messages=right)) == 3


def test_other_keys_take_no_messages(p384_shop: CscClient) -> None:
    wanted = digests(SHA384, seed=b"with messages")
    sad = p384_shop.approved(*wanted, hashAlgorithmOID=SHA384)

    answer = p384_shop.sign_hash(sad, *wanted, signAlgo=ECDSA_SHA384, messages=in_base64(*MESSAGES))

    assert refusal(answer) == INVALID
    assert "Ed25519 alone" in words(answer)


def ed25519_signature(shop: CscClient, message: bytes) -> bytes:
    """One message, approved by its SHA-512 and signed."""
    digest = digest_of(message, HashAlgorithm.SHA512)
    sad = shop.approved(digest, hashAlgorithmOID=SHA512)
    given = {"signAlgo": ED25519, "hashAlgorithmOID": SHA512}
    (signature,) = shop.signed(sad, digest, **given, messages=in_base64(message))
    return signature


def test_pyhanko_verifies_a_cms_that_an_ed25519_cell_signed(ed25519_shop: CscClient) -> None:
    """RFC 8419, 3.1: the signed attributes themselves are the message."""
    digest = digest_of(b"a contract", HashAlgorithm.SHA512)
    attributes = cms.CMSAttributes(
        [
            cms.CMSAttribute({"type": "content_type", "values": ["data"]}),
            cms.CMSAttribute({"type": "message_digest", "values": [digest]}),
        ]
    )
    certificate = Certificate.load(ed25519_shop.certificate().public_bytes(Encoding.DER))
    issuer = {"issuer": certificate.issuer, "serial_number": certificate.serial_number}
    signer = cms.SignerInfo(
        {
            "version": "v1",
            "sid": cms.SignerIdentifier("issuer_and_serial_number", issuer),
            "digest_algorithm": {"algorithm": "sha512"},
            "signed_attrs": attributes,
            "signature_algorithm": {"algorithm": "ed25519"},
            "signature": ed25519_signature(ed25519_shop, attributes.dump()),
        }
    )

    found = validate_sig_integrity(
        cms.SignerInfo.load(signer.dump()),
        certificate,
        expected_content_type="data",
        actual_digest=digest,
    )

    assert found == (True, True)


def test_another_library_verifies_a_jws_that_an_ed25519_cell_signed(
    ed25519_shop: CscClient,
) -> None:
    """RFC 9864, 2.2: the signing input itself is the message."""
    key = ed25519_shop.certificate().public_key()
    assert isinstance(key, ed25519.Ed25519PublicKey)

    def part(text: bytes) -> str:
        return base64.urlsafe_b64encode(text).rstrip(b"=").decode()

    header = part(b'{"alg":"Ed25519"}')
    signing_input = f"{header}.{part(b'an order')}"
    signature = ed25519_signature(ed25519_shop, signing_input.encode())
    jwk = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": part(key.public_bytes_raw())})

    read = jws.deserialize_compact(
        f"{signing_input}.{part(signature)}", jwk, algorithms=["Ed25519"]
    )

    assert read.payload == b"an order"
