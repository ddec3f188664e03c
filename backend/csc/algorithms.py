"""Algorithms by OID, as CSC names them, and what our keys make of them.

Hash-specific OIDs stand first in ``key.algo``: pyHanko and Documenso choose by them. The bare RSA
OID is last; with it, with PSS without parameters and with Ed25519, ``hashAlgorithmOID`` names the
hash (CSC API 2.0, 11.10). Ed25519 signs messages, not hashes: docs/decisions/0010.
"""

import base64
from collections.abc import Iterator
from itertools import product
from typing import Final, NamedTuple

from backend.algorithms import (
    DIGEST_BYTES,
    HASH_OIDS,
    HASHES,
    SCHEMES,
    HashAlgorithm,
    KeyAlgorithm,
    SignatureScheme,
)
from backend.errors import RequestRefused
from backend.protocol.ask import HashName

HASH_NAMES: Final[dict[HashAlgorithm, HashName]] = {
    HashAlgorithm.SHA256: "SHA-256",
    HashAlgorithm.SHA384: "SHA-384",
    HashAlgorithm.SHA512: "SHA-512",
}
RSA: Final = "1.2.840.113549.1.1.1"
PSS: Final = "1.2.840.113549.1.1.10"
ED25519: Final = "1.3.101.112"


class _Meaning(NamedTuple):
    """What an OID of ``signAlgo`` means; without a hash, another parameter names it."""

    scheme: SignatureScheme
    hash_algorithm: HashAlgorithm | None


SIGN_OIDS: Final[dict[str, _Meaning]] = {
    "1.2.840.10045.4.3.2": _Meaning(SignatureScheme.ECDSA, HashAlgorithm.SHA256),
    "1.2.840.10045.4.3.3": _Meaning(SignatureScheme.ECDSA, HashAlgorithm.SHA384),
    "1.2.840.10045.4.3.4": _Meaning(SignatureScheme.ECDSA, HashAlgorithm.SHA512),
    "1.2.840.113549.1.1.11": _Meaning(SignatureScheme.RSA_PKCS1, HashAlgorithm.SHA256),
    "1.2.840.113549.1.1.12": _Meaning(SignatureScheme.RSA_PKCS1, HashAlgorithm.SHA384),
    "1.2.840.113549.1.1.13": _Meaning(SignatureScheme.RSA_PKCS1, HashAlgorithm.SHA512),
    PSS: _Meaning(SignatureScheme.RSA_PSS, None),
    RSA: _Meaning(SignatureScheme.RSA_PKCS1, None),
    ED25519: _Meaning(SignatureScheme.EDDSA, None),
}


class Signing(NamedTuple):
    """How to sign."""

    scheme: SignatureScheme
    hash_algorithm: HashAlgorithm


def key_oids(algorithm: KeyAlgorithm) -> tuple[str, ...]:
    """What a key can do, for ``key.algo``."""
    return tuple(
        oid
        for oid, (scheme, named) in SIGN_OIDS.items()
        if scheme in SCHEMES[algorithm] and (named is None or named in HASHES[algorithm])
    )


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
    """The hash that RSASSA-PSS-params name.

    Raises:
        RequestRefused: they are others than our keys sign with.
    """
    try:
        der = base64.b64decode(unverified_parameters, validate=True)
    except ValueError as error:
        raise RequestRefused("Invalid parameter signAlgoParams") from error
    if der not in _PSS_PARAMETERS:
        raise RequestRefused(
            "Invalid parameter signAlgoParams: MGF1 of the same hash, a salt of its length"
        )
    return _PSS_PARAMETERS[der]


def _pss_parameters() -> Iterator[tuple[bytes, HashAlgorithm]]:
    """Write every form of the parameters that our keys sign with (RFC 8017, A.2.3), in DER.

    MGF1 of the same hash, a salt of its length; the hash's own parameters NULL or absent (RFC 4055,
    2.1); the trailer field absent, or written out, which DER forbids and some writers do. So bytes
    from outside are looked up and never parsed.
    """
    mgf1, null = bytes.fromhex("06092a864886f70d010108"), b"\x05\x00"
    trailer = bytes.fromhex("a303020101")
    for last, hash_algorithm in enumerate(HASH_OIDS.values(), start=1):
        oid = bytes.fromhex("06096086480165030402") + bytes([last])
        salt = _tlv(0x02, bytes([DIGEST_BYTES[hash_algorithm]]))
        for of_hash, of_mask, last_field in product((null, b""), (null, b""), (b"", trailer)):
            hashed = _tlv(0xA0, _tlv(0x30, oid + of_hash))
            mask = _tlv(0xA1, _tlv(0x30, mgf1 + _tlv(0x30, oid + of_mask)))
            yield _tlv(0x30, hashed + mask + _tlv(0xA2, salt) + last_field), hash_algorithm


def _tlv(tag: int, content: bytes) -> bytes:
    return bytes([tag, len(content)]) + content


_PSS_PARAMETERS: Final = dict(_pss_parameters())
