"""The SAM's word of what it signed, numbered in each boot: a number that is missing was lost."""

import threading
from typing import final
from uuid import uuid4

from backend.protocol.approval import approval_hash
from backend.protocol.receipt import ReceiptClaims, SignedItem
from backend.sam.approvals import VerifiedApproval
from backend.sam.records import ServiceVoice
from backend.sam.releases import Release


@final
class Receipts:
    """Of one boot."""

    def __init__(self, voice: ServiceVoice) -> None:
        """Begin to count."""
        self._voice = voice
        self._boot = uuid4()
        self._written = 0
        self._numbering = threading.Lock()

    def write(self, request: Release, approval: VerifiedApproval, *, now: int) -> str:
        """Write the receipt of a release."""
        with self._numbering:
            self._written += 1
            number = self._written
        leaves, items = approval.leaves, approval.items
        signed = tuple(
            [SignedItem(item=leaves[place], hash=items[place].hash) for place in request.requested]
        )
        return self._voice.receipt(
            ReceiptClaims(
                boot=self._boot,
                number=number,
                iat=now,
                tx_hash=approval.ask.tx_hash,
                approval=approval_hash(request.approval),
                method=approval.method,
                signed=signed,
            )
        )
