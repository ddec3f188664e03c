"""Hour keys (KE) and the transaction keys derived from them.

A phone seals the cell's secret to the transaction's key. That key is stored nowhere: it comes from
the hour's KE and the ask's id. When the hour of ``use_by`` is over, KE is destroyed in the HSM, and
with it the last way to open what was sealed in it: a year of evidence opens no cell.

1. Only opening a transaction makes a KE; a missing one refuses.
2. A KE is destroyed when its hour is over by the SAM's own clock, also at the SAM's start.
"""

import threading
from typing import Final, final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec

from backend.hsm.protocol import Hsm

HOUR_SECONDS: Final = 3600
PURPOSE: Final = b"cell-tx-v1\0"
P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def hour_of(moment: int) -> int:
    """The hour in which a moment (Unix seconds) falls."""
    return moment // HOUR_SECONDS


def private_scalar(mac: bytes) -> int:
    """A private key from 64 bytes of HMAC-SHA-512; the bias is below 2⁻²⁵⁶ (FIPS 186-5, A.2.1)."""
    return int.from_bytes(mac, "big") % (P256_ORDER - 1) + 1


@final
class TransactionKeys:
    """Derives transaction keys, and sees that they end with their hour."""

    def __init__(self, hsm: Hsm) -> None:
        """Keep the HSM."""
        self._hsm = hsm
        self._making = threading.Lock()

    def make(self, *, use_by: int, jti: UUID) -> ec.EllipticCurvePrivateKey:
        """The key of a transaction that is being opened."""
        hour = hour_of(use_by)
        with self._making:
            self._hsm.make_hour_key(hour)
        return self.existing(use_by=use_by, jti=jti)

    def existing(self, *, use_by: int, jti: UUID) -> ec.EllipticCurvePrivateKey:
        """The key of a verified ask.

        Raises:
            HourKeyMissing: its hour is over.
        """
        mac = self._hsm.hour_mac(hour_of(use_by), PURPOSE + jti.bytes)
        return ec.derive_private_key(private_scalar(mac), ec.SECP256R1())

    def hours(self) -> tuple[int, ...]:
        """The hours whose key is there."""
        return tuple(sorted(self._hsm.hours()))

    def destroy_finished(self, now: int) -> None:
        """Destroy the keys of hours that are over."""
        for hour in self.hours():
            if hour < hour_of(now):
                self._hsm.destroy_hour_key(hour)
