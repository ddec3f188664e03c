"""What a key is asked to sign, checked before any key is asked.

Only the combinations of :mod:`backend.algorithms` are signed. A digest has its hash's length, and a
message that EdDSA signs is bounded.
"""

from collections.abc import Sequence
from typing import Final

from backend.algorithms import (
    DIGEST_BYTES,
    LONGEST_SIGNED_MESSAGE,
    HashAlgorithm,
    KeyAlgorithm,
    goes_together,
)
from backend.algorithms import SignatureScheme as Scheme
from backend.errors import RequestRefused

RSA_BITS: Final[dict[KeyAlgorithm, int]] = {
    KeyAlgorithm.RSA_2048: 2048,
    KeyAlgorithm.RSA_3072: 3072,
    KeyAlgorithm.RSA_4096: 4096,
}
"""Length of the modulus."""

MAX_BLOB_BYTES: Final = 4096
"""No wrapped key is longer: RSA-4096 takes about 2400 bytes."""

_DIGEST_INFO: Final[dict[HashAlgorithm, bytes]] = {
    HashAlgorithm.SHA256: bytes.fromhex("3031300d060960864801650304020105000420"),
    HashAlgorithm.SHA384: bytes.fromhex("3041300d060960864801650304020205000430"),
    HashAlgorithm.SHA512: bytes.fromhex("3051300d060960864801650304020305000440"),
}


def check_signable(
    algorithm: KeyAlgorithm,
    to_sign: Sequence[bytes],
    *,
    scheme: Scheme,
    hash_algorithm: HashAlgorithm,
) -> None:
    """Check that a key of this algorithm may sign these by this scheme.

    Raises:
        RequestRefused: scheme or hash do not go with the key, or a length does not fit.
    """
    if not goes_together(algorithm, scheme, hash_algorithm):
        raise RequestRefused(f"a {algorithm} key does not sign {hash_algorithm} by {scheme}")
    if scheme is not Scheme.EDDSA:
        check_digests(to_sign, hash_algorithm)
    elif any(len(message) > LONGEST_SIGNED_MESSAGE for message in to_sign):
        raise RequestRefused(f"a message of more than {LONGEST_SIGNED_MESSAGE} bytes")


def check_digests(digests: Sequence[bytes], hash_algorithm: HashAlgorithm) -> None:
    """Check the lengths of digests.

    Raises:
        RequestRefused: one is not the hash's.
    """
    others = {len(digest) for digest in digests} - {DIGEST_BYTES[hash_algorithm]}
    if others:
        raise RequestRefused(f"{others.pop()} bytes are no {hash_algorithm} digest")


def digest_info(digest: bytes, hash_algorithm: HashAlgorithm) -> bytes:
    """The DER DigestInfo that PKCS#1 v1.5 signs (RFC 8017, 9.2, note 1)."""
    return _DIGEST_INFO[hash_algorithm] + digest
