"""What the phone answers: approval (``cell-approval+jwt``) or refusal (``cell-refusal+jwt``).

An approval is signed by the phone's approval key, names the ask by the hash of its bytes, and names
the seal that carries the cell's secret. A refusal needs only the silent request key.
"""

from typing import Annotated, Final, Literal, final
from uuid import UUID

import msgspec

from backend.errors import MalformedMessage
from backend.protocol.ask import UnixSeconds, VerifiedAsk
from backend.protocol.encoding import Octets32, ascii_bytes, sha256
from backend.protocol.jose import (
    LONGEST_MESSAGE,
    PublicJwk,
    Sign,
    sign_jws,
    unverified_header,
    verify_jws,
)
from backend.protocol.record import HotpState, RecordDevice
from backend.protocol.webauthn import Assertion, approval_challenge, verify_assertion

TYP: Final = "cell-approval+jwt"
CODE_TYP: Final = "cell-code-approval+jwt"
REFUSAL_TYP: Final = "cell-refusal+jwt"
_EITHER: Final = frozenset({TYP, CODE_TYP})

Number = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{2}\Z")]
CodeMethod = Literal["password+sms", "password+totp", "password+hotp"]
SeedMethod = Literal["password+totp", "password+hotp"]
"""Those by an authenticator app."""


@final
class ApprovalClaims(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The claims of a phone's approval; all are present."""

    tx: UUID
    tx_hash: Octets32
    decision: Literal["approve"] = "approve"
    sealed: Octets32
    """SHA-256 of the seal."""
    epk: Octets32
    """Thumbprint of the seal's ephemeral key."""
    number: Number | None
    iat: UnixSeconds
    jti: UUID
    webauthn: Assertion | None


@final
class CodeApprovalClaims(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The claims of an approval by password and code: the service's word, signed by KS."""

    tx: UUID
    tx_hash: Octets32
    decision: Literal["approve"] = "approve"
    sealed: Octets32
    epk: Octets32
    number: None = None
    """The number on the screen is compared on a phone, never here."""
    iat: UnixSeconds
    jti: UUID
    method: CodeMethod
    number_hash: Octets32 | None
    """Whose number the code was sent to, as the record has it; exactly for ``password+sms``."""
    hotp: HotpState | msgspec.UnsetType = msgspec.UNSET
    """The record's, once the code is used up; exactly for ``password+hotp``, absent otherwise."""

    def __post_init__(self) -> None:
        """Refuse a number's hash, or a counter, where it had no part; and its absence where it had.

        Raises:
            MalformedMessage: the two do not fit.
        """
        if (self.number_hash is not None) is not (self.method == "password+sms"):
            raise MalformedMessage("a number's hash stands in an approval by SMS, and only there")
        if (self.hotp is not msgspec.UNSET) is not (self.method == "password+hotp"):
            raise MalformedMessage("a counter stands in an approval by HOTP, and only there")


@final
class RefusalClaims(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The claims of a refusal."""

    tx: UUID
    tx_hash: Octets32
    decision: Literal["reject", "not_me"]
    iat: UnixSeconds
    jti: UUID


def approval_hash(approval: str) -> Octets32:
    """The hash by which a receipt names its approval."""
    return sha256(ascii_bytes(approval, longest=LONGEST_MESSAGE))


def approving_kid(unverified_approval: str) -> Octets32:
    """The key that an approval says it was made by: only to look for it in the record.

    Raises:
        MalformedMessage: it is no approval of a phone.
    """
    return unverified_header(unverified_approval, expected_typ=TYP).kid


def says_by_code(unverified_approval: str) -> bool:
    """Tell whether an approval says to be one by code: only to know how to verify it.

    Raises:
        MalformedMessage: it is no approval at all.
    """
    return unverified_header(unverified_approval, expected_typ=_EITHER).typ == CODE_TYP


def read_approval(unverified_approval: str, *, expected_device: RecordDevice) -> ApprovalClaims:
    """Verify that the device's approval key signed the approval.

    Raises:
        MalformedMessage: it did not.
    """
    return verify_jws(
        unverified_approval,
        ApprovalClaims,
        expected_typ=TYP,
        expected_key=expected_device.approval,
    )


def check_names_ask(
    claims: ApprovalClaims | CodeApprovalClaims | RefusalClaims, ask: VerifiedAsk
) -> None:
    """Check that an answer is to this ask, and carries a number exactly when one was asked.

    Raises:
        MalformedMessage: it is an answer to something else.
    """
    if claims.tx != ask.claims.jti or claims.tx_hash != ask.tx_hash:
        raise MalformedMessage("an answer to another ask")
    if isinstance(claims, ApprovalClaims) and (
        (claims.number is not None) is not ask.claims.number_asked
    ):
        raise MalformedMessage("a number stands in an approval exactly when it was asked")


def check_user_verification(claims: ApprovalClaims, device: RecordDevice) -> None:
    """Check that user verification is proved as the record demands of this device.

    A native key asks for the finger by itself; a passkey's assertion stands in the approval.

    Raises:
        MalformedMessage: it is not proved, or in another way than the record says.
    """
    if device.webauthn is None:
        if claims.webauthn is not None:
            raise MalformedMessage("an assertion by a phone that has no passkey")
        return
    if claims.webauthn is None:
        raise MalformedMessage("no assertion by a phone that has a passkey")
    passkey = device.passkey(claims.webauthn.id)
    verify_assertion(
        claims.webauthn,
        expected_challenge=approval_challenge(tx_hash=claims.tx_hash, epk=claims.epk),
        passkey=passkey,
    )


def verify_refusal(
    unverified_refusal: str, *, ask: VerifiedAsk, expected_request_key: PublicJwk
) -> RefusalClaims:
    """Verify a refusal by the phone's request key.

    Raises:
        MalformedMessage: it is not this phone's, or answers something else.
    """
    claims = verify_jws(
        unverified_refusal,
        RefusalClaims,
        expected_typ=REFUSAL_TYP,
        expected_key=expected_request_key,
    )
    check_names_ask(claims, ask)
    return claims


def read_code_approval(unverified_approval: str, *, expected_ks: PublicJwk) -> CodeApprovalClaims:
    """Verify that KS signed an approval by code.

    Raises:
        MalformedMessage: it did not.
    """
    return verify_jws(
        unverified_approval, CodeApprovalClaims, expected_typ=CODE_TYP, expected_key=expected_ks
    )


def verify_code_approval(
    unverified_approval: str, *, ask: VerifiedAsk, expected_ks: PublicJwk
) -> CodeApprovalClaims:
    """Verify our own approval by code, to this ask.

    Raises:
        MalformedMessage: KS did not sign it, or it answers something else.
    """
    claims = read_code_approval(unverified_approval, expected_ks=expected_ks)
    check_names_ask(claims, ask)
    return claims


def sign_code_approval(claims: CodeApprovalClaims, *, key: PublicJwk, sign: Sign) -> str:
    """Write an approval by code.

    Raises:
        MalformedMessage: it breaks a rule; nothing was signed.
    """
    return sign_jws(claims, typ=CODE_TYP, key=key, sign=sign)
