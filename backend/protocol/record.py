"""The cell record (``cell-record+jwt``): what the SAM believes of a cell, signed by KS.

Tables of devices are views of it. Whoever needs a phone's key reads it from here, after the
signature was checked; writing rows gives nobody a key that the SAM would believe.
"""

from typing import Annotated, Final, Literal, final
from uuid import UUID

import msgspec

from backend.errors import NotFound
from backend.protocol.encoding import Octets, Octets32, ascii_bytes, sha256
from backend.protocol.jose import LONGEST_MESSAGE, PublicJwk, Sign, sign_jws, verify_jws

TYP: Final = "cell-record+jwt"

DeviceKind = Literal["pwa", "native", "desktop", "virtual"]
UserVerification = Literal["webauthn", "attested", "self_asserted"]
Confirmation = Literal["sms", "operator", "device"]
Method = Literal["app", "password+sms", "password+totp"]


@final
class Passkey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A PWA's passkey: it proves user verification at each approval."""

    id: Octets
    key: PublicJwk
    rp_id: str
    origin: str


@final
class RecordDevice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
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
    confirmed_by: tuple[Confirmation, ...]

    def __post_init__(self) -> None:
        """Refuse a device that contradicts itself."""
        if self.kid != self.approval.thumbprint():
            msg = "kid is not the approval key's thumbprint"
            raise ValueError(msg)
        if (self.uv == "webauthn") is not (self.webauthn is not None):
            msg = "a passkey and its user verification go together"
            raise ValueError(msg)
        if not self.confirmed_by:
            msg = "a phone that nobody confirmed"
            raise ValueError(msg)


@final
class Caps(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The bounds of a cell's use."""

    multisign: Annotated[int, msgspec.Meta(ge=1, le=10_000)]
    """Most hashes for one approval."""
    kinds: tuple[DeviceKind, ...]
    """Kinds of phones that may be paired."""
    confirm: tuple[Confirmation, ...]
    """What confirms a pairing: all of them."""


@final
class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the signer agreed to; loosening it needs the signer."""

    methods: tuple[Method, ...]
    caps: Caps


@final
class CellRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The claims of a record; all are present."""

    cell: UUID
    signer: UUID
    subject: Octets32
    """SHA-256 of the registered name (DER); never changes: another name is a new cell."""
    epoch: Annotated[int, msgspec.Meta(ge=1)]
    prev: Octets32 | None
    """SHA-256 of the record before."""
    origin: Literal["generated", "imported"]
    alg: str
    spki: Octets
    kw: str
    certificate: Octets32 | None
    """SHA-256 of the certificate."""
    confirmed: bool
    """False until the certificate was issued for this very cell."""
    devices: tuple[RecordDevice, ...]
    sms: Octets32 | None
    """HMAC of the verified number; whether it may sign is policy."""
    totp: Octets32 | None
    policy: Policy

    def __post_init__(self) -> None:
        """Refuse a record that contradicts itself."""
        if len({device.kid for device in self.devices}) != len(self.devices):
            msg = "a device stands twice"
            raise ValueError(msg)
        if self.confirmed and self.certificate is None:
            msg = "confirmed without a certificate"
            raise ValueError(msg)

    def device(self, kid: bytes) -> RecordDevice:
        """The device of that approval key.

        Raises:
            NotFound: it is not of this record.
        """
        for device in self.devices:
            if device.kid == kid:
                return device
        msg = "no such phone in the cell's record"
        raise NotFound(msg)


def sign_record(record: CellRecord, *, key: PublicJwk, sign: Sign) -> str:
    """Write a record."""
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
