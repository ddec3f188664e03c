"""What the SAM asks of the place where keys live.

Two implementations: :mod:`backend.hsm.software` (the embedded default, for trying out) and
:mod:`backend.hsm.pkcs11`. Both pass one test suite (``tests/unit/hsm``).

A signer's key is never resident: :meth:`Hsm.generate` returns it wrapped under **KW**, and
:meth:`Hsm.opened` unwraps it for the length of a ``with`` block. Service keys (KW, KS, KA, KP, the
CA's) are made once by ``cellkey hsm init`` and never leave; hour keys (KE) are made on demand and
destroyed when their hour is over.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Protocol, final

import msgspec

from backend.algorithms import HashAlgorithm, KeyAlgorithm, SignatureScheme


class SigningServiceKey(StrEnum):
    """Service keys that sign; all are P-256."""

    RECORDS = "KS"
    RECEIPTS = "KA"
    AUTHORITY = "CA"


@final
class WrappedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A signer's key outside the HSM."""

    spki: bytes
    """Public key, DER SubjectPublicKeyInfo (RFC 5280)."""
    blob: bytes
    """Private key, wrapped under the wrapping key ``kw`` (RFC 5649 over PKCS#8)."""
    kw: str
    """Id of the wrapping key."""


class OpenedKey(Protocol):
    """A signer's private key inside the HSM, until the ``with`` block ends."""

    def sign_all(
        self, to_sign: Sequence[bytes], *, scheme: SignatureScheme, hash_algorithm: HashAlgorithm
    ) -> tuple[bytes, ...]:
        """Sign digests of ``hash_algorithm``'s length; by EdDSA whole messages (RFC 8032, 5.1).

        ECDSA gives a DER ECDSA-Sig-Value (RFC 3279), RSA and EdDSA the raw signature.

        Raises:
            backend.errors.RequestRefused: one of them is not to be signed so; none was.
        """


class Hsm(Protocol):
    """An HSM token with Cellkey's service keys.

    Every method may raise :class:`backend.errors.HsmUnavailable`. All methods may be called from
    several threads at once.
    """

    name: str
    """``software`` or ``pkcs11``."""

    def offered(self) -> frozenset[KeyAlgorithm]:
        """The algorithms whose keys it makes, wraps, opens and signs with."""

    def generate(self, algorithm: KeyAlgorithm) -> WrappedKey:
        """Make a signer's key pair, wrap it, and leave nothing of it inside."""

    def opened(
        self, *, algorithm: KeyAlgorithm, blob: bytes, kw: str
    ) -> AbstractContextManager[OpenedKey]:
        """Unwrap a signer's key for the length of a ``with`` block, then destroy it.

        Raises:
            backend.errors.CellUnopened: ``blob`` is not a key wrapped under ``kw``.
        """

    def sign(self, key: SigningServiceKey, digest: bytes) -> bytes:
        """Sign a SHA-256 digest with a service key; a DER ECDSA-Sig-Value."""

    def public_key(self, key: SigningServiceKey) -> bytes:
        """Public key of a service key, DER SubjectPublicKeyInfo."""

    def pepper(self, message: bytes) -> bytes:
        """HMAC-SHA-256 under KP."""

    def make_hour_key(self, hour: int) -> None:
        """Make KE of an hour (Unix time // 3600), 64 random bytes, unless it is there already."""

    def hour_mac(self, hour: int, message: bytes) -> bytes:
        """HMAC-SHA-512 under the hour's KE.

        Raises:
            backend.errors.HourKeyMissing: it was never made, or is destroyed.
        """

    def hours(self) -> frozenset[int]:
        """The hours whose KE is there."""

    def destroy_hour_key(self, hour: int) -> None:
        """Destroy KE of an hour; nothing happens if it is not there."""

    def random(self, length: int) -> bytes:
        """Random bytes of the HSM's generator."""

    def health(self) -> Mapping[str, str]:
        """Facts for ``cellkey doctor`` and ``/readyz``: name, module, token, firmware. No secrets.

        Raises:
            backend.errors.HsmUnavailable: it cannot do its work now.
        """
