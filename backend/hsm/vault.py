"""The folder in which software cells keep their keys.

Rules:

- Only the owner reads it: the folder has mode 0700, its files 0600.
- A key file is whole or not there (:mod:`backend.hsm.files`); several processes may share a vault.
- Service keys are made once; KS last, so a vault with KS is whole.
- ``kw-1``, ``kw-2``, … are the wrapping keys; the newest wraps, the older ones still unwrap.
- An hour's key is read at each use: when the file is gone, no process has the key.
"""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeGuard

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from backend.errors import AlreadyThere, CellUnopened, HourKeyMissing, HsmNotReady, HsmUnavailable
from backend.hsm import files
from backend.hsm.protocol import SigningServiceKey

_KW_BYTES = 32
_KP_BYTES = 32
_KE_BYTES = 64
_KP_FILE = "kp.key"
_KW_FILE = re.compile(r"kw-([1-9][0-9]{0,5})\.key")
_KE_FILE = re.compile(r"ke-([0-9]{1,10})\.key")
_OTHERS = 0o077


class Vault:
    """A vault whose service keys are made."""

    def __init__(self, path: Path) -> None:
        """Open a vault, and finish what a crash left half erased.

        Raises:
            HsmNotReady: it was not initialised, or others may read it.
        """
        if not (path / _file_of(SigningServiceKey.RECORDS)).exists():
            raise HsmNotReady(f"the vault {path} has no keys: run `cellkey hsm init`")
        if path.stat().st_mode & _OTHERS:
            raise HsmNotReady(f"others may read the vault {path}: run `chmod 700 {path}`")
        files.finish_erasing(path)
        self.path = path

    @staticmethod
    def make(path: Path) -> None:
        """Make the folder and its service keys. What was interrupted may be repeated.

        Raises:
            AlreadyThere: they are made already; they stay as they are.
        """
        if (path / _file_of(SigningServiceKey.RECORDS)).exists():
            raise AlreadyThere(f"the vault {path} has its keys already")
        with _unavailable_if_it_fails(path):
            # mkdir gives parents the default mode, and the database will lie beside the vault.
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.mkdir(mode=0o700, exist_ok=True)
            path.chmod(0o700)
            _create_once(path / "kw-1.key", secrets.token_bytes(_KW_BYTES))
            _create_once(path / _KP_FILE, secrets.token_bytes(_KP_BYTES))
            for key in reversed(SigningServiceKey):  # KS is the first, so it is made last
                _create_once(path / _file_of(key), _new_service_key())

    def wrapping_key(self, kw: str) -> bytes:
        """Value of a wrapping key.

        Raises:
            CellUnopened: there is none of this name.
        """
        name = f"{kw}.key"
        value = self._read(name) if _KW_FILE.fullmatch(name) else None
        if value is None:
            raise CellUnopened("there is no wrapping key of this name")
        return value

    def newest_wrapping_key(self) -> str:
        """Name of the wrapping key that wraps."""
        numbers = self._numbers(_KW_FILE)
        if not numbers:
            raise HsmUnavailable(f"the vault {self.path} has no wrapping key")
        return f"kw-{max(numbers)}"

    def pepper_key(self) -> bytes:
        """Value of KP."""
        return self._read_service_key(_KP_FILE)

    def service_key(self, key: SigningServiceKey) -> ec.EllipticCurvePrivateKey:
        """A service key that signs."""
        name = _file_of(key)
        try:
            loaded = serialization.load_der_private_key(self._read_service_key(name), None)
        except ValueError as error:
            raise _damaged(self.path / name) from error
        if not is_p256(loaded):
            raise _damaged(self.path / name)
        return loaded

    def make_hour_key(self, hour: int) -> None:
        """Make KE of an hour, unless it is there already."""
        path = self.path / _hour_file(hour)
        if not path.exists():
            with _unavailable_if_it_fails(path):
                _create_once(path, secrets.token_bytes(_KE_BYTES))

    def hour_key(self, hour: int) -> bytes:
        """Value of KE of an hour.

        Raises:
            HourKeyMissing: it was never made, or is destroyed.
        """
        name = _hour_file(hour)
        value = self._read(name)
        # A key that is being destroyed loses its name first: then what was read may be zeros.
        if value is None or not (self.path / name).exists():
            raise HourKeyMissing(f"the key of hour {hour} is not there")
        return value

    def hours(self) -> frozenset[int]:
        """The hours whose KE is there."""
        return self._numbers(_KE_FILE)

    def destroy_hour_key(self, hour: int) -> None:
        """Overwrite and remove KE of an hour; nothing happens if it is not there."""
        path = self.path / _hour_file(hour)
        with _unavailable_if_it_fails(path):
            files.erase(path)

    def _read_service_key(self, name: str) -> bytes:
        value = self._read(name)
        if value is None:
            raise _damaged(self.path / name)
        return value

    def _read(self, name: str) -> bytes | None:
        """Content of a file; ``None`` if the vault is there, but not this file."""
        path = self.path / name
        with _unavailable_if_it_fails(path):
            try:
                return path.read_bytes()
            except FileNotFoundError:
                self.path.stat()
                return None

    def _numbers(self, form: re.Pattern[str]) -> frozenset[int]:
        with _unavailable_if_it_fails(self.path):
            found = [form.fullmatch(entry.name) for entry in self.path.iterdir()]
        return frozenset(int(match[1]) for match in found if match)


def is_p256(key: object) -> TypeGuard[ec.EllipticCurvePrivateKey]:
    """Whether this is a private key of P-256."""
    return isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)


def _file_of(key: SigningServiceKey) -> str:
    return f"{key.lower()}.der"


def _hour_file(hour: int) -> str:
    return f"ke-{hour:d}.key"


def _new_service_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _create_once(path: Path, content: bytes) -> None:
    """Make a file, unless another process, or an earlier try, made it."""
    try:
        files.create(path, content)
    except FileExistsError:
        return


@contextmanager
def _unavailable_if_it_fails(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HsmUnavailable(f"{path}: {error.strerror}") from error


def _damaged(path: Path) -> HsmUnavailable:
    return HsmUnavailable(f"{path} is damaged or not there: restore it from its backup")
