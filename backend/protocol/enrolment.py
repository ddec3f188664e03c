"""A new phone presents itself (``cell-enrolment+jwt``), signed by its own approval key."""

import base64
from typing import Final, final

import msgspec

from backend.errors import MalformedMessage
from backend.protocol.ask import KeyThumbprints, VerifiedAsk
from backend.protocol.encoding import Octets, Octets32, ascii_bytes, parse_json, sha256, unb64u
from backend.protocol.jose import LONGEST_MESSAGE, PublicJwk, unverified_header, verify_jws
from backend.protocol.record import DeviceKind, Passkey
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
JWS_PARTS: Final = 3


@final
class DeviceKeys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A phone's three keys; all different."""

    approval: PublicJwk
    request: PublicJwk
    unlock: PublicJwk

    def __post_init__(self) -> None:
        """Refuse one key in two places."""
        if len({self.approval, self.request, self.unlock}) != 3:  # noqa: PLR2004  # three keys
            msg = "the three keys are not different"
            raise ValueError(msg)

    def thumbprints(self) -> KeyThumbprints:
        """Their thumbprints."""
        return KeyThumbprints(
            approval=self.approval.thumbprint(),
            request=self.request.thumbprint(),
            unlock=self.unlock.thumbprint(),
        )


@final
class PasskeyEnrolment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A PWA's new passkey, and its first assertion."""

    registration: Registration
    assertion: Assertion


@final
class Attestation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A native platform's word of its key, over the enrolment challenge."""

    format: str
    statement: tuple[Octets, ...]


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
            msg = "sealed and epk go together"
            raise ValueError(msg)
        if (self.kind == "pwa") is not (self.webauthn is not None):
            msg = "a passkey comes from a pwa, and only from one"
            raise ValueError(msg)
        if self.attestation is not None and self.kind != "native":
            msg = "an attestation comes only from a native phone"
            raise ValueError(msg)


def read_enrolment(unverified_enrolment: str) -> EnrolmentClaims:
    """Verify an enrolment by the approval key that it carries: possession, nothing more.

    Raises:
        MalformedMessage: it is not signed by its own approval key, or is no enrolment.
    """
    header = unverified_header(unverified_enrolment, expected_typ=TYP)
    unverified_keys = _unverified_approval_key(unverified_enrolment)
    claims = verify_jws(
        unverified_enrolment, EnrolmentClaims, expected_typ=TYP, expected_key=unverified_keys
    )
    if claims.keys.approval.thumbprint() != header.kid:
        msg = "an enrolment signed by another key than it carries"
        raise MalformedMessage(msg)
    return claims


def _unverified_approval_key(unverified_enrolment: str) -> PublicJwk:
    """The key that a self-signed message carries; it proves only possession of itself."""
    members = parse_json(unb64u(unverified_enrolment.split(".")[JWS_PARTS - 2]))
    try:
        return msgspec.convert(members, type=_CarriedKeys, dec_hook=_octets).keys.approval
    except (msgspec.ValidationError, MalformedMessage) as error:
        msg = "an enrolment without an approval key"
        raise MalformedMessage(msg) from error


class _CarriedApproval(msgspec.Struct, frozen=True):
    approval: PublicJwk


class _CarriedKeys(msgspec.Struct, frozen=True):
    keys: _CarriedApproval


def _octets(kind: type[object], value: object) -> object:
    if kind is Octets32 and isinstance(value, str):
        return Octets32(unb64u(value))
    msg = "not a key"
    raise MalformedMessage(msg)


def check_enrols_for(claims: EnrolmentClaims, ask: VerifiedAsk) -> None:
    """Check that the enrolment is for this ask, with the keys that the ask names, if any.

    Raises:
        MalformedMessage: it is for another one.
    """
    if claims.tx_hash != ask.tx_hash:
        msg = "an enrolment for another ask"
        raise MalformedMessage(msg)
    wanted = ask.claims.key_thumbprints
    if wanted is not None and claims.keys.thumbprints() != wanted:
        msg = "other keys than the paired phone approved"
        raise MalformedMessage(msg)


def verify_passkey(claims: EnrolmentClaims, *, rp_id: str, origin: str) -> Passkey | None:
    """Verify a PWA's passkey, registration and assertion; ``None`` for other phones.

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
