"""TLS certificates of relying parties, and the two ways in which proxies pass them on."""

import base64
from datetime import timedelta
from functools import lru_cache
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.world.clock import START


@lru_cache
def a_certificate(name: str) -> str:
    """A self-signed one, in PEM; the same for a name."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(START)
        .not_valid_after(START + timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode()


def escaped(pem: str) -> str:
    """As nginx passes it on: ``$ssl_client_escaped_cert``."""
    return quote(pem, safe="")


def rfc_9440(pem: str) -> str:
    """As RFC 9440 has it: a byte sequence of DER."""
    der = x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
    return f":{base64.b64encode(der).decode()}:"
