"""What the worker derives from the key that opens texts; no other process can.

1. Numbers stand in budgets as an HMAC: whoever reads the rows cannot try numbers.
2. The token at which a gateway reports on a part is an HMAC too: the same whenever that part is
   sent, and known to that gateway and us alone. Rows hold its hash.
"""

import hashlib
import hmac
from typing import Final, final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from backend.protocol.encoding import b64u

_BUDGETS: Final = b"cellkey-sms-budgets-v1"
_REPORTS: Final = b"cellkey-sms-reports-v1"


@final
class SmsKeys:
    """Two HMAC keys."""

    def __init__(self, private_key: ec.EllipticCurvePrivateKey) -> None:
        """Derive them."""
        secret = private_key.private_numbers().private_value.to_bytes(32, "big")
        self._budgets = _derive(secret, _BUDGETS)
        self._reports = _derive(secret, _REPORTS)

    def name_of_number(self, number: str) -> str:
        """Stand for a number, or the beginning of one."""
        return hmac.digest(self._budgets, number.encode(), "sha256").hex()

    def report_token(self, message_id: UUID, part: int) -> str:
        """Let whoever has it report on a part."""
        about = message_id.bytes + part.to_bytes(2, "big")
        return b64u(hmac.digest(self._reports, about, "sha256"))


def hash_of_token(token: str) -> bytes:
    """As rows hold a token."""
    return hashlib.sha256(token.encode()).digest()


def _derive(secret: bytes, use: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=use).derive(secret)
