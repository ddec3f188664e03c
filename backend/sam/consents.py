"""A phone's yes to an ask that signs no document: to a further phone, to a new password.

:class:`VerifiedConsent` is built by :func:`verify_consent` alone, by the rules 3 and 4 of the door:
a device of the record, of a kind that it allows, signed it, it names this ask, user verification
is proved as the record demands. Only it opens the seal beside it (rules 6 and 7), and the secret
has to open the cell.
"""

from typing import Final, final

from backend.errors import HourKeyMissing, KindRefused, MalformedMessage, NotFound
from backend.protocol.approval import (
    ApprovalClaims,
    approving_kid,
    check_names_ask,
    check_user_verification,
    read_approval,
)
from backend.protocol.ask import VerifiedAsk
from backend.protocol.record import CellRecord, RecordDevice
from backend.protocol.sealed import check_sealed, open_sealed
from backend.sam.hours import TransactionKeys
from backend.sam.locks import open_outer

_BUILT_HERE: Final = object()


@final
class VerifiedConsent:
    """A signer's yes to exactly this ask, by a phone of exactly this record."""

    __slots__ = ("ask", "claims", "device", "record")

    def __init__(
        self,
        proof: object,
        *,
        ask: VerifiedAsk,
        record: CellRecord,
        device: RecordDevice,
        claims: ApprovalClaims,
    ) -> None:
        """Refuse to be built anywhere else."""
        if proof is not _BUILT_HERE:
            raise TypeError("a VerifiedConsent comes from verify_consent alone")
        self.ask = ask
        self.record = record
        self.device = device
        self.claims = claims


def verify_consent(
    unverified_approval: str, *, ask: VerifiedAsk, record: CellRecord
) -> VerifiedConsent:
    """Verify that a phone of the record approved the ask.

    Args:
        unverified_approval: what the phone sent.
        ask: ours, and in time.
        record: ours, of the ask's cell and not below its epoch.

    Raises:
        MalformedMessage: it did not.
    """
    try:
        device = record.approver(approving_kid(unverified_approval))
    except (NotFound, KindRefused) as error:
        raise MalformedMessage(str(error)) from error
    claims = read_approval(unverified_approval, expected_device=device)
    check_names_ask(claims, ask)
    check_user_verification(claims, device)
    return VerifiedConsent(_BUILT_HERE, ask=ask, record=record, device=device, claims=claims)


def unsealed(
    consent: VerifiedConsent, *, unverified_sealed: str | None, blob: bytes, keys: TransactionKeys
) -> bytes:
    """Open the seal beside an approval: the cell's secret, which has opened this cell.

    Raises:
        MalformedMessage: it is not the approval's, or does not open any more.
        CellUnopened: it holds another cell's secret.
    """
    if unverified_sealed is None:
        raise MalformedMessage("the approval brings no secret")
    ask = consent.ask
    check_sealed(
        unverified_sealed,
        expected_hash=consent.claims.sealed,
        expected_epk=consent.claims.epk,
        expected_sender=consent.device.kid,
        expected_tx_hash=ask.tx_hash,
    )
    try:
        key = keys.existing(use_by=ask.claims.use_by, jti=ask.claims.jti)
    except HourKeyMissing as error:
        raise MalformedMessage(str(error)) from error
    secret = open_sealed(unverified_sealed, key)
    open_outer(blob, secret=secret, record=consent.record)
    return secret
