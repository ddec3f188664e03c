"""The door: the only way to a signature by a cell.

Whoever comes brings evidence: the ask, the list beside it, the phone's approval, the cell's secret
sealed to the transaction's key, the cell's record, the cell. Nothing of it is trusted, wherever it
was kept. The door opens when

1. the ask is ours (KS), of kind ``sign`` or ``certificate_request``, and the SAM's own clock is
   before ``use_by``;
2. the cell record is ours, of this ask's cell and not below its epoch; an unconfirmed record allows
   only ``certificate_request``;
3. the approval's ``kid`` is a device of that record, of a kind that it allows; or it is our own
   code approval (KS), and the record allows its method for what is asked. ``typ`` and ``alg`` are
   fixed;
4. it names this ask and says ``approve``; user verification is proved as the device's ``uv`` in the
   record demands; a code by SMS went to the number of that record; the code of an app that counts
   is used up in it;
5. every requested item is in the ask's tree, with an algorithm that the key and ``hash_alg`` allow,
   for the relying party named in the ask; where the key signs messages and not their hashes, each
   is the message of its item's hash, and a certificate request's is built here;
6. ``sealed`` has the approval's hash and ``epk``, opens with this transaction's key, ``apu`` and
   ``apv`` match: that gives the cell's secret;
7. the secret opens this cell, whose public key is the record's. Sign, destroy the opened key.

Rules 3 to 5 give a :class:`~backend.sam.approvals.VerifiedApproval`, which rule 7 demands and
redeems. There is no other rule, no setting that turns one off, and no second door.
"""

from typing import final

from backend.algorithms import HashAlgorithm, KeyAlgorithm, SignatureScheme, goes_together
from backend.errors import (
    CellUnopened,
    DoorRefused,
    HourKeyMissing,
    MalformedMessage,
    RecordRefused,
)
from backend.hsm.protocol import Hsm
from backend.protocol.ask import VerifiedAsk
from backend.protocol.record import CellRecord
from backend.protocol.sealed import check_sealed, open_sealed
from backend.sam.activate import activate
from backend.sam.approvals import VerifiedApproval, verify_approval
from backend.sam.certificate_request import check_items, registered_subject, request_info
from backend.sam.hours import TransactionKeys
from backend.sam.records import ServiceVoice
from backend.sam.releases import Release


@final
class Door:
    """Keeps the seven rules."""

    def __init__(self, *, hsm: Hsm, voice: ServiceVoice, keys: TransactionKeys) -> None:
        """Keep what the rules are checked with, and where keys are opened."""
        self._hsm = hsm
        self._voice = voice
        self._keys = keys

    def release(
        self, unverified: Release, *, now: int
    ) -> tuple[VerifiedApproval, tuple[bytes, ...]]:
        """Keep the rules in their order, then sign.

        Args:
            unverified: evidence, and what is wanted.
            now: the SAM's own clock, Unix seconds.

        Returns:
            The approval (redeemed), and the signatures in the order requested.

        Raises:
            DoorRefused: a rule is not kept; nothing was signed.
        """
        # (1) The ask is ours, asks for signatures, and it is not too late.
        ask = self._asked(unverified.ask)
        if now >= ask.claims.use_by:
            raise DoorRefused(1, "it is after use_by")

        # (2) The record is ours, of this cell, not older than the ask, and allows this kind.
        record = self._believed(unverified.record, ask)

        # (3), (4) A phone of that record, or a code that it allows, approved this very ask. (5) The
        # list is the approved one.
        approval = verify_approval(
            unverified.approval, unverified.items, ask=ask, record=record, ks=self._voice.ks
        )

        # (5) What is wanted is on the list, by a fit algorithm, for who asked.
        messages = _check_wanted(unverified, approval)

        # (6) The seal gives the cell's secret.
        secret = self._unsealed(unverified.sealed, approval)

        # (7) The secret opens this cell.
        try:
            signatures = activate(
                approval,
                unverified.requested,
                messages=messages,
                secret=secret,
                blob=unverified.blob,
                scheme=unverified.scheme,
                hsm=self._hsm,
            )
        except CellUnopened as error:
            raise DoorRefused(7, str(error)) from error
        return approval, signatures

    def approved_request(
        self, *, unverified_record: str, ask: str, items: tuple[str, ...], approval: str
    ) -> VerifiedApproval:
        """Rules 1 to 4 without the clock, for a certificate request.

        The signature over the request, which only the door gives, is the proof that the rest was
        kept in time.

        Raises:
            DoorRefused: a rule is not kept.
        """
        verified = self._asked(ask)
        if verified.claims.kind != "certificate_request":
            raise DoorRefused(1, "not a certificate request")
        record = self._believed(unverified_record, verified)
        return verify_approval(approval, items, ask=verified, record=record, ks=self._voice.ks)

    def _asked(self, unverified_ask: str) -> VerifiedAsk:
        """Rule 1, but for the clock."""
        try:
            ask = self._voice.verified_ask(unverified_ask)
        except MalformedMessage as error:
            raise DoorRefused(1, str(error)) from error
        if ask.claims.kind not in {"sign", "certificate_request"}:
            raise DoorRefused(1, f"an ask of kind {ask.claims.kind} releases no signature")
        return ask

    def _believed(self, unverified_record: str, ask: VerifiedAsk) -> CellRecord:
        """Rule 2."""
        try:
            record = self._voice.verified_record(unverified_record)
        except RecordRefused as error:
            raise DoorRefused(2, str(error)) from error
        if record.cell != ask.claims.cell:
            raise DoorRefused(2, "the record of another cell")
        if record.epoch < ask.claims.epoch:
            raise DoorRefused(2, "a record older than the ask")
        if not record.confirmed and ask.claims.kind != "certificate_request":
            raise DoorRefused(2, "the cell has no certificate yet")
        return record

    def _unsealed(self, unverified_sealed: str, approval: VerifiedApproval) -> bytes:
        """Rule 6."""
        ask = approval.ask
        try:
            check_sealed(
                unverified_sealed,
                expected_hash=approval.claims.sealed,
                expected_epk=approval.claims.epk,
                expected_sender=approval.sender,
                expected_tx_hash=ask.tx_hash,
            )
            key = self._keys.existing(use_by=ask.claims.use_by, jti=ask.claims.jti)
            return open_sealed(unverified_sealed, key)
        except (MalformedMessage, HourKeyMissing) as error:
            raise DoorRefused(6, str(error)) from error


def _check_wanted(unverified: Release, approval: VerifiedApproval) -> tuple[bytes, ...] | None:
    """Rule 5, but for positions and messages, which the approval checks when it is redeemed.

    Returns:
        What is to be signed where that is not the digests; the messages are unverified.
    """
    claims = approval.ask.claims
    if unverified.rp != claims.rp.id:
        raise DoorRefused(5, "another relying party than the ask names")
    try:
        check_algorithm(approval.record.alg, scheme=unverified.scheme, hash_alg=claims.hash_alg)
        check_items(approval.items, claims=claims, record=approval.record)
        return _messages(unverified, approval)
    except MalformedMessage as error:
        raise DoorRefused(5, str(error)) from error


def _messages(unverified: Release, approval: VerifiedApproval) -> tuple[bytes, ...] | None:
    claims, record = approval.ask.claims, approval.record
    brings_messages = unverified.scheme is SignatureScheme.EDDSA and claims.kind == "sign"
    if unverified.messages and not brings_messages:
        raise MalformedMessage("messages where none are wanted")
    if brings_messages:
        return unverified.messages
    if unverified.scheme is SignatureScheme.EDDSA:
        return (request_info(registered_subject(claims.fields, record), record.spki),)
    return None


def check_algorithm(
    algorithm: KeyAlgorithm, *, scheme: SignatureScheme, hash_alg: str | None
) -> None:
    """Check that a key may sign so.

    Raises:
        MalformedMessage: it may not.
    """
    hash_algorithm = HashAlgorithm(str(hash_alg))
    if not goes_together(algorithm, scheme, hash_algorithm):
        raise MalformedMessage(f"{algorithm} does not sign {hash_algorithm} by {scheme}")
