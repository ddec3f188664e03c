"""A browser names a security key as a further passkey (``cell-security-key+jwt``).

It is signed by the phone's approval key and names the very record that it is to follow, so it
counts once. The new passkey signs that record's hash; one that the record knows already signs the
same and the new passkey's registration: that is the signer's consent.
"""

from typing import Final, final

import msgspec

from backend.protocol.encoding import Octets32, sha256
from backend.protocol.enrolment import PasskeyEnrolment
from backend.protocol.jose import unverified_header, verify_jws
from backend.protocol.record import Passkey, RecordDevice
from backend.protocol.webauthn import Assertion, verify_assertion, verify_registration

TYP: Final = "cell-security-key+jwt"
NEW_KEY: Final = b"cell-security-key-v1\0"
CONSENT: Final = b"cell-security-key-consent-v1\0"


@final
class SecurityKeyClaims(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The claims; all are present."""

    record: Octets32
    """SHA-256 of the record that this is for."""
    webauthn: PasskeyEnrolment
    """The new passkey, and its first assertion."""
    consent: Assertion
    """By a passkey that the record knows."""


def presenting_kid(unverified_message: str) -> Octets32:
    """The phone that a message says it is of: only to look for it in the record.

    Raises:
        MalformedMessage: it is no such message.
    """
    return unverified_header(unverified_message, expected_typ=TYP).kid


def read_security_key(
    unverified_message: str, *, expected_device: RecordDevice
) -> SecurityKeyClaims:
    """Verify that the phone's approval key signed the message.

    Raises:
        MalformedMessage: it did not.
    """
    return verify_jws(
        unverified_message,
        SecurityKeyClaims,
        expected_typ=TYP,
        expected_key=expected_device.approval,
    )


def new_key_challenge(*, record: bytes, kid: bytes) -> Octets32:
    """What the new passkey signs, twice; ``record`` is the record's hash."""
    return sha256(NEW_KEY + record + kid)


def consent_challenge(*, record: bytes, kid: bytes, attestation_object: bytes) -> Octets32:
    """What a passkey that the record knows signs: it covers the new one's id and key."""
    return sha256(CONSENT + record + kid + sha256(attestation_object))


def check_consent(claims: SecurityKeyClaims, device: RecordDevice) -> None:
    """Check that a passkey of the phone agrees, with user verification.

    Raises:
        MalformedMessage: none does.
    """
    passkey = device.passkey(claims.consent.id)
    challenge = consent_challenge(
        record=claims.record,
        kid=device.kid,
        attestation_object=claims.webauthn.registration.attestation_object,
    )
    verify_assertion(claims.consent, expected_challenge=challenge, passkey=passkey)


def verify_new_key(claims: SecurityKeyClaims, *, kid: bytes, rp_id: str, origin: str) -> Passkey:
    """Verify the new passkey, registration and assertion.

    Raises:
        MalformedMessage: one of them is not valid.
    """
    challenge = new_key_challenge(record=claims.record, kid=kid)
    passkey = verify_registration(
        claims.webauthn.registration, expected_challenge=challenge, rp_id=rp_id, origin=origin
    )
    verify_assertion(claims.webauthn.assertion, expected_challenge=challenge, passkey=passkey)
    return passkey
