"""What the service signs with KS and KA: asks, approvals by code, records, proofs, receipts.

1. A record is made here alone: the first epoch of a cell, or the next one after a record of ours.
2. An epoch names the hash of the one before; ``cell``, ``signer``, ``subject``, ``origin``, ``alg``
   and ``spki`` never change.
"""

import hashlib
from functools import lru_cache
from typing import Any, final

import msgspec

from backend.errors import MalformedMessage, RecordRefused
from backend.hsm.protocol import Hsm, SigningServiceKey
from backend.protocol.approval import CodeApprovalClaims, sign_code_approval
from backend.protocol.ask import AskClaims, VerifiedAsk, sign_ask, verify_ask
from backend.protocol.jose import PublicJwk, raw_signature
from backend.protocol.password_proof import (
    PasswordProofClaims,
    sign_password_proof,
    verify_password_proof,
)
from backend.protocol.receipt import ReceiptClaims, sign_receipt
from backend.protocol.record import CellRecord, record_hash, sign_record, verify_record


@lru_cache(maxsize=4096)
def _verified_record(unverified_record: str, ks: PublicJwk) -> CellRecord:
    """Verify a record once: the same text under the same key is the same record.

    Raises:
        MalformedMessage: KS did not sign it.
    """
    return verify_record(unverified_record, expected_ks=ks)


@final
class ServiceVoice:
    """Speaks for the service with KS and KA, and knows its own word again."""

    def __init__(self, hsm: Hsm) -> None:
        """Read the public halves once."""
        self._hsm = hsm
        self.ks = PublicJwk.of_spki(hsm.public_key(SigningServiceKey.RECORDS))
        self.ka = PublicJwk.of_spki(hsm.public_key(SigningServiceKey.RECEIPTS))

    def _by_ks(self, message: bytes) -> bytes:
        digest = hashlib.sha256(message).digest()
        return raw_signature(self._hsm.sign(SigningServiceKey.RECORDS, digest))

    def _by_ka(self, message: bytes) -> bytes:
        digest = hashlib.sha256(message).digest()
        return raw_signature(self._hsm.sign(SigningServiceKey.RECEIPTS, digest))

    def ask(self, claims: AskClaims) -> str:
        """Sign an ask."""
        return sign_ask(claims, key=self.ks, sign=self._by_ks)

    def record(self, record: CellRecord) -> str:
        """Sign a record."""
        return sign_record(record, key=self.ks, sign=self._by_ks)

    def password_proof(self, claims: PasswordProofClaims) -> str:
        """Sign that a password was right."""
        return sign_password_proof(claims, key=self.ks, sign=self._by_ks)

    def receipt(self, claims: ReceiptClaims) -> str:
        """Sign a receipt."""
        return sign_receipt(claims, key=self.ka, sign=self._by_ka)

    def code_approval(self, claims: CodeApprovalClaims) -> str:
        """Sign an approval by code, in a signer's name."""
        return sign_code_approval(claims, key=self.ks, sign=self._by_ks)

    def verified_ask(self, unverified_ask: str) -> VerifiedAsk:
        """Verify an ask of ours.

        Raises:
            MalformedMessage: it is none.
        """
        return verify_ask(unverified_ask, expected_ks=self.ks)

    def verified_record(self, unverified_record: str) -> CellRecord:
        """Verify a record of ours.

        Raises:
            RecordRefused: it is none.
        """
        try:
            return _verified_record(unverified_record, self.ks)
        except MalformedMessage as error:
            raise RecordRefused(f"not a record of ours: {error}") from error

    def verified_password_proof(self, unverified_proof: str) -> PasswordProofClaims:
        """Verify a password proof of ours.

        Raises:
            MalformedMessage: it is none.
        """
        return verify_password_proof(unverified_proof, expected_ks=self.ks)

    def next_record(self, record: str, **changes: Any) -> tuple[str, CellRecord]:  # noqa: ANN401  # members of CellRecord, checked by msgspec
        """Make the next epoch of a record of ours."""
        current = self.verified_record(record)
        following = msgspec.structs.replace(
            current, epoch=current.epoch + 1, prev=record_hash(record), **changes
        )
        return self.record(following), following
