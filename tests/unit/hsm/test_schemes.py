"""What a key is asked to sign."""

import hashlib

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from backend.algorithms import HashAlgorithm
from backend.hsm.schemes import digest_info


@pytest.mark.parametrize(
    ("algorithm", "hash_class"),
    [
        (HashAlgorithm.SHA256, hashes.SHA256()),
        (HashAlgorithm.SHA384, hashes.SHA384()),
        (HashAlgorithm.SHA512, hashes.SHA512()),
    ],
)
def test_digest_info_is_what_a_verifier_finds_in_a_signature(
    algorithm: HashAlgorithm, hash_class: hashes.HashAlgorithm
) -> None:
    """RFC 8017, 9.2: compared with what OpenSSL put into a signature."""
    key = rsa.generate_private_key(65537, 2048)
    digest = hashlib.new(hash_class.name, b"a contract").digest()
    signature = key.sign(digest, padding.PKCS1v15(), Prehashed(hash_class))
    found = key.public_key().recover_data_from_signature(signature, padding.PKCS1v15(), None)
    assert digest_info(digest, algorithm) == found
