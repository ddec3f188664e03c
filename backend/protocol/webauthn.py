"""Passkeys: proof that the phone verified its user (WebAuthn Level 3, 7.1 and 7.2).

The challenge covers the ask and the ephemeral key of the seal, so the authenticator signs the very
text and who seals the secret. ES256 only; the attestation statement is ignored; ``topOrigin`` and a
true ``crossOrigin`` are refused. Parsing is python-fido2's, which is not made for hostile bytes: it
gets bytes only, of bounded length, and whatever it trips over is a refusal.
"""

import hashlib
import struct
from collections.abc import Mapping
from typing import Final, final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from fido2 import cbor
from fido2.webauthn import AuthenticatorData

from backend.errors import MalformedMessage
from backend.protocol.encoding import Octets, Octets32, parse_json, sha256, unb64u
from backend.protocol.jose import PublicJwk
from backend.protocol.record import Passkey

APPROVE: Final = b"cell-approve-v1\0"
ENROL: Final = b"cell-enrol-v1\0"
NO_SEAL: Final = bytes(32)
COSE_ES256: Final = {1: 2, 3: -7, -1: 1}
"""Key type, algorithm and curve of an ES256 key (RFC 9053, 7.1)."""
COSE_X: Final = -2
COSE_Y: Final = -3
PARSER_TRIPS: Final = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)
"""What python-fido2 raises on bytes that are no CBOR, or another CBOR than it expects."""


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
        MalformedMessage: another challenge, site or type, no user verification, another algorithm.
    """
    _check_client_data(
        registration.client_data_json,
        "webauthn.create",
        challenge=expected_challenge,
        origin=origin,
    )
    data = _attested_data(registration.attestation_object)
    _check_authenticator_data(data, rp_id=rp_id)
    credential = data.credential_data
    if credential is None or credential.credential_id != registration.id:
        raise MalformedMessage("webauthn: the credential is not the one registered")
    key = _public_jwk(credential.public_key)
    return Passkey(id=registration.id, key=key, rp_id=rp_id, origin=origin)


def verify_assertion(assertion: Assertion, *, expected_challenge: bytes, passkey: Passkey) -> None:
    """Verify that the passkey's holder was verified by the phone for exactly this challenge.

    Raises:
        MalformedMessage: it was not.
    """
    if assertion.id != passkey.id:
        raise MalformedMessage("webauthn: another passkey")
    _check_client_data(
        assertion.client_data_json,
        "webauthn.get",
        challenge=expected_challenge,
        origin=passkey.origin,
    )
    data = _authenticator_data(assertion.authenticator_data)
    _check_authenticator_data(data, rp_id=passkey.rp_id)
    if data.credential_data is not None:
        raise MalformedMessage("webauthn: an assertion carries no credential (WebAuthn, 6.1)")
    signed = assertion.authenticator_data + hashlib.sha256(assertion.client_data_json).digest()
    try:
        passkey.key.public_key().verify(assertion.signature, signed, ec.ECDSA(SHA256()))
    except InvalidSignature as error:
        raise MalformedMessage("webauthn: the assertion's signature is not valid") from error


def _attested_data(unverified: bytes) -> AuthenticatorData:
    """The authenticator data of an attestation object; its statement is not looked at."""
    try:
        members = cbor.decode(unverified)
    except PARSER_TRIPS as error:
        raise MalformedMessage("webauthn: not an attestation object") from error
    data = members.get("authData") if isinstance(members, dict) else None
    if not isinstance(data, bytes):
        raise MalformedMessage("webauthn: an attestation object without authenticator data")
    return _authenticator_data(data)


def _authenticator_data(unverified: bytes) -> AuthenticatorData:
    try:
        return AuthenticatorData(unverified)
    except PARSER_TRIPS as error:
        raise MalformedMessage("webauthn: not authenticator data") from error


def _check_client_data(
    unverified_json: bytes, expected_type: str, *, challenge: bytes, origin: str
) -> None:
    """Check the client data (WebAuthn 7.1 steps 7 to 11, 7.2 steps 11 to 14)."""
    data = parse_json(unverified_json)
    if not isinstance(data, dict) or data.get("type") != expected_type:
        raise MalformedMessage(f"webauthn: not a {expected_type}")
    given = data.get("challenge")
    if not isinstance(given, str) or unb64u(given) != challenge:
        raise MalformedMessage("webauthn: another challenge")
    if data.get("origin") != origin:
        raise MalformedMessage("webauthn: another origin")
    if data.get("crossOrigin", False) is not False or "topOrigin" in data:
        raise MalformedMessage("webauthn: asked from within another site")


def _check_authenticator_data(data: AuthenticatorData, *, rp_id: str) -> None:
    """Check site and flags; ED, BE and BS may be set."""
    if data.rp_id_hash != hashlib.sha256(rp_id.encode("utf-8")).digest():
        raise MalformedMessage("webauthn: for another site")
    wanted = AuthenticatorData.FLAG.UP | AuthenticatorData.FLAG.UV
    if data.flags & wanted != wanted:
        raise MalformedMessage("webauthn: the user was not verified")


def _public_jwk(cose: Mapping[int, object]) -> PublicJwk:
    """The passkey's key, if it is ES256 in its five members."""
    x, y = cose.get(COSE_X), cose.get(COSE_Y)
    if not isinstance(x, bytes) or not isinstance(y, bytes):
        raise MalformedMessage("webauthn: only ES256 passkeys")
    if dict(cose) != {**COSE_ES256, COSE_X: x, COSE_Y: y}:
        raise MalformedMessage("webauthn: only ES256 passkeys")
    return PublicJwk(x=Octets32(x), y=Octets32(y))
