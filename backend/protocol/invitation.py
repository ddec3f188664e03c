"""What an envelope says to a phone: QR 1 (where), QR 2 (the secret), as text (sections 5 and 8)."""

from typing import Final
from urllib.parse import quote

from backend.protocol.encoding import b64u, secret_text
from backend.protocol.jose import PublicJwk

PAIR: Final = "cellkey:pair?s="


def addresses_text(app: str, *, authorization_server: str, mobile_api: str) -> str:
    """QR 1: any camera opens the app with it, a native app reads the two addresses."""
    places = f"as={quote(authorization_server, safe='')}&api={quote(mobile_api, safe='')}"
    return f"{app.rstrip('/')}/#{places}"


def pairing_text(secret: bytes, *, ks: PublicJwk | None = None) -> str:
    """QR 2: the envelope's secret; ``ks`` too where it is for an existing cell.

    Raises:
        MalformedMessage: the secret has not 16 bytes.
    """
    text = PAIR + secret_text(secret).replace("-", "")
    return text if ks is None else f"{text}&k={b64u(ks.thumbprint())}"
