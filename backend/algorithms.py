"""The algorithms that Cellkey offers, and which of them go together (SRG_KM.1.2).

This is the one table: the door, the HSMs and the CSC API read it (docs/decisions/0010).
"""

import hashlib
from collections.abc import Callable
from enum import StrEnum
from typing import Final


class KeyAlgorithm(StrEnum):
    """Algorithm of a signer's key."""

    P256 = "P-256"
    P384 = "P-384"
    RSA_2048 = "RSA-2048"
    RSA_3072 = "RSA-3072"
    RSA_4096 = "RSA-4096"
    ED25519 = "Ed25519"


class SignatureScheme(StrEnum):
    """How an opened key signs. PSS: MGF1 of the same hash, a salt of its length.

    All but one sign a digest. EdDSA signs the message itself, whose digest was approved.
    """

    ECDSA = "ecdsa"
    RSA_PKCS1 = "rsa-pkcs1"
    RSA_PSS = "rsa-pss"
    EDDSA = "eddsa"


class HashAlgorithm(StrEnum):
    """Hash by which a digest was made, as ``hash_alg`` of an ask names it."""

    SHA256 = "SHA-256"
    SHA384 = "SHA-384"
    SHA512 = "SHA-512"


DIGEST_BYTES: Final[dict[HashAlgorithm, int]] = {
    HashAlgorithm.SHA256: 32,
    HashAlgorithm.SHA384: 48,
    HashAlgorithm.SHA512: 64,
}

_FUNCTIONS: Final[dict[HashAlgorithm, Callable[[bytes], "hashlib._Hash"]]] = {
    HashAlgorithm.SHA256: hashlib.sha256,
    HashAlgorithm.SHA384: hashlib.sha384,
    HashAlgorithm.SHA512: hashlib.sha512,
}

HASH_OIDS: Final[dict[str, HashAlgorithm]] = {
    "2.16.840.1.101.3.4.2.1": HashAlgorithm.SHA256,
    "2.16.840.1.101.3.4.2.2": HashAlgorithm.SHA384,
    "2.16.840.1.101.3.4.2.3": HashAlgorithm.SHA512,
}
"""As CSC and OAuth name them; none weaker than SHA-256."""

HASH_BY_LENGTH: Final = {length: name for name, length in DIGEST_BYTES.items()}

SCHEMES: Final[dict[KeyAlgorithm, frozenset[SignatureScheme]]] = {
    KeyAlgorithm.P256: frozenset({SignatureScheme.ECDSA}),
    KeyAlgorithm.P384: frozenset({SignatureScheme.ECDSA}),
    KeyAlgorithm.RSA_2048: frozenset({SignatureScheme.RSA_PKCS1, SignatureScheme.RSA_PSS}),
    KeyAlgorithm.RSA_3072: frozenset({SignatureScheme.RSA_PKCS1, SignatureScheme.RSA_PSS}),
    KeyAlgorithm.RSA_4096: frozenset({SignatureScheme.RSA_PKCS1, SignatureScheme.RSA_PSS}),
    KeyAlgorithm.ED25519: frozenset({SignatureScheme.EDDSA}),
}

HASHES: Final[dict[KeyAlgorithm, frozenset[HashAlgorithm]]] = {
    # A longer hash would be cut to the curve's size, and gain nothing.
    KeyAlgorithm.P256: frozenset({HashAlgorithm.SHA256}),
    # SHA-512 is cut to 48 bytes (FIPS 186-5, 6.4.1): some formats have no SHA-384.
    KeyAlgorithm.P384: frozenset(HashAlgorithm),
    KeyAlgorithm.RSA_2048: frozenset(HashAlgorithm),
    KeyAlgorithm.RSA_3072: frozenset(HashAlgorithm),
    KeyAlgorithm.RSA_4096: frozenset(HashAlgorithm),
    KeyAlgorithm.ED25519: frozenset(HashAlgorithm),
}

REQUEST_SCHEMES: Final[dict[KeyAlgorithm, SignatureScheme]] = {
    KeyAlgorithm.P256: SignatureScheme.ECDSA,
    KeyAlgorithm.P384: SignatureScheme.ECDSA,
    KeyAlgorithm.RSA_2048: SignatureScheme.RSA_PKCS1,
    KeyAlgorithm.RSA_3072: SignatureScheme.RSA_PKCS1,
    KeyAlgorithm.RSA_4096: SignatureScheme.RSA_PKCS1,
    KeyAlgorithm.ED25519: SignatureScheme.EDDSA,
}
"""How a certificate request is signed; the certificate does not bind its key to it."""

LONGEST_SIGNED_MESSAGE: Final = 16 * 1024
"""Bytes of a message that EdDSA signs: CMS signed attributes take some hundreds."""


def digest_of(message: bytes, hash_algorithm: HashAlgorithm) -> bytes:
    """The digest of a message."""
    return _FUNCTIONS[hash_algorithm](message).digest()


def goes_together(
    algorithm: KeyAlgorithm, scheme: SignatureScheme, hash_algorithm: HashAlgorithm
) -> bool:
    """Whether a key signs so."""
    return scheme in SCHEMES[algorithm] and hash_algorithm in HASHES[algorithm]
