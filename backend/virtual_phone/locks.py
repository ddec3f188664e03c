"""Locks that keep the cell's secret, and the phone's own wrapping (sections 5 and 6).

A lock opens only under its label: cell, kind, purpose and id are in its additional data, so a lock
of another cell, or for another use, fails like a forged one.
"""

import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from backend.virtual_phone.encoding import b64u, sha256, unb64u
from backend.virtual_phone.errors import MessageRefused
from backend.virtual_phone.jose import NONCE, TAG, key_bytes, key_from, unseal

CELL_SECRET = 32
THUMBPRINT = 32
KEY = 32
BY_PASSKEY = "cell-unlock-v1"
BY_KEY = "cell-unlock-key-v1"
"""What the unlock key is kept under: HKDF info."""
LOCK_LIMIT = 1024


def hkdf(secret: bytes, *, info: str, salt: bytes | None = None, length: int = KEY) -> bytes:
    """HKDF-SHA256 (RFC 5869)."""
    return HKDF(hashes.SHA256(), length=length, salt=salt, info=info.encode()).derive(secret)


def label(*, cell: bytes, kind: str, purpose: str, ident: bytes = b"") -> bytes:
    """Label of a lock."""
    names = kind.encode() + b"\0" + purpose.encode() + b"\0"
    return b"cell-lock-v1\0" + cell + names + ident


def pairing_id(secret: bytes) -> bytes:
    """The 16 bytes of the pairing's UUID, from the envelope's secret."""
    return hkdf(secret, info="cell-pairing-id-v1", length=16)


def open_envelope(unverified: str, *, secret: bytes, cell: bytes) -> tuple[bytes, bytes]:
    """The cell's secret and the thumbprint of KS that the envelope pins.

    Raises:
        MessageRefused: the lock is not the one of this envelope and cell.
    """
    data = decrypt(
        unverified,
        key=hkdf(secret, info="cell-envelope-v1"),
        associated=label(cell=cell, kind="envelope", purpose="recover", ident=pairing_id(secret)),
        length=CELL_SECRET + THUMBPRINT,
    )
    return data[:CELL_SECRET], data[CELL_SECRET:]


def open_device_lock(
    unverified: str, *, cell: bytes, kid: bytes, unlock: ec.EllipticCurvePrivateKey
) -> bytes:
    """The cell's secret from this phone's lock.

    Raises:
        MessageRefused: the lock is not the one of this phone and cell.
    """
    apv = label(cell=cell, kind="device", purpose="sign", ident=kid)
    secret = unseal(unverified, typ="cell-lock", key=unlock, apu=None, apv=apv)
    if len(secret) != CELL_SECRET:
        raise MessageRefused("a device lock does not hold a cell's secret")
    return secret


def make_recovery_lock(cell_secret: bytes, *, code: bytes, cell: bytes) -> str:
    """The lock that a recovery code of 16 bytes opens."""
    return encrypt(
        cell_secret,
        key=hkdf(code, salt=cell, info="cell-recovery-v1"),
        associated=label(cell=cell, kind="recovery", purpose="recover"),
    )


def open_recovery_lock(unverified: str, *, code: bytes, cell: bytes) -> bytes:
    """The cell's secret by the recovery code.

    Raises:
        MessageRefused: another code or cell.
    """
    return decrypt(
        unverified,
        key=hkdf(code, salt=cell, info="cell-recovery-v1"),
        associated=label(cell=cell, kind="recovery", purpose="recover"),
        length=CELL_SECRET,
    )


def pin(secret: bytes, *, ks: bytes, cell: bytes, kid: bytes) -> bytes:
    """What vouches for KS, a thumbprint, to a phone that no envelope told it."""
    key = hkdf(secret, salt=cell, info="cell-pin-v1")
    return hmac.digest(key, ks + kid, "sha256")


def prf_salt(cell: bytes) -> bytes:
    """What the passkey's PRF is evaluated at."""
    return sha256(b"cell-prf-v1\0" + cell)


def security_key_salt(cell: bytes) -> bytes:
    """What a security key's PRF is evaluated at."""
    return sha256(b"cell-prf-key-v1\0" + cell)


def wrap_unlock(
    unlock: ec.EllipticCurvePrivateKey,
    *,
    prf_output: bytes,
    cell: bytes,
    info: str = BY_PASSKEY,
) -> str:
    """The unlock key under a PRF output: the passkey's, or with ``BY_KEY`` a security key's."""
    key = hkdf(prf_output, info=info)
    return encrypt(key_bytes(unlock), key=key, associated=cell)


def unwrap_unlock(
    wrapped: str, *, prf_output: bytes, cell: bytes, info: str = BY_PASSKEY
) -> ec.EllipticCurvePrivateKey:
    """The unlock key again.

    Raises:
        MessageRefused: the PRF output is of another passkey, or for another cell.
    """
    key = hkdf(prf_output, info=info)
    return key_from(decrypt(wrapped, key=key, associated=cell))


def encrypt(plaintext: bytes, *, key: bytes, associated: bytes) -> str:
    """A raw AES-GCM value: base64url(nonce ‖ ciphertext ‖ tag)."""
    nonce = os.urandom(NONCE)
    return b64u(nonce + AESGCM(key).encrypt(nonce, plaintext, associated))


def decrypt(unverified: str, *, key: bytes, associated: bytes, length: int | None = None) -> bytes:
    """Plaintext of a raw AES-GCM value.

    Raises:
        MessageRefused: it does not open, or holds another number of bytes than ``length``.
    """
    if len(unverified) > LOCK_LIMIT:
        raise MessageRefused(f"a lock is longer than {LOCK_LIMIT} characters")
    expected = None if length is None else NONCE + length + TAG
    data = unb64u(unverified, length=expected)
    try:
        return AESGCM(key).decrypt(data[:NONCE], data[NONCE:], associated)
    except (InvalidTag, ValueError) as error:
        raise MessageRefused("a lock does not open") from error
