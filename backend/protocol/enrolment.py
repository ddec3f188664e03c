"""A new phone presents itself (``cell-enrolment+jwt``), signed by its own approval key."""

import base64
from typing import Annotated, Final, final

import msgspec

from backend.errors import MalformedMessage
from backend.protocol.ask import KeyThumbprints, VerifiedAsk
from backend.protocol.encoding import Octets, Octets32, ascii_bytes, sha256
from backend.protocol.jose import LONGEST_MESSAGE, PublicJwk, unverified_payload, verify_jws
from backend.protocol.record import BROWSERS, DeviceKind, Passkey
from backend.protocol.webauthn import (
    Assertion,
    Registration,
    enrolment_challenge,
    verify_assertion,
    verify_registration,
)

TYP: Final = "cell-enrolment+jwt"
TWELVE_PREFIX: Final = b"cell-pair-v1\0"
TWELVE: Final = 12
GROUP: Final = 4


@final
class DeviceKeys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A phone's three keys; all different."""

    approval: PublicJwk
    request: PublicJwk
    unlock: PublicJwk

    def __post_init__(self) -> None:
        """Refuse one key in two places."""
        if len({self.approval, self.request, self.unlock}) != 3:  # noqa: PLR2004  # three keys
            raise MalformedMessage("the three keys are not different")

    def thumbprints(self) -> KeyThumbprints:
        """Their thumbprints."""
        return KeyThumbprints(
            approval=self.approval.thumbprint(),
            request=self.request.thumbprint(),
            unlock=self.unlock.thumbprint(),
        )


@final
class PasskeyEnrolment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A browser's new passkey, and its first assertion."""

    registration: Registration
    assertion: Assertion


@final
class Attestation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A native platform's word of its key, over the enrolment challenge."""

    format: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,32}\Z")]
    statement: Annotated[tuple[Octets, ...], msgspec.Meta(min_length=1, max_length=8)]


@final
class EnrolmentClaims(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The claims of an enrolment; all are present."""

    tx_hash: Octets32
    keys: DeviceKeys
    kind: DeviceKind
    sealed: Octets32 | None
    epk: Octets32 | None
    webauthn: PasskeyEnrolment | None
    attestation: Attestation | None

    def __post_init__(self) -> None:
        """Refuse combinations that no enrolment has."""
        if (self.sealed is None) is not (self.epk is None):
            raise MalformedMessage("sealed and epk go together")
        if (self.kind in BROWSERS) is not (self.webauthn is not None):
            raise MalformedMessage("a passkey comes from a browser, and only from one")
        if self.attestation is not None and self.kind != "native":
            raise MalformedMessage("an attestation comes only from a native phone")


def read_enrolment(unverified_enrolment: str) -> EnrolmentClaims:
    """Verify an enrolment by the approval key that it carries: possession, nothing more.

    Raises:
        MalformedMessage: it is not signed by its own approval key, or is no enrolment.
    """
    unverified = unverified_payload(unverified_enrolment, EnrolmentClaims, expected_typ=TYP)
    return verify_jws(
        unverified_enrolment,
        EnrolmentClaims,
        expected_typ=TYP,
        expected_key=unverified.keys.approval,
    )


def check_enrols_for(claims: EnrolmentClaims, ask: VerifiedAsk) -> None:
    """Check that the enrolment is for this ask, with the keys that the ask names, if any.

    Raises:
        MalformedMessage: it is for another one.
    """
    if ask.claims.kind != "enrol" or claims.tx_hash != ask.tx_hash:
        raise MalformedMessage("an enrolment for another ask")
    wanted = ask.claims.key_thumbprints
    if wanted is not None and claims.keys.thumbprints() != wanted:
        raise MalformedMessage("other keys than the paired phone approved")


def verify_passkey(claims: EnrolmentClaims, *, rp_id: str, origin: str) -> Passkey | None:
    """Verify a browser's passkey, registration and assertion; ``None`` for other phones.

    Raises:
        MalformedMessage: one of them is not valid.
    """
    if claims.webauthn is None:
        return None
    prints = claims.keys.thumbprints()
    challenge = enrolment_challenge(
        tx_hash=claims.tx_hash,
        approval=prints.approval,
        request=prints.request,
        unlock=prints.unlock,
        epk=claims.epk,
    )
    passkey = verify_registration(
        claims.webauthn.registration, expected_challenge=challenge, rp_id=rp_id, origin=origin
    )
    verify_assertion(claims.webauthn.assertion, expected_challenge=challenge, passkey=passkey)
    return passkey


def enrolment_hash(enrolment: str) -> Octets32:
    """The hash by which the record names the enrolment."""
    return sha256(ascii_bytes(enrolment, longest=LONGEST_MESSAGE))


def twelve_characters(enrolment: str) -> str:
    """The 12 characters that people compare, in groups of four."""
    digest = sha256(TWELVE_PREFIX + ascii_bytes(enrolment, longest=LONGEST_MESSAGE))
    text = base64.b32encode(digest).decode("ascii")[:TWELVE]
    return "-".join(text[start : start + GROUP] for start in range(0, TWELVE, GROUP))
