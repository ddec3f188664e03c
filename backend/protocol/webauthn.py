"""Passkeys: proof that the phone verified its user (WebAuthn Level 3, 7.1 and 7.2).

The challenge covers the ask and the ephemeral key of the seal, so the authenticator signs the very
text and who seals the secret. ES256 only; the attestation statement is ignored; ``topOrigin`` and a
true ``crossOrigin`` are refused. Parsing is python-fido2's.
"""

import hashlib
from typing import Final, final

import msgspec
from cryptography.exceptions import InvalidSignature
from fido2.cose import ES256
from fido2.webauthn import AttestationObject, AuthenticatorData

from backend.errors import MalformedMessage
from backend.protocol.encoding import Octets, Octets32, parse_json, sha256, unb64u
from backend.protocol.jose import PublicJwk
from backend.protocol.record import Passkey

LONGEST_PART: Final = 16 * 1024
APPROVE: Final = b"cell-approve-v1\0"
ENROL: Final = b"cell-enrol-v1\0"
NO_SEAL: Final = bytes(32)
COSE_X: Final = -2
COSE_Y: Final = -3


@final
class Assertion(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """What the browser answered to ``navigator.credentials.get``, and nothing else of it."""

    id: Octets
    authenticator_data: Octets
    client_data_json: Octets = msgspec.field(name="clientDataJSON")
    signature: Octets


@final
class Registration(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """What the browser answered to ``navigator.credentials.create``."""

    id: Octets
    attestation_object: Octets
    client_data_json: Octets = msgspec.field(name="clientDataJSON")


def approval_challenge(*, tx_hash: bytes, epk: bytes) -> Octets32:
    """Challenge of an approval's assertion; ``epk`` is the ephemeral key's thumbprint."""
    return sha256(APPROVE + tx_hash + epk)


def enrolment_challenge(
    *, tx_hash: bytes, approval: bytes, request: bytes, unlock: bytes, epk: bytes | None
) -> Octets32:
    """Challenge of an enrolment's registration and assertion; all arguments are thumbprints."""
    return sha256(ENROL + tx_hash + approval + request + unlock + (epk or NO_SEAL))


def verify_registration(
    registration: Registration, *, expected_challenge: bytes, rp_id: str, origin: str
) -> Passkey:
    """Verify a new passkey and give its key.

    Raises:
        MalformedMessage: another challenge, origin or type, no user verification, another algorithm.
    """
    _check_client_data(
        registration.client_data_json,
        "webauthn.create",
        challenge=expected_challenge,
        origin=origin,
    )
    try:
        data = AttestationObject(_bounded(registration.attestation_object)).auth_data
    except (ValueError, KeyError, TypeError) as error:
        msg = "webauthn: not an attestation object"
        raise MalformedMessage(msg) from error
    _check_authenticator_data(data, rp_id=rp_id)
    credential = data.credential_data
    if credential is None or credential.credential_id != registration.id:
        msg = "webauthn: the credential is not the one registered"
        raise MalformedMessage(msg)
    key = _public_jwk(credential.public_key)
    return Passkey(id=registration.id, key=key, rp_id=rp_id, origin=origin)


def verify_assertion(assertion: Assertion, *, expected_challenge: bytes, passkey: Passkey) -> None:
    """Verify that the passkey's holder was verified by the phone for exactly this challenge.

    Raises:
        MalformedMessage: it was not.
    """
    if assertion.id != passkey.id:
        msg = "webauthn: another passkey"
        raise MalformedMessage(msg)
    _check_client_data(
        assertion.client_data_json,
        "webauthn.get",
        challenge=expected_challenge,
        origin=passkey.origin,
    )
    try:
        data = AuthenticatorData(_bounded(assertion.authenticator_data))
    except (ValueError, KeyError, TypeError) as error:
        msg = "webauthn: not authenticator data"
        raise MalformedMessage(msg) from error
    _check_authenticator_data(data, rp_id=passkey.rp_id)
    signed = assertion.authenticator_data + hashlib.sha256(assertion.client_data_json).digest()
    key = ES256({1: 2, 3: -7, -1: 1, COSE_X: bytes(passkey.key.x), COSE_Y: bytes(passkey.key.y)})
    try:
        key.verify(signed, assertion.signature)
    except InvalidSignature as error:
        msg = "webauthn: the assertion's signature is not valid"
        raise MalformedMessage(msg) from error


def _bounded(unverified: bytes) -> bytes:
    if len(unverified) > LONGEST_PART:
        msg = "webauthn: too long"
        raise MalformedMessage(msg)
    return unverified


def _check_client_data(
    unverified_json: bytes, expected_type: str, *, challenge: bytes, origin: str
) -> None:
    """Check the client data (WebAuthn 7.1 steps 7–11, 7.2 steps 11–14)."""
    data = parse_json(_bounded(unverified_json))
    if not isinstance(data, dict) or data.get("type") != expected_type:
        msg = f"webauthn: not a {expected_type}"
        raise MalformedMessage(msg)
    if not isinstance(data.get("challenge"), str) or unb64u(data["challenge"]) != challenge:
        msg = "webauthn: another challenge"
        raise MalformedMessage(msg)
    if data.get("origin") != origin:
        msg = "webauthn: another origin"
        raise MalformedMessage(msg)
    if data.get("crossOrigin", False) is not False or "topOrigin" in data:
        msg = "webauthn: asked from within another site"
        raise MalformedMessage(msg)


def _check_authenticator_data(data: AuthenticatorData, *, rp_id: str) -> None:
    """Check site and flags; ED, BE and BS may be set."""
    if data.rp_id_hash != hashlib.sha256(rp_id.encode("utf-8")).digest():
        msg = "webauthn: for another site"
        raise MalformedMessage(msg)
    wanted = AuthenticatorData.FLAG.UP | AuthenticatorData.FLAG.UV
    if data.flags & wanted != wanted:
        msg = "webauthn: the user was not verified"
        raise MalformedMessage(msg)


def _public_jwk(key: object) -> PublicJwk:
    """The passkey's key, if it is ES256."""
    if not isinstance(key, ES256):
        msg = "webauthn: only ES256 passkeys"
        raise MalformedMessage(msg)
    try:
        return PublicJwk(x=Octets32(key[COSE_X]), y=Octets32(key[COSE_Y]))
    except (ValueError, KeyError, TypeError) as error:
        msg = "webauthn: not a P-256 key"
        raise MalformedMessage(msg) from error
