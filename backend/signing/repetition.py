"""A repeat gets the signatures that were made, if it asks for the same kind.

An RSA key signs in two ways, and each hash is signed once: who repeats a call in the other way
would get a signature that verifies nowhere. So would who meets a row that somebody has overwritten.
"""

from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

from backend.algorithms import SignatureScheme
from backend.errors import RequestRefused
from backend.protocol.ask import HashName

_HASHES: Final[dict[HashName, HashAlgorithm]] = {
    "SHA-256": SHA256(),
    "SHA-384": SHA384(),
    "SHA-512": SHA512(),
}


def check_repeated(
    signatures: Mapping[bytes, bytes],
    *,
    spki: bytes,
    scheme: SignatureScheme,
    hash_alg: HashName,
) -> None:
    """Check that stored signatures are what is asked for now.

    Args:
        signatures: by the hash that each was made for; by EdDSA, by the message.
        spki: the cell's public key, DER.
        scheme: how the caller wants them.
        hash_alg: of the hashes.

    Raises:
        RequestRefused: one of them is not.
    """
    if not signatures:
        return
    try:
        key = load_der_public_key(spki)
        for signed, signature in signatures.items():
            _verify(key, signature, signed, scheme=scheme, hashed=_HASHES[hash_alg])
    except (InvalidSignature, UnsupportedAlgorithm, ValueError) as error:
        raise RequestRefused("the hash was signed before, in another way than this") from error


def _verify(
    key: PublicKeyTypes,
    signature: bytes,
    signed: bytes,
    *,
    scheme: SignatureScheme,
    hashed: HashAlgorithm,
) -> None:
    match key, scheme:
        case ec.EllipticCurvePublicKey(), SignatureScheme.ECDSA:
            key.verify(signature, signed, ec.ECDSA(Prehashed(hashed)))
        case rsa.RSAPublicKey(), SignatureScheme.RSA_PKCS1:
            key.verify(signature, signed, PKCS1v15(), Prehashed(hashed))
        case rsa.RSAPublicKey(), SignatureScheme.RSA_PSS:
            padding = PSS(mgf=MGF1(hashed), salt_length=hashed.digest_size)
            key.verify(signature, signed, padding, Prehashed(hashed))
        case ed25519.Ed25519PublicKey(), SignatureScheme.EDDSA:
            key.verify(signature, signed)
        case _:
            raise InvalidSignature
