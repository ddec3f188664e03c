"""The proof that the signer approved: what the door's first rules give, and its last one demands.

:class:`VerifiedApproval` is built by :func:`verify_approval` alone. It can be redeemed once, for
items of the list that was approved; it cannot be copied or pickled, and never leaves the SAM.
Python cannot stop hostile code inside the process from forging one; what it stops is the mistake.
"""

from collections.abc import Sequence
from typing import Final, NoReturn, final

from backend.algorithms import DIGEST_BYTES, HashAlgorithm, digest_of
from backend.errors import (
    DoorRefused,
    KindRefused,
    MalformedMessage,
    NotFound,
    RecordRefused,
    SummaryRefused,
)
from backend.protocol.approval import (
    ApprovalClaims,
    CodeApprovalClaims,
    approving_kid,
    check_names_ask,
    check_user_verification,
    read_approval,
    read_code_approval,
    says_by_code,
)
from backend.protocol.ask import VerifiedAsk
from backend.protocol.encoding import Octets32
from backend.protocol.jose import PublicJwk
from backend.protocol.record import CellRecord, HotpState, Method
from backend.protocol.tree import Item, VerifiedList, verify_list
from backend.sam.code_policy import check_code_allowed

_BUILT_HERE: Final = object()


@final
class VerifiedApproval:
    """A signer's yes to exactly these items, by a phone or a method of exactly this record."""

    __slots__ = ("_listed", "_redeemed", "ask", "claims", "method", "record", "sender")

    def __init__(
        self,
        proof: object,
        *,
        ask: VerifiedAsk,
        record: CellRecord,
        sender: Octets32,
        claims: ApprovalClaims | CodeApprovalClaims,
        listed: VerifiedList,
    ) -> None:
        """Refuse to be built anywhere else."""
        if proof is not _BUILT_HERE:
            raise TypeError("a VerifiedApproval comes from verify_approval alone")
        self.ask = ask
        self.record = record
        self.sender = sender
        """Thumbprint of the key that signed: the phone's approval key, or KS."""
        self.claims = claims
        self.method: Method = "app" if isinstance(claims, ApprovalClaims) else claims.method
        """How the signer approved: what is not ``app`` is the service's word."""
        self._listed = listed
        self._redeemed = False

    def __copy__(self) -> NoReturn:
        """Refuse: a copy could be redeemed again."""
        raise TypeError("a VerifiedApproval cannot be copied")

    def __deepcopy__(self, memo: dict[int, object]) -> NoReturn:
        """Refuse: a copy could be redeemed again."""
        self.__copy__()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse: a proof is worth nothing outside the process that checked."""
        raise TypeError("a VerifiedApproval never leaves the SAM")

    @property
    def items(self) -> tuple[Item, ...]:
        """What was approved."""
        return self._listed.items

    @property
    def leaves(self) -> tuple[Octets32, ...]:
        """Leaf hashes of what was approved."""
        return self._listed.leaves

    def redeem(
        self, requested: Sequence[int], *, messages: Sequence[bytes] | None
    ) -> tuple[CellRecord, HashAlgorithm, tuple[bytes, ...]]:
        """Give the cell and what to sign, once.

        Args:
            requested: positions in the approved list.
            messages: where messages are signed and not their digests: one for each position.

        Raises:
            DoorRefused: it was redeemed before, an item was not approved, or a message is not the
                one whose digest was (rule 5).
        """
        if self._redeemed:
            raise DoorRefused(5, "the approval was redeemed before")
        self._redeemed = True
        items, places = self.items, set(requested)
        if len(places) != len(requested):
            raise DoorRefused(5, "an item is requested twice")
        if not places <= set(range(len(items))):
            raise DoorRefused(5, "an item that was not approved")
        hash_algorithm = HashAlgorithm(str(self.ask.claims.hash_alg))
        digests = tuple([bytes(items[position].hash) for position in requested])
        if {len(digest) for digest in digests} - {DIGEST_BYTES[hash_algorithm]}:
            raise DoorRefused(5, "a hash of another length than its algorithm gives")
        if messages is None:
            return self.record, hash_algorithm, digests
        if tuple(digest_of(message, hash_algorithm) for message in messages) != digests:
            raise DoorRefused(5, "a message whose hash was not approved")
        return self.record, hash_algorithm, tuple(messages)


def verify_approval(
    unverified_approval: str,
    unverified_items: Sequence[str],
    *,
    ask: VerifiedAsk,
    record: CellRecord,
    ks: PublicJwk,
) -> VerifiedApproval:
    """Rules 3 and 4 of the door, and the list of rule 5.

    Args:
        unverified_approval: what the phone sent, or the SAM made of password and code.
        unverified_items: the list beside the ask.
        ask: kept to rule 1.
        record: kept to rule 2.
        ks: KS, by which our own word is known again.

    Raises:
        DoorRefused: one of the rules is not kept.
    """
    claims: ApprovalClaims | CodeApprovalClaims
    try:
        by_code = says_by_code(unverified_approval)
    except MalformedMessage as error:
        raise DoorRefused(3, str(error)) from error
    if by_code:
        claims = _by_code(unverified_approval, ask=ask, record=record, ks=ks)
        sender = ks.thumbprint()
    else:
        claims, sender = _by_phone(unverified_approval, ask=ask, record=record)

    # (5) The list is the one whose root the signer approved.
    documents = ask.claims.documents
    if documents is None:
        raise DoorRefused(5, "an ask without documents")
    try:
        listed = verify_list(unverified_items, expected=documents)
    except MalformedMessage as error:
        raise DoorRefused(5, str(error)) from error
    return VerifiedApproval(
        _BUILT_HERE, ask=ask, record=record, sender=sender, claims=claims, listed=listed
    )


def _by_phone(
    unverified_approval: str, *, ask: VerifiedAsk, record: CellRecord
) -> tuple[ApprovalClaims, Octets32]:
    # (3) A device of that record, of a kind that it allows, signed it, with the one typ and alg.
    try:
        device = record.approver(approving_kid(unverified_approval))
        claims = read_approval(unverified_approval, expected_device=device)
    except (MalformedMessage, NotFound, KindRefused) as error:
        raise DoorRefused(3, str(error)) from error

    # (4) It names this ask and says approve; user verification is proved as the record demands.
    try:
        check_names_ask(claims, ask)
        check_user_verification(claims, device)
    except MalformedMessage as error:
        raise DoorRefused(4, str(error)) from error
    return claims, device.kid


def _by_code(
    unverified_approval: str, *, ask: VerifiedAsk, record: CellRecord, ks: PublicJwk
) -> CodeApprovalClaims:
    # (3) It is ours, and the record allows the method for what is asked.
    try:
        claims = read_code_approval(unverified_approval, expected_ks=ks)
        asked = ask.claims
        check_code_allowed(record, claims.method, kind=asked.kind, fields=asked.fields)
    except (MalformedMessage, RecordRefused, SummaryRefused) as error:
        raise DoorRefused(3, str(error)) from error

    # (4) It names this ask and says approve; an SMS went to the number of this record, a counter is
    # used up in it.
    try:
        check_names_ask(claims, ask)
    except MalformedMessage as error:
        raise DoorRefused(4, str(error)) from error
    if claims.method == "password+sms" and claims.number_hash != record.sms:
        raise DoorRefused(4, "the code went to another number than the record's")
    if not _is_used_up(claims, record):
        raise DoorRefused(4, "the record does not say that the app's code is used up")
    return claims


def _is_used_up(claims: CodeApprovalClaims, record: CellRecord) -> bool:
    """Whether the code of an app that counts is used up; of others the record says nothing."""
    counted, held = claims.hotp, record.hotp
    return not isinstance(counted, HotpState) or (
        held is not None and held.seed == counted.seed and held.counter >= counted.counter
    )
