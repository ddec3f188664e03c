"""Capability: signatures by a signer's key. Its holder still needs an approval: the door asks.

Importing this type is the permission to be handed the object; who may is in ``pyproject.toml``.
"""

from typing import Annotated, Protocol, final

import msgspec

from backend.algorithms import LONGEST_SIGNED_MESSAGE, SignatureScheme

SignedMessage = Annotated[bytes, msgspec.Meta(max_length=LONGEST_SIGNED_MESSAGE)]


@final
class Release(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Evidence, and which of the approved items are wanted now. Nothing in it is trusted."""

    record: str
    blob: bytes
    ask: str
    items: Annotated[tuple[str, ...], msgspec.Meta(max_length=10_000)]
    """The whole list beside the ask."""
    approval: str
    sealed: str
    requested: Annotated[tuple[int, ...], msgspec.Meta(min_length=1, max_length=10_000)]
    """Positions in the list."""
    scheme: SignatureScheme
    messages: Annotated[tuple[SignedMessage, ...], msgspec.Meta(max_length=10_000)]
    """EdDSA: what was hashed, for each position requested. Empty for every other scheme, and for a
    certificate request, which the SAM builds itself."""
    rp: str
    """Id of who collects the signatures."""


@final
class Released(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The signatures, in the order requested, and the SAM's word of them."""

    signatures: tuple[bytes, ...]
    """ECDSA: DER ECDSA-Sig-Value; RSA and EdDSA: raw."""
    receipt: str


class Releases(Protocol):
    """Every method may raise :class:`backend.errors.SamUnavailable` and ``HsmUnavailable``."""

    def release(self, request: Release) -> Released:
        """Sign, if every rule of the door is kept.

        Raises:
            backend.errors.DoorRefused: one was not; nothing was signed.
        """
