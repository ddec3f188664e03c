"""The authority's own certificate: self-signed, by the CA's key in the HSM (RFC 5280, 4.2)."""

from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from backend.hsm.authority_key import AuthorityKey
from backend.hsm.protocol import Hsm

_LIFETIME: Final = timedelta(days=20 * 365 + 5)
_CLOCKS_DIFFER_BY: Final = timedelta(minutes=5)


def make_root_certificate(hsm: Hsm, *, ca_name: str, now: datetime) -> x509.Certificate:
    """Make a root certificate for 20 years; its key signs certificates and lists."""
    key = AuthorityKey(hsm)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, ca_name)])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER_BY)
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_SIGNS_CERTIFICATES_AND_LISTS, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )


_SIGNS_CERTIFICATES_AND_LISTS: Final = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
