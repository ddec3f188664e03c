"""Capability: the service's own signatures, each bound to a purpose. There is no ``sign(bytes)``.

Importing this type is the permission to be handed the object; who may is in ``pyproject.toml``.
"""

from typing import Annotated, Protocol, final

import msgspec

from backend.algorithms import KeyAlgorithm
from backend.protocol.jose import PublicJwk


@final
class IssueCertificate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An approved certificate request, and the signature that the cell's key made over it."""

    record: str
    ask: str
    items: tuple[str, ...]
    approval: str
    signature: Annotated[bytes, msgspec.Meta(max_length=1024)]


@final
class IssuedCertificate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The certificate and the record that is confirmed by it."""

    certificate: bytes
    """DER X.509."""
    not_after: int
    """Unix seconds."""
    record: str
    epoch: int


@final
class SamHealth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Facts for ``doctor`` and ``/readyz``; no secrets."""

    hsm: dict[str, str]
    ks: PublicJwk
    ka: PublicJwk
    root: bytes
    """The authority's root certificate, DER."""
    hours: tuple[int, ...]
    """Hours whose KE is there."""
    algorithms: tuple[KeyAlgorithm, ...]
    """Of keys that the HSM can keep in cells, as it showed when the SAM started."""


class ServiceKeys(Protocol):
    """Every method may raise :class:`backend.errors.SamUnavailable` and ``HsmUnavailable``."""

    def certificate(self, request: IssueCertificate) -> IssuedCertificate:
        """Issue the certificate that the signer approved, for this very cell.

        Raises:
            backend.errors.DoorRefused: a rule was not kept.
        """

    def health(self) -> SamHealth:
        """Say how the SAM is."""
