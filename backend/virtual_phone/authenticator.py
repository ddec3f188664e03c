"""A passkey in software, and the browser's part round it (WebAuthn level 3).

``create`` and ``get`` answer as ``navigator.credentials`` does, reduced to the members that section
2 sends. User presence and verification are always set: whoever runs this phone is its user.
Attestation is ``none``. The PRF is CTAP's hmac-secret with one salt.
"""

import hashlib
import hmac
import os
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from backend.virtual_phone.encoding import b64u, compact_json, sha256, unb64u
from backend.virtual_phone.errors import CannotAnswer
from backend.virtual_phone.jose import COORDINATE, ES256, key_bytes, key_from, new_key

USER_PRESENT = 0x01
USER_VERIFIED = 0x04
CREDENTIAL_INCLUDED = 0x40
NO_AAGUID = bytes(16)
CREDENTIAL_ID = 32


class Passkey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the authenticator keeps; byte values are base64url."""

    id: str
    rp_id: str
    origin: str
    private_key: str
    """PKCS#8."""
    prf_secret: str
    """32 bytes; CTAP calls them CredRandom."""


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of ``create``, by its names on the wire."""

    id: str
    attestation_object: str = msgspec.field(name="attestationObject")
    client_data: str = msgspec.field(name="clientDataJSON")


class Assertion(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of ``get``, by its names on the wire."""

    id: str
    authenticator_data: str = msgspec.field(name="authenticatorData")
    client_data: str = msgspec.field(name="clientDataJSON")
    signature: str


def create(*, app: str, challenge: bytes) -> tuple[Passkey, Registration]:
    """Make a passkey for the app at that address.

    Raises:
        CannotAnswer: a browser makes no passkey there: not an http(s) address with a host.
    """
    origin, rp_id = _origin(app)
    key = new_key()
    credential_id = os.urandom(CREDENTIAL_ID)
    passkey = Passkey(
        id=b64u(credential_id),
        rp_id=rp_id,
        origin=origin,
        private_key=b64u(key_bytes(key)),
        prf_secret=b64u(os.urandom(32)),
    )
    return passkey, register(passkey, challenge=challenge)


def register(passkey: Passkey, *, challenge: bytes) -> Registration:
    """What ``create`` answers for a passkey that is made."""
    credential_id, key = unb64u(passkey.id), key_from(unb64u(passkey.private_key))
    attested = NO_AAGUID + CREDENTIAL_ID.to_bytes(2) + credential_id + cose_key(key)
    flags = USER_PRESENT | USER_VERIFIED | CREDENTIAL_INCLUDED
    data = authenticator_data(passkey.rp_id, flags=flags) + attested
    client = client_data("webauthn.create", challenge=challenge, origin=passkey.origin)
    return Registration(
        id=passkey.id,
        attestation_object=b64u(attestation_object(data)),
        client_data=b64u(client),
    )


def get(passkey: Passkey, *, challenge: bytes, salt: bytes) -> tuple[Assertion, bytes]:
    """Sign a challenge; give the PRF's output for ``salt`` beside it."""
    data = authenticator_data(passkey.rp_id, flags=USER_PRESENT | USER_VERIFIED)
    client = client_data("webauthn.get", challenge=challenge, origin=passkey.origin)
    signature = key_from(unb64u(passkey.private_key)).sign(data + sha256(client), ES256)
    assertion = Assertion(
        id=passkey.id,
        authenticator_data=b64u(data),
        client_data=b64u(client),
        signature=b64u(signature),
    )
    # WebAuthn, 10.1.4: the page's salt is hashed before the authenticator sees it.
    evaluated = sha256(b"WebAuthn PRF\0" + salt)
    return assertion, hmac.digest(unb64u(passkey.prf_secret), evaluated, hashlib.sha256)


def client_data(kind: str, *, challenge: bytes, origin: str) -> bytes:
    """``clientDataJSON`` as a browser writes it."""
    return compact_json(
        {"type": kind, "challenge": b64u(challenge), "origin": origin, "crossOrigin": False}
    )


def authenticator_data(rp_id: str, *, flags: int) -> bytes:
    """Authenticator data without credential and extensions; a passkey's counter stays 0."""
    return sha256(rp_id.encode()) + bytes([flags]) + bytes(4)


def cose_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Public key as COSE: ``{1: 2, 3: -7, -1: 1, -2: x, -3: y}`` (RFC 9053)."""
    numbers = key.public_key().public_numbers()
    x, y = numbers.x.to_bytes(COORDINATE), numbers.y.to_bytes(COORDINATE)
    return bytes.fromhex("a5010203262001215820") + x + bytes.fromhex("225820") + y


def attestation_object(data: bytes) -> bytes:
    """CBOR of ``{"fmt": "none", "attStmt": {}, "authData": data}`` (24 to 255 bytes of data)."""
    head = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58"
    return head + len(data).to_bytes(1) + data


def _origin(app: str) -> tuple[str, str]:
    parts = urlsplit(app)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CannotAnswer("a passkey needs the address of the app (--app)")
    return f"{parts.scheme}://{parts.netloc}", parts.hostname
