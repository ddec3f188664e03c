"""What a certificate says, read once for all who show it (RFC 5280, RFC 4514)."""

from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final, final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from backend.errors import SettingsInvalid

_CURVE_OIDS: Final = {
    "secp256r1": ec.EllipticCurveOID.SECP256R1.dotted_string,
    "secp384r1": ec.EllipticCurveOID.SECP384R1.dotted_string,
}
_ED25519_BITS: Final = 256


@final
class CertificateFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What relying parties are told of a certificate."""

    subject: str
    """RFC 4514."""
    issuer: str
    """RFC 4514."""
    serial_number: str
    """Hexadecimal, whole bytes."""
    valid_from: datetime
    valid_to: datetime
    key_bits: int
    curve: str | None
    """OID, of an ECDSA key."""


@lru_cache(maxsize=1024)
def read_certificate(der: bytes) -> CertificateFacts:
    """Read a certificate that we issued."""
    certificate = x509.load_der_x509_certificate(der)
    bits, curve = _key_facts(certificate)
    digits = f"{certificate.serial_number:x}"
    return CertificateFacts(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        serial_number=digits.zfill(len(digits) + len(digits) % 2),
        valid_from=certificate.not_valid_before_utc,
        valid_to=certificate.not_valid_after_utc,
        key_bits=bits,
        curve=curve,
    )


@lru_cache(maxsize=4)
def read_root(path: Path) -> bytes:
    """Read the authority's root certificate; DER.

    Raises:
        SettingsInvalid: the file that ``cellkey hsm init`` writes is not there.
    """
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SettingsInvalid(f"no root certificate in {path}: run `cellkey hsm init`") from error
    return certificate.public_bytes(Encoding.DER)


def _key_facts(certificate: x509.Certificate) -> tuple[int, str | None]:
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVE_OIDS:
        return key.key_size, _CURVE_OIDS[key.curve.name]
    if isinstance(key, ed25519.Ed25519PublicKey):
        return _ED25519_BITS, None
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size, None
    raise TypeError(f"a certificate for a {type(key).__name__}")
