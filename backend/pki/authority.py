"""The certification authority, as the rooms above ask it. The SAM holds its key, and decides."""

from datetime import UTC, datetime
from typing import final

import msgspec

from backend.sam.service_keys import IssueCertificate, ServiceKeys


@final
class NewCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate, and the record that is confirmed by it."""

    certificate: bytes
    """DER."""
    expires_at: datetime
    record: str
    epoch: int


@final
class Authority:
    """Issues what signers approved, and nothing else."""

    def __init__(self, service_keys: ServiceKeys) -> None:
        """Take the SAM, as far as the service's own signatures go."""
        self._service_keys = service_keys

    def certify(
        self, *, record: str, ask: str, items: tuple[str, ...], approval: str, signature: bytes
    ) -> NewCertificate:
        """Issue the certificate that a signer approved, for this very cell.

        Args:
            record: the cell's newest record.
            ask: the certificate request's ask.
            items: the list beside it.
            approval: the phone's answer.
            signature: by the cell's key, over the request.

        Raises:
            DoorRefused: a rule was not kept.
        """
        issued = self._service_keys.certificate(
            IssueCertificate(
                record=record, ask=ask, items=items, approval=approval, signature=signature
            )
        )
        return NewCertificate(
            certificate=issued.certificate,
            expires_at=datetime.fromtimestamp(issued.not_after, UTC),
            record=issued.record,
            epoch=issued.epoch,
        )
