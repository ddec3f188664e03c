"""What the phone says (section 2), as pure functions: equal arguments, equal claims.

Every claim stands in every message; what is said to be optional is ``null`` where it is not there.
"""

import base64
from collections.abc import Mapping
from typing import Literal
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from backend.virtual_phone.encoding import b64u, in_groups, sha256
from backend.virtual_phone.invitation import PhoneKeys, thumbprints
from backend.virtual_phone.jose import Jwk, jwk_of, seal, sign

Decision = Literal["reject", "not_me"]
PhoneKind = Literal["virtual", "pwa", "desktop"]
BROWSERS: frozenset[PhoneKind] = frozenset({"pwa", "desktop"})
"""Kinds that bring a passkey."""


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """The cell's secret, sealed to one transaction."""

    compact: str
    epk: bytes
    """Thumbprint of the ephemeral key."""


def seal_secret(
    cell_secret: bytes,
    *,
    sam: Jwk,
    ephemeral: ec.EllipticCurvePrivateKey,
    approval_key: bytes,
    tx_hash: bytes,
) -> Sealed:
    """Seal to the transaction key of an ask; ``approval_key`` is a thumbprint."""
    compact = seal(
        cell_secret,
        typ="cell-secret",
        recipient=sam,
        ephemeral=ephemeral,
        apu=approval_key,
        apv=tx_hash,
    )
    return Sealed(compact=compact, epk=jwk_of(ephemeral).thumbprint())


def approval_challenge(*, tx_hash: bytes, epk: bytes) -> bytes:
    """What a passkey signs for an approval."""
    return sha256(b"cell-approve-v1\0" + tx_hash + epk)


def enrolment_challenge(*, tx_hash: bytes, keys: PhoneKeys, epk: bytes | None) -> bytes:
    """What a passkey signs at registration, twice; ``epk`` is ``None`` where nothing is sealed."""
    sealed_with = bytes(32) if epk is None else epk
    return sha256(b"cell-enrol-v1\0" + tx_hash + b"".join(thumbprints(keys)) + sealed_with)


def security_key_challenge(*, record: bytes, kid: bytes) -> bytes:
    """What a new security key signs, twice; ``record`` is the hash of the cell's newest record."""
    return sha256(b"cell-security-key-v1\0" + record + kid)


def consent_challenge(*, record: bytes, kid: bytes, attestation_object: bytes) -> bytes:
    """What a passkey that the record knows signs, so that the new one is let in."""
    return sha256(b"cell-security-key-consent-v1\0" + record + kid + sha256(attestation_object))


def security_key(
    *,
    key: ec.EllipticCurvePrivateKey,
    record: bytes,
    webauthn: Mapping[str, object],
    consent: Mapping[str, object],
) -> str:
    """A ``cell-security-key+jwt`` by the phone's approval key."""
    claims: dict[str, object] = {"record": b64u(record), "webauthn": webauthn, "consent": consent}
    return sign(claims, typ="cell-security-key+jwt", key=key)


def twelve_characters(enrolment: str) -> str:
    """The characters that name this phone, in groups of four."""
    digest = sha256(b"cell-pair-v1\0" + enrolment.encode())
    return in_groups(base64.b32encode(digest).decode()[:12], size=4)


def enrolment(
    *,
    key: ec.EllipticCurvePrivateKey,
    tx_hash: bytes,
    keys: PhoneKeys,
    kind: PhoneKind,
    sealed: Sealed | None,
    webauthn: Mapping[str, object] | None,
) -> str:
    """A ``cell-enrolment+jwt`` by the new approval key.

    Without ``sealed`` another phone, or the password, brings CS.
    """
    claims: dict[str, object] = {
        "tx_hash": b64u(tx_hash),
        "keys": {
            "approval": keys.approval.members(),
            "request": keys.request.members(),
            "unlock": keys.unlock.members(),
        },
        "kind": kind,
        "sealed": None if sealed is None else b64u(sha256(sealed.compact.encode())),
        "epk": None if sealed is None else b64u(sealed.epk),
        "webauthn": webauthn,
        "attestation": None,
    }
    return sign(claims, typ="cell-enrolment+jwt", key=key)


def approval(
    *,
    key: ec.EllipticCurvePrivateKey,
    tx: str,
    tx_hash: bytes,
    sealed: Sealed,
    number: str | None,
    webauthn: Mapping[str, object] | None,
    now: int,
    jti: UUID,
) -> str:
    """A ``cell-approval+jwt`` by the approval key."""
    claims: dict[str, object] = {
        "tx": tx,
        "tx_hash": b64u(tx_hash),
        "decision": "approve",
        "sealed": b64u(sha256(sealed.compact.encode())),
        "epk": b64u(sealed.epk),
        "number": number,
        "iat": now,
        "jti": str(jti),
        "webauthn": webauthn,
    }
    return sign(claims, typ="cell-approval+jwt", key=key)


def refusal(
    *,
    key: ec.EllipticCurvePrivateKey,
    tx: str,
    tx_hash: bytes,
    decision: Decision,
    now: int,
    jti: UUID,
) -> str:
    """A ``cell-refusal+jwt`` by the request key."""
    claims: dict[str, object] = {
        "tx": tx,
        "tx_hash": b64u(tx_hash),
        "decision": decision,
        "iat": now,
        "jti": str(jti),
    }
    return sign(claims, typ="cell-refusal+jwt", key=key)


def request_proof(
    *,
    key: ec.EllipticCurvePrivateKey,
    method: str,
    url: str,
    body: bytes | None,
    now: int,
    jti: UUID,
) -> str:
    """A ``dpop+jwt`` for one request; the query is no part of ``htu``."""
    claims: dict[str, object] = {
        "htm": method,
        "htu": url.partition("?")[0],
        "iat": now,
        "jti": str(jti),
        "body": b64u(sha256(body)) if body else None,
    }
    return sign(claims, typ="dpop+jwt", key=key)
