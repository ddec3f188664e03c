"""A relying party's TLS certificate, as the proxy that ended its TLS passes it on (RFC 8705).

1. The header that the settings name is read, and only from a proxy that they name: anybody else
   could write it. Without these settings there is no certificate, and no mutual TLS.
2. The certificate is compared as a whole, by SHA-256 of its DER: the operator registered this one.
   So it matters neither who issued it nor what it says of itself.
"""

import base64
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from backend.protocol.encoding import b64u, sha256
from backend.settings import Settings

if TYPE_CHECKING:  # the worker comes by here, and has no web framework to load
    from flask import Request

LONGEST_HEADER: Final = 16 * 1024
_PEM: Final = "-----BEGIN"


def certificate_thumbprint(request: "Request", settings: Settings) -> bytes | None:
    """SHA-256 of the certificate with which the caller's TLS was made; ``None``: none we believe.

    Read are the two forms in use: ``:base64 of DER:`` (RFC 9440) and PEM, URL-escaped (nginx).
    """
    if not settings.client_certificate_header:
        return None
    if _peer(request) not in settings.trusted_proxies:
        return None
    values = request.headers.getlist(settings.client_certificate_header)
    if len(values) != 1 or len(values[0]) > LONGEST_HEADER:
        return None
    try:
        return bytes(sha256(read_der(values[0])))
    except ValueError:
        return None


def _peer(request: "Request") -> str | None:
    """Who made the connection: not who it says to call for (``wiring.trust_proxies``)."""
    as_it_came: dict[str, str | None] = request.environ.get("werkzeug.proxy_fix.orig", {})
    return as_it_came.get("REMOTE_ADDR", request.environ.get("REMOTE_ADDR"))


def read_der(text: str) -> bytes:
    """Read a certificate in one of the forms above, or as plain PEM.

    Raises:
        ValueError: it is none.
    """
    text = text.strip()
    if text.startswith(":") and text.endswith(":"):
        der = base64.b64decode(text[1:-1], validate=True)
        return x509.load_der_x509_certificate(der).public_bytes(Encoding.DER)
    pem = text if "\n" in text else unquote(text)
    if not pem.startswith(_PEM):
        raise ValueError("no certificate")
    return x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)


def x5t(thumbprint: bytes) -> str:
    """Write what a token is bound to by a certificate."""
    return f"x5t#S256:{b64u(thumbprint)}"
