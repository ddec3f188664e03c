"""The form of locks and of the cell's outer layer: what each is bound to (section 5).

A lock keeps the cell's secret as LUKS keeps a disk's key in slots. Its label binds it to cell,
kind, purpose and holder, so that one moved elsewhere does not open.
"""

import hmac
import os
from typing import Final, Literal
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from backend.errors import MalformedMessage
from backend.protocol.encoding import Octets32, ascii_bytes, b64u, sha256, unb64u
from backend.protocol.jose import PublicJwk, make_seal

DEVICE_LOCK_TYP: Final = "cell-lock"
LABEL: Final = b"cell-lock-v1\0"
OUTER: Final = b"cell-outer-v1"
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
KEY_BYTES: Final = 32
LONGEST_LOCK: Final = 1024
LONGEST_NAME: Final = 64

LockKind = Literal["envelope", "device", "password", "recovery"]
Purpose = Literal["sign", "recover"]


def hkdf(
    secret: bytes, *, info: bytes, salt: bytes | None = None, length: int = KEY_BYTES
) -> bytes:
    """HKDF-SHA-256 (RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)


def lock_label(*, cell: UUID, kind: LockKind, purpose: Purpose, holder: bytes) -> bytes:
    """What a lock is bound to; ``holder`` is the pairing id, kid, signer id, or empty."""
    return LABEL + cell.bytes + kind.encode() + b"\0" + purpose.encode() + b"\0" + holder


def envelope_label(cell: UUID, pairing: UUID) -> bytes:
    """Label of the envelope lock."""
    return lock_label(cell=cell, kind="envelope", purpose="recover", holder=pairing.bytes)


def device_label(cell: UUID, kid: bytes) -> bytes:
    """Label of a phone's lock."""
    return lock_label(cell=cell, kind="device", purpose="sign", holder=kid)


def password_label(cell: UUID, signer: UUID, purpose: Purpose) -> bytes:
    """Label of the password lock."""
    return lock_label(cell=cell, kind="password", purpose=purpose, holder=signer.bytes)


def recovery_label(cell: UUID) -> bytes:
    """Label of the recovery code's lock."""
    return lock_label(cell=cell, kind="recovery", purpose="recover", holder=b"")


def outer_aad(*, cell: UUID, spki: bytes, algorithm: str, kw: str) -> bytes:
    """What the outer layer of a wrapped key is bound to.

    Raises:
        MalformedMessage: a name is not ASCII, or too long.
    """
    names = (ascii_bytes(name, longest=LONGEST_NAME) for name in (algorithm, kw))
    return OUTER + b"\0" + cell.bytes + sha256(spki) + b"\0".join(names)


def outer_key(secret: bytes, cell: UUID) -> bytes:
    """Key of the outer layer: only the cell's secret gives it."""
    return hkdf(secret, info=OUTER, salt=cell.bytes)


def pairing_id(envelope_secret: bytes) -> UUID:
    """Id of the pairing to which an envelope's secret belongs."""
    return UUID(bytes=hkdf(envelope_secret, info=b"cell-pairing-id-v1", length=16))


def envelope_key(envelope_secret: bytes) -> bytes:
    """Key of the envelope lock."""
    return hkdf(envelope_secret, info=b"cell-envelope-v1")


def recovery_key(code: bytes, cell: UUID) -> bytes:
    """Key of the recovery lock; the phone makes it, the server never sees the code."""
    return hkdf(code, info=b"cell-recovery-v1", salt=cell.bytes)


def lock_raw(plaintext: bytes, *, key: bytes, label: bytes) -> str:
    """Encrypt with AES-256-GCM: base64url of nonce ‖ ciphertext ‖ tag."""
    return b64u(encrypt(plaintext, key=key, aad=label))


def unlock_raw(unverified_lock: str, *, key: bytes, label: bytes) -> bytes:
    """Open a raw lock.

    Raises:
        MalformedMessage: another key or label, or it was changed.
    """
    return decrypt(_raw(unverified_lock), key=key, aad=label)


def _raw(unverified_lock: str) -> bytes:
    if len(unverified_lock) > LONGEST_LOCK:
        raise MalformedMessage("too long for a lock")
    return unb64u(unverified_lock)


def encrypt(plaintext: bytes, *, key: bytes, aad: bytes) -> bytes:
    """AES-256-GCM with a random nonce in front."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, aad)


def decrypt(unverified: bytes, *, key: bytes, aad: bytes) -> bytes:
    """Undo :func:`encrypt`.

    Raises:
        MalformedMessage: another key or binding, or it was changed.
    """
    if len(unverified) < NONCE_BYTES + TAG_BYTES:
        raise MalformedMessage("too short for a sealed value")
    try:
        return AESGCM(key).decrypt(unverified[:NONCE_BYTES], unverified[NONCE_BYTES:], aad)
    except InvalidTag as error:
        raise MalformedMessage("does not open: another key or binding") from error


def lock_to_device(secret: bytes, *, unlock: PublicJwk, cell: UUID, kid: bytes) -> str:
    """Lock the cell's secret to a phone's unlock key: a compact JWE."""
    label = device_label(cell, kid)
    return make_seal(secret, typ=DEVICE_LOCK_TYP, recipient=unlock, apv=label)


def pin(secret: bytes, *, ks: PublicJwk, cell: UUID, kid: bytes) -> bytes:
    """Vouch for KS to a phone that no envelope told it: only who has the cell's secret can."""
    key = hkdf(secret, info=b"cell-pin-v1", salt=cell.bytes)
    return hmac.digest(key, ks.thumbprint() + kid, "sha256")


def check_recovery_lock(unverified_lock: str) -> str:
    """Check the size of an uploaded recovery lock; only its owner can open it.

    Raises:
        MalformedMessage: it has not the size of one.
    """
    if len(_raw(unverified_lock)) != NONCE_BYTES + KEY_BYTES + TAG_BYTES:
        raise MalformedMessage("not a recovery lock")
    return unverified_lock


def envelope_plaintext(secret: bytes, ks: PublicJwk) -> bytes:
    """What the envelope lock holds: the secret, and which KS to believe."""
    return secret + ks.thumbprint()


def split_envelope_plaintext(opened: bytes) -> tuple[bytes, Octets32]:
    """Undo :func:`envelope_plaintext`.

    Raises:
        MalformedMessage: it is not of two halves.
    """
    return opened[:KEY_BYTES], Octets32(opened[KEY_BYTES:])
