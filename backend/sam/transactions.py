"""Capability: open a transaction, which is to say what the signer will be asked.

And let the signer approve one by password and code, where the cell's record allows that.

Importing this type is the permission to be handed the object; who may is in ``pyproject.toml``.
"""

from typing import Annotated, Any, Final, Literal, Protocol, final
from uuid import UUID

import msgspec

from backend.protocol.approval import CodeMethod
from backend.protocol.ask import AskingParty, AskKind, HashName, KeyThumbprints
from backend.protocol.codes import LONGEST_TYPED
from backend.protocol.record import Method
from backend.time_zones import LONGEST_ZONE

LONGEST_NUMBER: Final = 16
LONGEST_SUBJECT: Final = 2048
LONGEST_SEED: Final = 200


@final
class RequestedItem(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False
):
    """A hash for which a signature is wanted."""

    label: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    hash: Annotated[bytes, msgspec.Meta(min_length=32, max_length=64)]


@final
class SmsAddress(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a signer's texts go, as the rows have it; the SAM compares it with the record."""

    number: Annotated[str, msgspec.Meta(max_length=LONGEST_NUMBER)]
    """E.164."""
    subject: Annotated[bytes, msgspec.Meta(max_length=LONGEST_SUBJECT)]
    """The registered name, DER: the text greets by it."""


@final
class OpenTransaction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request, typed; the text is rendered by the SAM from its fields."""

    record: str
    kind: AskKind
    rp: AskingParty
    lang: Literal["ru", "en"]
    zone: Annotated[str, msgspec.Meta(max_length=LONGEST_ZONE)]
    """The signer's time zone, by its IANA name."""
    fields: dict[str, Any]
    """``type`` names the kind of ``backend/summary/kinds``; the rest is bounded there."""
    items: Annotated[tuple[RequestedItem, ...], msgspec.Meta(max_length=10_000)]
    """Kind ``sign``: what to sign. Empty for the others; a certificate request is built here."""
    hash_alg: HashName | None
    exp: int
    """Unix seconds; last moment to approve."""
    use_by: int
    """Unix seconds; last moment to sign."""
    number_asked: bool = False
    """Whether the phone is to name the number of the other screen; always for a new password."""
    key_thumbprints: KeyThumbprints | None = None
    """Kind ``enrol``: the keys of a further phone, which a paired one read from its screen."""
    sms: SmsAddress | None = None
    """``None``: no SMS is written, whatever the record allows."""


@final
class CodeSms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A transaction's SMS, which only the worker can read."""

    sealed: str
    due_at: int
    """Unix seconds; where a phone is paired, after the record's delay (T-24)."""
    valid_until: int
    """Unix seconds; until then its code is good, as it says itself."""


@final
class OpenedTransaction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The ask and the list beside it."""

    id: UUID
    ask: str
    tx_hash: bytes
    epoch: int
    items: tuple[str, ...]
    """Exact JSON texts, the leaves of the ask's tree; empty where the ask has no documents."""
    hashes: tuple[bytes, ...]
    """The hash of each item."""
    methods: tuple[Method, ...] = ()
    """By which of them it may be approved, as the record has it."""
    sms: CodeSms | None = None
    """``None`` where there is no way by SMS."""


@final
class RenderSms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A transaction's SMS is wanted once more."""

    record: str
    ask: str
    items: Annotated[tuple[str, ...], msgspec.Meta(max_length=10_000)]
    """The list beside the ask."""
    zone: Annotated[str, msgspec.Meta(max_length=LONGEST_ZONE)]
    address: SmsAddress


@final
class ApproveByCode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the signer typed, and what it is checked with. Nothing in it is trusted."""

    record: str
    ask: str
    lock: str
    """The password lock, of purpose ``sign``."""
    password_hash: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    """A of the password that was typed. Never stored, never in a log."""
    method: CodeMethod
    code: Annotated[str, msgspec.Meta(max_length=LONGEST_TYPED)]
    number: Annotated[str, msgspec.Meta(max_length=LONGEST_NUMBER)] | None
    """SMS: the number it was sent to."""
    seed: Annotated[str, msgspec.Meta(max_length=LONGEST_SEED)] | None
    """TOTP, HOTP: the sealed seed that the record names."""
    used_step: int | None
    """TOTP: the last step that was accepted, as the database has it."""


@final
class CountedOn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The record's next epoch, which says that a code of an app that counts is used up.

    The approval counts with it alone: the door wants a record that says so.
    """

    record: str
    epoch: int


@final
class ApprovedByCode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The SAM's approval in the signer's name, and what it sealed."""

    approval: str
    """``cell-code-approval+jwt``."""
    sealed: str
    kid: bytes
    """Thumbprint of KS, which made it."""
    step: int | None
    """TOTP: the step of the code, which is used up now."""
    counted: CountedOn | None = None
    """HOTP: the record to keep with the approval."""


class Transactions(Protocol):
    """Every method may raise :class:`backend.errors.SamUnavailable` and ``HsmUnavailable``."""

    def open_transaction(self, request: OpenTransaction) -> OpenedTransaction:
        """Render the text, make the transaction's key, sign the ask.

        Raises:
            backend.errors.RecordRefused: the record is not ours, or does not allow this.
            backend.errors.RequestRefused: hashes, counts or times do not fit.
            backend.errors.SummaryRefused: a field cannot be shown to a signer (T-06).
        """

    def render_sms(self, request: RenderSms) -> CodeSms:
        """Render a transaction's SMS anew, with the code it has and another time.

        Raises:
            backend.errors.CodeRefused: the record does not allow it, or it is too late.
            backend.errors.RequestRefused: the list is not the ask's.
            backend.errors.SummaryRefused: no text fits.
        """

    def approve_by_code(self, request: ApproveByCode) -> ApprovedByCode:
        """Approve in the signer's name; the rules are in ``backend/sam/code_approvals.py``.

        Raises:
            backend.errors.CodeRefused: a rule was not kept.
            backend.errors.WrongCode: the code is wrong; three tries for an ask.
            backend.errors.TooManyTries: they are used up, or those of the day.
            backend.errors.WrongPassword: the code is right, the password is not.
        """
