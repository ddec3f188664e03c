"""Which stored signatures may be handed out again."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from backend.algorithms import SignatureScheme
from backend.errors import RequestRefused
from backend.signing.repetition import check_repeated

DIGEST = hashlib.sha256(b"document").digest()
HASHED = Prehashed(SHA256())
EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ED25519 = ed25519.Ed25519PrivateKey.generate()


def spki(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey,
) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


SIGNATURES = {
    SignatureScheme.ECDSA: (spki(EC), EC.sign(DIGEST, ec.ECDSA(HASHED))),
    SignatureScheme.RSA_PKCS1: (spki(RSA), RSA.sign(DIGEST, PKCS1v15(), HASHED)),
    SignatureScheme.RSA_PSS: (
        spki(RSA),
        RSA.sign(DIGEST, PSS(mgf=MGF1(SHA256()), salt_length=32), HASHED),
    ),
    SignatureScheme.EDDSA: (spki(ED25519), ED25519.sign(DIGEST)),
}


@pytest.mark.parametrize("made", list(SignatureScheme))
@pytest.mark.parametrize("wanted", list(SignatureScheme))
def test_a_signature_is_repeated_only_in_the_way_it_was_made(
    made: SignatureScheme, wanted: SignatureScheme
) -> None:
    key, signature = SIGNATURES[made]
    if made is wanted:
        check_repeated({DIGEST: signature}, spki=key, scheme=wanted, hash_alg="SHA-256")
        return
    with pytest.raises(RequestRefused):
        check_repeated({DIGEST: signature}, spki=key, scheme=wanted, hash_alg="SHA-256")


def test_a_signature_of_another_hash_is_not_repeated() -> None:
    key, signature = SIGNATURES[SignatureScheme.ECDSA]
    with pytest.raises(RequestRefused):
        check_repeated(
            {bytes(32): signature}, spki=key, scheme=SignatureScheme.ECDSA, hash_alg="SHA-256"
        )


@pytest.mark.parametrize("key", [b"", b"rubbish", bytes(100)])
def test_a_key_that_is_none_repeats_nothing(key: bytes) -> None:
    with pytest.raises(RequestRefused):
        check_repeated({DIGEST: b"x"}, spki=key, scheme=SignatureScheme.ECDSA, hash_alg="SHA-256")


def test_a_key_of_another_kind_repeats_nothing() -> None:
    other = ed25519.Ed25519PrivateKey.generate().public_key()
    encoded = other.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(RequestRefused):
        check_repeated(
            {DIGEST: b"x"}, spki=encoded, scheme=SignatureScheme.ECDSA, hash_alg="SHA-256"
        )
