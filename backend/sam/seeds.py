"""Seeds of authenticator apps: made here, shown once, kept sealed.

A seed is sealed under KP with the label of its kind and bound to its cell: who has the database has
no code, and a seed of one kind is none of another.
"""

import base64
from typing import Final, final
from uuid import UUID

from backend.hsm.protocol import Hsm
from backend.protocol.encoding import Octets32, sha256, unb64u
from backend.protocol.locks import lock_raw, unlock_raw

SEED_BYTES: Final = 20
"""As RFC 4226, 4 wants them; no padding in base32."""


def seed_hash(unverified_sealed: str) -> Octets32:
    """The hash by which a record names a seed.

    Raises:
        MalformedMessage: it is no sealed value.
    """
    return sha256(unb64u(unverified_sealed))


def _base32(seed: bytes) -> str:
    return base64.b32encode(seed).decode("ascii")


@final
class SealedSeeds:
    """Makes seeds of one kind, and opens them."""

    def __init__(self, hsm: Hsm, *, label: bytes) -> None:
        """Keep the HSM that holds KP, and the kind's label."""
        self._hsm = hsm
        self._label = label

    def make(self, cell: UUID) -> tuple[str, str]:
        """Make a seed: in base32, to be shown once, and sealed, to be kept."""
        seed = self._hsm.random(SEED_BYTES)
        return _base32(seed), lock_raw(seed, key=self._key(cell), label=cell.bytes)

    def open(self, sealed: str, *, cell: UUID) -> str:
        """Open a seed; gives it in base32.

        Raises:
            MalformedMessage: it is not this cell's, or of another kind.
        """
        return _base32(unlock_raw(sealed, key=self._key(cell), label=cell.bytes))

    def _key(self, cell: UUID) -> bytes:
        return self._hsm.pepper(self._label + cell.bytes)
