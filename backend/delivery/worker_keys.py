"""The worker's own keys, as files: one opens what is sealed to it, one is our VAPID identity.

1. Both are P-256. Private halves are PEM files (PKCS#8) that only their owner may read; public
   halves stand beside them, for who must not read the private ones (the SAM, the phones' API).
2. A private key is never replaced: another VAPID key would end every push subscription, another
   SMS key would lose what is sealed to the old one: texts, and the secrets of webhooks. Public
   halves are written again from them.
3. A file is there whole or not at all, whoever else makes it at the same time.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from backend.errors import AlreadyThere, MalformedMessage, SettingsInvalid
from backend.protocol.encoding import b64u, read_message, write_message
from backend.protocol.jose import PublicJwk
from backend.settings import Settings

PRIVATE: Final = 0o600
PUBLIC: Final = 0o644


def push_key_path(settings: Settings) -> Path:
    """Where the public half of the VAPID key lies: beside the private one."""
    return settings.vapid_key_path.with_suffix(".pub")


def make_worker_keys(settings: Settings, *, if_missing: bool) -> None:
    """Make both keys at the paths of the settings.

    Args:
        settings: where.
        if_missing: keep a private key that is there; otherwise one there is an error.

    Raises:
        AlreadyThere: a private key is there; nothing was changed.
        SettingsInvalid: a file cannot be read or written.
    """
    private = (settings.worker_key_path, settings.vapid_key_path)
    there = [str(path) for path in private if path.exists()]
    if there and not if_missing:
        raise AlreadyThere("a private key is never replaced: " + ", ".join(there))
    try:
        for path in private:
            _make_private_key(path)
        sms_key = PublicJwk.of(read_sms_key(settings).public_key())
        _replace(settings.worker_public_key_path, write_message(sms_key))
        push_key = push_key_of(read_vapid_key(settings))
        _replace(push_key_path(settings), push_key.encode("ascii"))
    except OSError as error:
        raise SettingsInvalid(f"worker's keys: {error}") from error


def read_sms_key(settings: Settings) -> ec.EllipticCurvePrivateKey:
    """Read the key that opens sealed SMS texts.

    Raises:
        SettingsInvalid: it is not there, or not a P-256 key.
    """
    return _read_private_key(settings.worker_key_path)


def read_vapid_key(settings: Settings) -> ec.EllipticCurvePrivateKey:
    """Read our VAPID key.

    Raises:
        SettingsInvalid: it is not there, or not a P-256 key.
    """
    return _read_private_key(settings.vapid_key_path)


def read_worker_public_key(settings: Settings) -> PublicJwk:
    """Read the key to which the SAM seals SMS texts.

    Raises:
        SettingsInvalid: it is not there, or not a JWK of a P-256 key.
    """
    path = settings.worker_public_key_path
    try:
        return read_message(_read(path), PublicJwk)
    except MalformedMessage as error:
        raise SettingsInvalid(f"{path}: {error}") from error


def read_push_key(settings: Settings) -> str:
    """Read our VAPID public key as browsers want it: base64url of the uncompressed point.

    Raises:
        SettingsInvalid: it is not there.
    """
    return _read(push_key_path(settings)).decode("ascii", "replace")


def push_key_of(key: ec.EllipticCurvePrivateKey) -> str:
    """The public half of a VAPID key, as :func:`read_push_key` gives it."""
    point = key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    return b64u(point)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsInvalid(f"{error}; `cellkey worker keys` makes it") from error


def _read_private_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(_read(path), password=None)
    except (ValueError, TypeError) as error:
        raise SettingsInvalid(f"{path} is not a private key without password, in PEM") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise SettingsInvalid(f"{path} is not a P-256 key")
    return key


def _make_private_key(path: Path) -> None:
    """Make a key, unless one is there or appears meanwhile."""
    if path.exists():
        return
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with suppress(FileExistsError):
        _place(path, pem, mode=PRIVATE, move=os.link)


def _replace(path: Path, content: bytes) -> None:
    _place(path, content, mode=PUBLIC, move=os.replace)


def _place(path: Path, content: bytes, *, mode: int, move: Callable[[Path, Path], None]) -> None:
    """Write beside, then move there at once; ``os.link`` refuses what is there already."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{token_hex(8)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        move(beside, path)
    finally:
        beside.unlink(missing_ok=True)
