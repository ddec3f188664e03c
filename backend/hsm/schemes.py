"""Which digest a key may sign by which scheme, before any key is asked.

An ECDSA key signs by ECDSA, an RSA key by PKCS#1 v1.5 or PSS; a digest has its hash's length.
"""

from types import MappingProxyType

from backend.errors import RequestRefused
from backend.hsm.protocol import HashAlgorithm, KeyAlgorithm, SignatureScheme

MAX_BLOB_BYTES = 4096
"""No wrapped key is longer; a wrapped RSA-3072 has about 1800 bytes."""

_RSA = frozenset({SignatureScheme.RSA_PKCS1, SignatureScheme.RSA_PSS})
_SCHEMES = MappingProxyType(
    {
        KeyAlgorithm.P256: frozenset({SignatureScheme.ECDSA}),
        KeyAlgorithm.RSA_2048: _RSA,
        KeyAlgorithm.RSA_3072: _RSA,
    }
)
_DIGEST_BYTES = MappingProxyType(
    {HashAlgorithm.SHA256: 32, HashAlgorithm.SHA384: 48, HashAlgorithm.SHA512: 64}
)
_DIGEST_INFO = MappingProxyType(
    {
        HashAlgorithm.SHA256: bytes.fromhex("3031300d060960864801650304020105000420"),
        HashAlgorithm.SHA384: bytes.fromhex("3041300d060960864801650304020205000430"),
        HashAlgorithm.SHA512: bytes.fromhex("3051300d060960864801650304020305000440"),
    }
)
RSA_BITS = MappingProxyType({KeyAlgorithm.RSA_2048: 2048, KeyAlgorithm.RSA_3072: 3072})
"""Modulus length of the RSA algorithms."""


def check_signable(
    algorithm: KeyAlgorithm,
    digest: bytes,
    *,
    scheme: SignatureScheme,
    hash_algorithm: HashAlgorithm,
) -> None:
    """Check that a key of this algorithm may sign this digest by this scheme.

    Raises:
        RequestRefused: the scheme is another key's, or the digest has another length.
    """
    if scheme not in _SCHEMES[algorithm]:
        raise RequestRefused(f"a {algorithm} key does not sign by {scheme}")
    check_digest(digest, hash_algorithm)


def check_digest(digest: bytes, hash_algorithm: HashAlgorithm) -> None:
    """Check a digest's length.

    Raises:
        RequestRefused: it is not the hash's length.
    """
    if len(digest) != _DIGEST_BYTES[hash_algorithm]:
        raise RequestRefused(f"{len(digest)} bytes are no {hash_algorithm} digest")


def digest_info(digest: bytes, hash_algorithm: HashAlgorithm) -> bytes:
    """Wrap a digest in the DER DigestInfo that PKCS#1 v1.5 signs (RFC 8017, 9.2, note 1)."""
    return _DIGEST_INFO[hash_algorithm] + digest


def digest_bytes(hash_algorithm: HashAlgorithm) -> int:
    """Length of a digest, which is the salt's length in PSS too."""
    return _DIGEST_BYTES[hash_algorithm]
