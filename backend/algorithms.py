"""The algorithms that Cellkey offers, and which of them go together (SRG_KM.1.2)."""

from enum import StrEnum
from typing import Final


class KeyAlgorithm(StrEnum):
    """Algorithm of a signer's key."""

    P256 = "P-256"
    RSA_2048 = "RSA-2048"
    RSA_3072 = "RSA-3072"


class SignatureScheme(StrEnum):
    """How an opened key signs a digest. PSS: MGF1 of the same hash, a salt of its length."""

    ECDSA = "ecdsa"
    RSA_PKCS1 = "rsa-pkcs1"
    RSA_PSS = "rsa-pss"


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

SCHEMES: Final[dict[KeyAlgorithm, frozenset[SignatureScheme]]] = {
    KeyAlgorithm.P256: frozenset({SignatureScheme.ECDSA}),
    KeyAlgorithm.RSA_2048: frozenset({SignatureScheme.RSA_PKCS1, SignatureScheme.RSA_PSS}),
    KeyAlgorithm.RSA_3072: frozenset({SignatureScheme.RSA_PKCS1, SignatureScheme.RSA_PSS}),
}

HASHES: Final[dict[KeyAlgorithm, frozenset[HashAlgorithm]]] = {
    # A longer digest would be cut to the curve's size, and not every HSM does that by itself.
    KeyAlgorithm.P256: frozenset({HashAlgorithm.SHA256}),
    KeyAlgorithm.RSA_2048: frozenset(HashAlgorithm),
    KeyAlgorithm.RSA_3072: frozenset(HashAlgorithm),
}
