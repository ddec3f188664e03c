"""Algorithms by OID, as CSC names them, and what our keys make of them.

Hash-specific OIDs stand first in ``key.algo``: pyHanko and Documenso choose by them. The bare RSA
OID is last; only with it does ``hashAlgorithmOID`` decide the hash (CSC API 2.0, 11.10).
"""

import base64
import binascii
from typing import Final, NamedTuple

from asn1crypto.algos import RSASSAPSSParams

from backend.algorithms import DIGEST_BYTES, HashAlgorithm, KeyAlgorithm, SignatureScheme
from backend.errors import RequestRefused
from backend.protocol.ask import HashName

HASH_OIDS: Final[dict[str, HashAlgorithm]] = {
    "2.16.840.1.101.3.4.2.1": HashAlgorithm.SHA256,
    "2.16.840.1.101.3.4.2.2": HashAlgorithm.SHA384,
    "2.16.840.1.101.3.4.2.3": HashAlgorithm.SHA512,
}
HASH_NAMES: Final[dict[HashAlgorithm, HashName]] = {
    HashAlgorithm.SHA256: "SHA-256",
    HashAlgorithm.SHA384: "SHA-384",
    HashAlgorithm.SHA512: "SHA-512",
}
HASH_BY_LENGTH: Final = {length: name for name, length in DIGEST_BYTES.items()}
RSA: Final = "1.2.840.113549.1.1.1"
PSS: Final = "1.2.840.113549.1.1.10"
LONGEST_PARAMETERS: Final = 1024


class Signing(NamedTuple):
    """What a ``signAlgo`` asks for; without a hash, ``hashAlgorithmOID`` names it."""

    scheme: SignatureScheme
    hash_algorithm: HashAlgorithm | None


SIGN_OIDS: Final[dict[str, Signing]] = {
    "1.2.840.10045.4.3.2": Signing(SignatureScheme.ECDSA, HashAlgorithm.SHA256),
    "1.2.840.113549.1.1.11": Signing(SignatureScheme.RSA_PKCS1, HashAlgorithm.SHA256),
    "1.2.840.113549.1.1.12": Signing(SignatureScheme.RSA_PKCS1, HashAlgorithm.SHA384),
    "1.2.840.113549.1.1.13": Signing(SignatureScheme.RSA_PKCS1, HashAlgorithm.SHA512),
    PSS: Signing(SignatureScheme.RSA_PSS, None),
    RSA: Signing(SignatureScheme.RSA_PKCS1, None),
}
EC_KEY: Final = ("1.2.840.10045.4.3.2",)
RSA_KEY: Final = tuple(oid for oid in SIGN_OIDS if oid not in EC_KEY)


def key_oids(algorithm: KeyAlgorithm) -> tuple[str, ...]:
    """What a key can do, for ``key.algo``."""
    return EC_KEY if algorithm is KeyAlgorithm.P256 else RSA_KEY


def hash_of_oid(oid: str | None, *, parameter: str) -> HashAlgorithm:
    """The hash that an OID names (CSC-78, CSC-95: none weaker than SHA-256).

    Raises:
        RequestRefused: it is missing, or none of ours.
    """
    if oid is None:
        raise RequestRefused(f"Missing (or invalid type) string parameter {parameter}")
    if oid not in HASH_OIDS:
        raise RequestRefused(f"Invalid parameter {parameter}")
    return HASH_OIDS[oid]


def signing_of(
    oid: str, *, hash_oid: str | None, parameters: str | None, hash_parameter: str
) -> tuple[SignatureScheme, HashAlgorithm]:
    """Scheme and hash of a ``signHash`` call (CSC-92, CSC-94).

    Args:
        oid: ``signAlgo``.
        hash_oid: the hash algorithm's OID, if it was given.
        parameters: ``signAlgoParams``, base64 of DER.
        hash_parameter: how the call names the hash's OID, for the error.

    Raises:
        RequestRefused: they are not ours, or contradict each other.
    """
    wanted = SIGN_OIDS.get(oid)
    if wanted is None:
        raise RequestRefused("Invalid parameter signAlgo")
    hash_algorithm = wanted.hash_algorithm
    if oid == PSS and parameters is not None:
        hash_algorithm = _pss_hash(parameters)
    if hash_algorithm is None:
        hash_algorithm = hash_of_oid(hash_oid, parameter=hash_parameter)
    elif hash_oid is not None and HASH_OIDS.get(hash_oid) is not hash_algorithm:
        raise RequestRefused(f"String parameter {hash_parameter} contradicts with signAlgo")
    return wanted.scheme, hash_algorithm


def _pss_hash(unverified_parameters: str) -> HashAlgorithm:
    """The hash of RSASSA-PSS-params (RFC 8017, A.2.3): MGF1 of the same, a salt of its length."""
    if len(unverified_parameters) > LONGEST_PARAMETERS:
        raise RequestRefused("Invalid parameter signAlgoParams")
    try:
        der = base64.b64decode(unverified_parameters, validate=True)
        members = RSASSAPSSParams.load(der, strict=True).native
        mask, salt = members["mask_gen_algorithm"], members["salt_length"]
        hash_name, mask_hash = members["hash_algorithm"]["algorithm"], mask["parameters"]
        named = {"sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}[hash_name]
        same = mask["algorithm"] == "mgf1" and mask_hash["algorithm"] == hash_name
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise RequestRefused("Invalid parameter signAlgoParams") from error
    hash_algorithm = HashAlgorithm(named)
    if not same or salt != DIGEST_BYTES[hash_algorithm]:
        raise RequestRefused("Invalid parameter signAlgoParams")
    return hash_algorithm
