"""Capability: make cells, pair and remove phones, check and change passwords.

Importing this type is the permission to be handed the object; who may is in ``pyproject.toml``.
Nothing here signs with a signer's key.
"""

from typing import Annotated, Protocol, final
from uuid import UUID

import msgspec

from backend.algorithms import KeyAlgorithm
from backend.protocol.record import Policy

PasswordHash = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
"""A: Argon2id of a password (docs/phone-protocol.md, 5). Never stored, never in a log."""


@final
class MakeCell(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A signer to make a cell for."""

    signer: UUID
    subject: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    """SHA-256 of the registered name (DER)."""
    algorithm: KeyAlgorithm
    policy: Policy
    number: str | None
    """Verified phone number, E.164."""
    password_hash: PasswordHash | None
    """A of the first password, where the policy lets a password help."""


@final
class EnvelopeSeal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes into the envelope, and the lock it opens."""

    secret: bytes
    """128 bits, returned once, to be printed (QR 2)."""
    pairing: UUID
    lock: str


@final
class PasswordSeal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A password's verifier and its lock."""

    verifier: bytes
    lock: str


@final
class MadeCell(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new cell; no phone belongs to it yet."""

    cell: UUID
    spki: bytes
    blob: bytes
    record: str
    envelope: EnvelopeSeal
    password: PasswordSeal | None


@final
class SendPairingCode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Send the code for an enrolment to the number that the record knows."""

    record: str
    ask: str
    enrolment: str
    number: str
    lang: str


@final
class SealedSms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An SMS that only the worker can read."""

    sms: str


@final
class OperatorWord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An operator read the phone's 12 characters."""

    operator: str
    twelve: str


@final
class PasswordKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cell's password lock, and what opens it. It adds a phone only beside the pairing code."""

    lock: str
    password_hash: PasswordHash


@final
class Enrol(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A phone to believe. The rules are in ``backend/sam/enrolments.py``.

    Who brings the cell's secret is told by the ask and the enrolment, not here.
    """

    record: str
    blob: bytes
    ask: str
    enrolment: str
    sealed: str | None
    """The enrolment's; for a further phone the approval's."""
    approval: str | None = None
    """The paired phone's, for a further one."""
    password: PasswordKey | None = None
    """Where nothing is sealed."""
    password_proof: str | None
    code: str | None
    """The pairing code, as the signer typed it."""
    operator: OperatorWord | None


@final
class Enrolled(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The record's next epoch, with the phone, and the phone's lock."""

    record: str
    epoch: int
    kid: bytes
    request_kid: bytes
    kind: str
    device_lock: str
    pin: bytes
    """Tells the phone, with the lock, which KS to believe; see ``protocol.locks.pin``."""


@final
class RemoveDevice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A phone to believe no more; needs nobody's consent."""

    record: str
    kid: bytes


@final
class AddSecurityKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A further passkey of a phone. The rules are in ``backend/sam/security_keys.py``."""

    record: str
    message: str
    """``cell-security-key+jwt``."""


@final
class RemoveSecurityKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A security key to believe no more; needs nobody's consent."""

    record: str
    kid: bytes
    """Of the phone."""
    id: bytes
    """Of the credential."""


@final
class NextRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The record's next epoch."""

    record: str
    epoch: int


@final
class CheckPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A password to check against its verifier."""

    signer: UUID
    password_hash: PasswordHash
    verifier: bytes
    ask: str | None
    """The enrol ask for which a proof is wanted."""


@final
class PasswordChecked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The password was right."""

    proof: str | None
    """``cell-password-proof+jwt``, if an ask was named."""


@final
class PasswordLock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cell's password lock, and the record it belongs to."""

    record: str
    lock: str


@final
class ChangePassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new password; the signer's locks are sealed again, key and certificate stay (R-015)."""

    signer: UUID
    old_password_hash: PasswordHash
    new_password_hash: PasswordHash
    verifier: bytes
    locks: Annotated[tuple[PasswordLock, ...], msgspec.Meta(max_length=1000)]


@final
class ChangedPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The new verifier, and the locks in the order they came."""

    verifier: bytes
    locks: tuple[str, ...]


@final
class SetPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new password that a phone approved. The rules are in ``backend/sam/new_passwords.py``."""

    record: str
    blob: bytes
    ask: str
    approval: str
    sealed: str | None
    session: Annotated[bytes, msgspec.Meta(min_length=32, max_length=64)]
    """What only the browser has that began it; the ask holds its SHA-256."""
    password_hash: PasswordHash


@final
class ResetPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A first password that an operator gives; no lock is made under it."""

    signer: UUID
    password_hash: PasswordHash


@final
class PasswordVerifier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the database keeps to know a password again."""

    verifier: bytes


class Cells(Protocol):
    """Every method may raise :class:`backend.errors.SamUnavailable` and ``HsmUnavailable``."""

    def make_cell(self, request: MakeCell) -> MadeCell:
        """Make a key pair and the record that says so; the cell's secret is only in the locks.

        Raises:
            backend.errors.RequestRefused: the HSM cannot keep keys of that algorithm in cells.
        """

    def pairing_code(self, request: SendPairingCode) -> SealedSms:
        """Render the pairing code's SMS.

        Raises:
            backend.errors.EnrolmentRefused: record, ask or enrolment is not in order.
            backend.errors.RecordRefused: the number is not the one that was verified.
        """

    def enrol(self, request: Enrol) -> Enrolled:
        """Believe a phone, once the cell was opened with the secret it sealed.

        Raises:
            backend.errors.EnrolmentRefused: a rule was not kept.
            backend.errors.WrongCode: the code is wrong; three tries for an ask.
            backend.errors.TooManyTries: they are used up, or too many passwords were wrong.
        """

    def remove_device(self, request: RemoveDevice) -> NextRecord:
        """Make the next epoch without a phone.

        Raises:
            backend.errors.RecordRefused: the record is not ours.
        """

    def add_security_key(self, request: AddSecurityKey) -> NextRecord:
        """Make the next epoch with a further passkey of a phone.

        Raises:
            backend.errors.SecurityKeyRefused: a rule was not kept.
        """

    def remove_security_key(self, request: RemoveSecurityKey) -> NextRecord:
        """Make the next epoch without a security key of a phone.

        Raises:
            backend.errors.RecordRefused: the record is not ours, or has no such phone.
        """

    def check_password(self, request: CheckPassword) -> PasswordChecked:
        """Check a password.

        Raises:
            backend.errors.WrongPassword: it is wrong.
            backend.errors.TooManyTries: too many wrong ones for this signer, for now.
        """

    def change_password(self, request: ChangePassword) -> ChangedPassword:
        """Change a password.

        Raises:
            backend.errors.WrongPassword: the old one is wrong.
            backend.errors.TooManyTries: too many wrong ones for this signer, for now.
        """

    def set_password(self, request: SetPassword) -> PasswordSeal:
        """Take a new password where a phone approved it.

        Raises:
            backend.errors.NewPasswordRefused: a rule was not kept.
        """

    def reset_password(self, request: ResetPassword) -> PasswordVerifier:
        """Know a first password again. It opens no cell: the operator destroys the old locks."""
