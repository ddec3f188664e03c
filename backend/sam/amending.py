"""Capability: loosen a cell's policy, which takes password and a paired phone; or tighten it.

Importing this type is the permission to be handed the object; who may is in ``pyproject.toml``.
"""

from typing import Annotated, Literal, Protocol, final
from uuid import UUID

import msgspec

from backend.protocol.approval import CodeMethod, SeedMethod
from backend.protocol.ask import AskingParty
from backend.protocol.codes import LONGEST_TYPED
from backend.protocol.record import MOST_AMOUNTS, AmountCap, Method
from backend.sam.transactions import LONGEST_NUMBER, LONGEST_SEED, OpenedTransaction
from backend.time_zones import LONGEST_ZONE


@final
class MakeSeed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A seed for an authenticator app is wanted."""

    record: str
    method: SeedMethod = "password+totp"
    """What the seed will be good for, and for nothing else."""


@final
class MadeSeed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A seed: in base32, to be shown once, and sealed, to be kept."""

    seed: str
    sealed: str
    seed_hash: bytes


@final
class OpenAmendment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A method that the signer wants to allow. Nothing in it is trusted."""

    record: str
    method: CodeMethod
    amounts: Annotated[tuple[AmountCap, ...], msgspec.Meta(max_length=MOST_AMOUNTS)]
    sms_delay: Annotated[int, msgspec.Meta(ge=0, le=3600)]
    lock: str
    """The password lock as it is."""
    password_hash: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    """A of the password that was typed. Never stored, never in a log."""
    number: Annotated[str, msgspec.Meta(max_length=LONGEST_NUMBER)] | None
    """SMS: the signer's."""
    seed: Annotated[str, msgspec.Meta(max_length=LONGEST_SEED)] | None
    """TOTP, HOTP: sealed."""
    code: Annotated[str, msgspec.Meta(max_length=LONGEST_TYPED)] | None
    """TOTP, HOTP: a first code of it."""
    name: str
    """The signer's, as the phone shows it."""
    rp: AskingParty
    lang: Literal["ru", "en"]
    zone: Annotated[str, msgspec.Meta(max_length=LONGEST_ZONE)]
    exp: int
    use_by: int


@final
class OpenedAmendment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The ask, and what becomes of the password lock once it is approved."""

    opened: OpenedTransaction
    lock: str
    """Of purpose ``sign``, under the same password."""
    step: int | None
    """TOTP: the step of the first code, which is used up. HOTP's counter stands in the ask."""


@final
class Amend(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An approved ask of kind ``amend``. The rules are in ``backend/sam/amendments.py``."""

    record: str
    blob: bytes
    ask: str
    approval: str
    sealed: str


@final
class Amended(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The record's next epoch."""

    record: str
    epoch: int
    cell: UUID
    methods: tuple[Method, ...]
    totp: bytes | None
    """TOTP: hash of the seed that counts now."""
    hotp: bytes | None = None
    """HOTP: likewise."""


@final
class Tighten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A method by code that shall count no more."""

    record: str
    method: CodeMethod


class Amendments(Protocol):
    """Every method may raise :class:`backend.errors.SamUnavailable` and ``HsmUnavailable``."""

    def make_seed(self, request: MakeSeed) -> MadeSeed:
        """Make a seed; it counts for nothing before the signer approves it on a phone.

        Raises:
            backend.errors.RecordRefused: the record is not ours.
        """

    def open_amendment(self, request: OpenAmendment) -> OpenedAmendment:
        """Check password and first code, and ask the phone.

        Raises:
            backend.errors.AmendmentRefused: a rule was not kept.
            backend.errors.WrongCode: the first code is wrong; three tries for a seed.
            backend.errors.WrongPassword: the password is wrong.
            backend.errors.TooManyTries: tries are used up.
            backend.errors.RequestRefused: times do not fit.
            backend.errors.SummaryRefused: something cannot be shown to a signer.
        """

    def amend(self, request: Amend) -> Amended:
        """Make the next epoch as the signer approved it.

        Raises:
            backend.errors.AmendmentRefused: a rule was not kept.
        """

    def tighten(self, request: Tighten) -> Amended:
        """Make the next epoch without a method; nobody has to consent.

        Raises:
            backend.errors.AmendmentRefused: the record does not allow it, or allows nothing else.
        """
