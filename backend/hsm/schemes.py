"""What a key is asked to sign, checked before any key is asked.

Only the combinations of :mod:`backend.algorithms` are signed, and a digest has its hash's length.
"""

from typing import Final

from backend.algorithms import DIGEST_BYTES, HASHES, SCHEMES, HashAlgorithm, KeyAlgorithm
from backend.algorithms import SignatureScheme as Scheme
from backend.errors import RequestRefused

RSA_BITS: Final[dict[KeyAlgorithm, int]] = {
    KeyAlgorithm.RSA_2048: 2048,
    KeyAlgorithm.RSA_3072: 3072,
}
"""Length of the modulus."""

MAX_BLOB_BYTES: Final = 4096
"""No wrapped key is longer: RSA-3072 takes about 1800 bytes."""

_DIGEST_INFO: Final[dict[HashAlgorithm, bytes]] = {
    HashAlgorithm.SHA256: bytes.fromhex("3031300d060960864801650304020105000420"),
    HashAlgorithm.SHA384: bytes.fromhex("3041300d060960864801650304020205000430"),
    HashAlgorithm.SHA512: bytes.fromhex("3051300d060960864801650304020305000440"),
}


def check_signable(
    algorithm: KeyAlgorithm, digest: bytes, *, scheme: Scheme, hash_algorithm: HashAlgorithm
) -> None:
    """Check that a key of this algorithm may sign this digest by this scheme.

    Raises:
        RequestRefused: scheme or hash do not go with the key, or the digest has another length.
    """
    if scheme not in SCHEMES[algorithm] or hash_algorithm not in HASHES[algorithm]:
        raise RequestRefused(f"a {algorithm} key does not sign {hash_algorithm} by {scheme}")
    check_digest(digest, hash_algorithm)


def check_digest(digest: bytes, hash_algorithm: HashAlgorithm) -> None:
    """Check a digest's length.

    Raises:
        RequestRefused: it is not the hash's.
    """
    if len(digest) != DIGEST_BYTES[hash_algorithm]:
        raise RequestRefused(f"{len(digest)} bytes are no {hash_algorithm} digest")


def digest_info(digest: bytes, hash_algorithm: HashAlgorithm) -> bytes:
    """The DER DigestInfo that PKCS#1 v1.5 signs (RFC 8017, 9.2, note 1)."""
    return _DIGEST_INFO[hash_algorithm] + digest
