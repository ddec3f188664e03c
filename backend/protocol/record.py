"""The cell record (``cell-record+jwt``): what the SAM believes of a cell, signed by KS.

Tables of devices are views of it. Whoever needs a phone's key reads it from here, after the
signature was checked; writing rows gives nobody a key that the SAM would believe.
"""

from collections.abc import Sequence
from typing import Annotated, Final, Literal, final
from uuid import UUID

import msgspec

from backend.algorithms import KeyAlgorithm
from backend.errors import KindRefused, MalformedMessage, NotFound
from backend.protocol.ask import Epoch
from backend.protocol.encoding import Octets, Octets32, ascii_bytes, sha256
from backend.protocol.jose import LONGEST_MESSAGE, PublicJwk, Sign, sign_jws, verify_jws

TYP: Final = "cell-record+jwt"

DeviceKind = Literal["pwa", "native", "desktop", "virtual"]
"""The phone's own word: a label, and what a policy may refuse (docs/decisions/0024)."""
BROWSERS: Final[frozenset[DeviceKind]] = frozenset({"pwa", "desktop"})
"""Kinds that are the app in a browser: a passkey proves user verification."""
UserVerification = Literal["webauthn", "attested", "self_asserted"]
Confirmation = Literal["sms", "operator", "device"]
Confirmations = Annotated[tuple[Confirmation, ...], msgspec.Meta(min_length=1, max_length=3)]
Method = Literal["app", "password+sms", "password+totp", "password+hotp"]
LONGEST_CREDENTIAL_ID: Final = 1023
MOST_DEVICES: Final = 16
MOST_AMOUNTS: Final = 5
MOST_SECURITY_KEYS: Final = 3
MOST_COUNTED: Final = 10**12


def _check_once(words: Sequence[str]) -> None:
    if len(set(words)) != len(words):
        raise MalformedMessage("a word stands twice")


@final
class Passkey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A browser's passkey: it proves user verification at each approval."""

    id: Octets
    key: PublicJwk
    rp_id: Annotated[str, msgspec.Meta(min_length=1, max_length=253)]
    origin: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]

    def __post_init__(self) -> None:
        """Refuse an id that no authenticator gives (WebAuthn, 4: at most 1023 bytes)."""
        if not 1 <= len(self.id) <= LONGEST_CREDENTIAL_ID:
            raise MalformedMessage("not the id of a passkey")


@final
class RecordDevice(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A paired phone and its three keys."""

    kid: Octets32
    """Thumbprint of the approval key."""
    approval: PublicJwk
    request: PublicJwk
    unlock: PublicJwk
    kind: DeviceKind
    uv: UserVerification
    webauthn: Passkey | None
    enrolment: Octets32
    """SHA-256 of the enrolment by which it came."""
    confirmed_by: Confirmations
    security_keys: Annotated[tuple[Passkey, ...], msgspec.Meta(max_length=MOST_SECURITY_KEYS)] = ()
    """Further passkeys of a browser; absent where there are none (docs/decisions/0024)."""

    def __post_init__(self) -> None:
        """Refuse a device that contradicts itself."""
        if self.kid != self.approval.thumbprint():
            raise MalformedMessage("kid is not the approval key's thumbprint")
        if len({self.kid, self.request.thumbprint(), self.unlock.thumbprint()}) != 3:  # noqa: PLR2004  # three keys
            raise MalformedMessage("the three keys are not different")
        if self.uv == "attested" and self.kind != "native":
            raise MalformedMessage("an attestation comes only from a native phone")
        self._check_passkeys()
        _check_once(self.confirmed_by)

    def _check_passkeys(self) -> None:
        passkey = self.webauthn is not None
        if (self.uv == "webauthn") is not passkey or (self.kind in BROWSERS) is not passkey:
            raise MalformedMessage("a passkey, its user verification and a browser go together")
        if self.security_keys and not passkey:
            raise MalformedMessage("a security key is a browser's")
        for distinct in ({key.id for key in self.passkeys}, {key.key for key in self.passkeys}):
            if len(distinct) != len(self.passkeys):
                raise MalformedMessage("a passkey stands twice")

    @property
    def passkeys(self) -> tuple[Passkey, ...]:
        """All of them; the one that it was paired with is the first."""
        return () if self.webauthn is None else (self.webauthn, *self.security_keys)

    def passkey(self, credential_id: bytes) -> Passkey:
        """The passkey of that id.

        Raises:
            MalformedMessage: the phone has none of it.
        """
        for passkey in self.passkeys:
            if passkey.id == credential_id:
                return passkey
        raise MalformedMessage("webauthn: another passkey")


@final
class AmountCap(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The most money, in one currency, that a code may approve."""

    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}\Z")]
    """ISO 4217."""
    value: Annotated[str, msgspec.Meta(pattern=r"^(0|[1-9][0-9]{0,14})(\.[0-9]{1,4})?\Z")]


@final
class Caps(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The bounds of a cell's use. The last two bound approvals by code (docs/decisions/0019)."""

    multisign: Annotated[int, msgspec.Meta(ge=1, le=10_000)]
    """Most hashes for one approval."""
    kinds: Annotated[tuple[DeviceKind, ...], msgspec.Meta(max_length=4)]
    """Kinds of phones that may be paired, and approve."""
    confirm: Confirmations
    """What confirms a pairing: all of them."""
    amounts: Annotated[tuple[AmountCap, ...], msgspec.Meta(max_length=MOST_AMOUNTS)] = ()
    """Money in a currency that does not stand here is approved on a phone alone."""
    sms_delay: Annotated[int, msgspec.Meta(ge=0, le=3600)] = 60
    """Seconds that a paired phone has before an SMS is sent (T-24)."""

    def __post_init__(self) -> None:
        """Refuse one word twice."""
        _check_once(self.kinds)
        _check_once(self.confirm)
        _check_once([cap.currency for cap in self.amounts])


@final
class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the signer agreed to; loosening it needs the signer."""

    methods: Annotated[tuple[Method, ...], msgspec.Meta(min_length=1, max_length=4)]
    caps: Caps

    def __post_init__(self) -> None:
        """Refuse one word twice."""
        _check_once(self.methods)

    def check_kind(self, kind: DeviceKind) -> None:
        """Check that phones of that kind may pair, and approve.

        Raises:
            KindRefused: they may not.
        """
        if kind not in self.caps.kinds:
            raise KindRefused(f"phones of the kind {kind} are not allowed here")


@final
class HotpState(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An authenticator app that counts its codes (RFC 4226), and how far it has counted."""

    seed: Octets32
    """SHA-256 of the sealed seed."""
    counter: Annotated[int, msgspec.Meta(ge=0, le=MOST_COUNTED)]
    """Of the next code; each one below it is used up (docs/decisions/0030)."""


@final
class CellRecord(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The claims of a record; all are present but ``hotp`` where there is none."""

    cell: UUID
    signer: UUID
    subject: Octets32
    """SHA-256 of the registered name (DER); never changes: another name is a new cell."""
    epoch: Epoch
    prev: Octets32 | None
    """SHA-256 of the record before; absent in the first."""
    origin: Literal["generated", "imported"]
    alg: KeyAlgorithm
    spki: Octets
    kw: Annotated[str, msgspec.Meta(pattern=r"^[\x21-\x7e]{1,64}\Z")]
    certificate: Octets32 | None
    """SHA-256 of the certificate."""
    confirmed: bool
    """False until the certificate was issued for this very cell."""
    devices: Annotated[tuple[RecordDevice, ...], msgspec.Meta(max_length=MOST_DEVICES)]
    sms: Octets32 | None
    """HMAC of the verified number; whether it may sign is policy."""
    totp: Octets32 | None
    hotp: HotpState | None = None
    policy: Policy

    def __post_init__(self) -> None:
        """Refuse a record that contradicts itself."""
        if len({device.kid for device in self.devices}) != len(self.devices):
            raise MalformedMessage("a device stands twice")
        if (self.prev is None) is not (self.epoch == 1):
            raise MalformedMessage("every epoch but the first names the one before")
        if self.confirmed and self.certificate is None:
            raise MalformedMessage("confirmed without a certificate")

    def device(self, kid: bytes) -> RecordDevice:
        """The device of that approval key.

        Raises:
            NotFound: it is not of this record.
        """
        for device in self.devices:
            if device.kid == kid:
                return device
        raise NotFound("no such phone in the cell's record")

    def approver(self, kid: bytes) -> RecordDevice:
        """The device of that approval key, if the policy allows its kind.

        Raises:
            NotFound: it is not of this record.
            KindRefused: its kind is not allowed.
        """
        device = self.device(kid)
        self.policy.check_kind(device.kind)
        return device

    def seed(self, method: Method) -> Octets32 | None:
        """The hash of the sealed seed that counts for a method; ``None`` where there is none."""
        if method == "password+hotp":
            return None if self.hotp is None else self.hotp.seed
        return self.totp if method == "password+totp" else None


def sign_record(record: CellRecord, *, key: PublicJwk, sign: Sign) -> str:
    """Write a record.

    Raises:
        MalformedMessage: it breaks a rule, or is too long; nothing was signed.
    """
    return sign_jws(record, typ=TYP, key=key, sign=sign)


def record_hash(record: str) -> Octets32:
    """The hash by which the next epoch names this one."""
    return sha256(ascii_bytes(record, longest=LONGEST_MESSAGE))


def verify_record(unverified_record: str, *, expected_ks: PublicJwk) -> CellRecord:
    """Verify that KS signed the record.

    Raises:
        MalformedMessage: it did not, or the claims are none of a record.
    """
    return verify_jws(unverified_record, CellRecord, expected_typ=TYP, expected_key=expected_ks)
