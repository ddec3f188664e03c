"""What holds a cell's secret, and what the secret opens (docs/phone-protocol.md, 5).

1. The secret, a password's hash and a lock's key never leave this process.
2. A stolen database cannot test a password: verifier and lock key need KP, in the HSM.
3. The outer layer is bound to cell, public key, algorithm and wrapping key: a blob of another cell
   does not open.
"""

import hmac
from typing import Final, final
from uuid import UUID

from backend.errors import CellUnopened, MalformedMessage, WrongPassword
from backend.hsm.protocol import Hsm, WrappedKey
from backend.protocol.encoding import Octets32
from backend.protocol.jose import PublicJwk
from backend.protocol.locks import (
    Purpose,
    decrypt,
    encrypt,
    envelope_key,
    envelope_label,
    envelope_plaintext,
    lock_raw,
    outer_aad,
    outer_key,
    pairing_id,
    password_label,
    unlock_raw,
)
from backend.protocol.record import CellRecord, Policy
from backend.sam.cells import EnvelopeSeal

VERIFIER: Final = b"cell-verify-v1\0"
PASSWORD_LOCK: Final = b"cell-plock-v1\0"
NUMBER: Final = b"cell-number-v1\0"
ENVELOPE_SECRET_BYTES: Final = 16


def wrap_outer(wrapped: WrappedKey, *, secret: bytes, cell: UUID, algorithm: str) -> bytes:
    """Encrypt a wrapped key again, under the cell's secret."""
    aad = outer_aad(cell=cell, spki=wrapped.spki, algorithm=algorithm, kw=wrapped.kw)
    return encrypt(wrapped.blob, key=outer_key(secret, cell), aad=aad)


def open_outer(blob: bytes, *, secret: bytes, record: CellRecord) -> bytes:
    """Open the outer layer: what is inside is wrapped by the HSM.

    Raises:
        CellUnopened: the secret, or the blob, is not this cell's.
    """
    aad = outer_aad(cell=record.cell, spki=record.spki, algorithm=record.alg, kw=record.kw)
    try:
        return decrypt(blob, key=outer_key(secret, record.cell), aad=aad)
    except MalformedMessage as error:
        raise CellUnopened("the secret does not open this cell") from error


def make_envelope(*, entropy: bytes, secret: bytes, cell: UUID, ks: PublicJwk) -> EnvelopeSeal:
    """Lock the cell's secret under a fresh envelope secret."""
    pairing = pairing_id(entropy)
    lock = lock_raw(
        envelope_plaintext(secret, ks),
        key=envelope_key(entropy),
        label=envelope_label(cell, pairing),
    )
    return EnvelopeSeal(secret=entropy, pairing=pairing, lock=lock)


def password_purpose(policy: Policy) -> Purpose:
    """What a password may open the cell for."""
    return "sign" if any(method.startswith("password") for method in policy.methods) else "recover"


@final
class PasswordSeals:
    """Verifiers and password locks, under KP."""

    def __init__(self, hsm: Hsm) -> None:
        """Keep the HSM that holds KP."""
        self._hsm = hsm

    def verifier(self, signer: UUID, password_hash: bytes) -> bytes:
        """What the database keeps to know the password again."""
        return self._hsm.pepper(VERIFIER + signer.bytes + password_hash)

    def check(self, *, signer: UUID, password_hash: bytes, verifier: bytes) -> None:
        """Check a password.

        Raises:
            WrongPassword: it is wrong.
        """
        if not hmac.compare_digest(self.verifier(signer, password_hash), verifier):
            raise WrongPassword("login or password is wrong")

    def seal(self, secret: bytes, *, record: CellRecord, password_hash: bytes) -> str:
        """Lock the cell's secret under a password."""
        label = password_label(record.cell, record.signer, password_purpose(record.policy))
        return lock_raw(secret, key=self._key(record.cell, password_hash), label=label)

    def open(self, lock: str, *, record: CellRecord, password_hash: bytes) -> bytes:
        """Open a password lock.

        One of purpose ``sign`` opens for less, too: it outlives the methods that it was sealed for.

        Raises:
            MalformedMessage: another password, cell, signer or purpose.
        """
        key = self._key(record.cell, password_hash)
        label = password_label(record.cell, record.signer, password_purpose(record.policy))
        try:
            return unlock_raw(lock, key=key, label=label)
        except MalformedMessage:
            label = password_label(record.cell, record.signer, "sign")
            return unlock_raw(lock, key=key, label=label)

    def _key(self, cell: UUID, password_hash: bytes) -> bytes:
        return self._hsm.pepper(PASSWORD_LOCK + cell.bytes + password_hash)

    def number_mac(self, cell: UUID, number: str) -> Octets32:
        """What the record keeps of the verified number."""
        return Octets32(self._hsm.pepper(NUMBER + cell.bytes + number.encode("ascii", "replace")))
