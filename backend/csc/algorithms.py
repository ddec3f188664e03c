"""Algorithms by OID, as CSC names them, and what our keys make of them.

Hash-specific OIDs stand first in ``key.algo``: pyHanko and Documenso choose by them. The bare RSA
OID is last; with it, and with PSS without parameters, ``hashAlgorithmOID`` names the hash (CSC API
2.0, 11.10).
"""

import base64
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

_SHA2: Final = {
    "sha256": HashAlgorithm.SHA256,
    "sha384": HashAlgorithm.SHA384,
    "sha512": HashAlgorithm.SHA512,
}
"""As asn1crypto writes them."""


class _Meaning(NamedTuple):
    """What an OID of ``signAlgo`` means; without a hash, another parameter names it."""

    scheme: SignatureScheme
    hash_algorithm: HashAlgorithm | None


SIGN_OIDS: Final[dict[str, _Meaning]] = {
    "1.2.840.10045.4.3.2": _Meaning(SignatureScheme.ECDSA, HashAlgorithm.SHA256),
    "1.2.840.113549.1.1.11": _Meaning(SignatureScheme.RSA_PKCS1, HashAlgorithm.SHA256),
    "1.2.840.113549.1.1.12": _Meaning(SignatureScheme.RSA_PKCS1, HashAlgorithm.SHA384),
    "1.2.840.113549.1.1.13": _Meaning(SignatureScheme.RSA_PKCS1, HashAlgorithm.SHA512),
    PSS: _Meaning(SignatureScheme.RSA_PSS, None),
    RSA: _Meaning(SignatureScheme.RSA_PKCS1, None),
}
_EC_KEY: Final = ("1.2.840.10045.4.3.2",)
_RSA_KEY: Final = tuple(oid for oid in SIGN_OIDS if oid not in _EC_KEY)


class Signing(NamedTuple):
    """How to sign."""

    scheme: SignatureScheme
    hash_algorithm: HashAlgorithm


def key_oids(algorithm: KeyAlgorithm) -> tuple[str, ...]:
    """What a key can do, for ``key.algo``."""
    return _EC_KEY if algorithm is KeyAlgorithm.P256 else _RSA_KEY


def hash_of_oid(oid: str | None, *, parameter: str) -> HashAlgorithm:
    """The hash that an OID names (CSC-78, CSC-95: none weaker than SHA-256).

    Args:
        oid: of the hash.
        parameter: how the call names it, for the error.

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
) -> Signing:
    """Scheme and hash of a ``signHash`` call (CSC-92, CSC-94).

    Args:
        oid: ``signAlgo``.
        hash_oid: the hash algorithm's OID, if it was given.
        parameters: ``signAlgoParams``, base64 of DER; only PSS has any.
        hash_parameter: how the call names the hash's OID, for the error.

    Raises:
        RequestRefused: they are not ours, or contradict each other.
    """
    meaning = SIGN_OIDS.get(oid)
    if meaning is None:
        raise RequestRefused("Invalid parameter signAlgo")
    named = meaning.hash_algorithm
    if oid == PSS and parameters is not None:
        named = _pss_hash(parameters)
    if named is None:
        return Signing(meaning.scheme, hash_of_oid(hash_oid, parameter=hash_parameter))
    if hash_oid is not None and HASH_OIDS.get(hash_oid) is not named:
        raise RequestRefused(f"String parameter {hash_parameter} contradicts with signAlgo")
    return Signing(meaning.scheme, named)


def _pss_hash(unverified_parameters: str) -> HashAlgorithm:
    """The hash of RSASSA-PSS-params (RFC 8017, A.2.3): MGF1 of the same, a salt of its length.

    Raises:
        RequestRefused: they are malformed, or others than our keys sign with.
    """
    try:
        der = base64.b64decode(unverified_parameters, validate=True)
        params = RSASSAPSSParams.load(der, strict=True).native
        hash_name, mask = params["hash_algorithm"]["algorithm"], params["mask_gen_algorithm"]
        found = _SHA2[hash_name], mask["algorithm"], mask["parameters"]["algorithm"]
        rest = params["salt_length"], params["trailer_field"]
    except (ValueError, KeyError, TypeError) as error:
        raise RequestRefused("Invalid parameter signAlgoParams") from error
    hash_algorithm = found[0]
    if found[1:] != ("mgf1", hash_name) or rest != (
        DIGEST_BYTES[hash_algorithm],
        "trailer_field_bc",
    ):
        raise RequestRefused("Invalid parameter signAlgoParams: the salt is as long as the hash")
    return hash_algorithm
