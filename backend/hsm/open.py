"""Opens the HSM that the settings name."""

from collections.abc import Callable
from pathlib import Path

from backend.errors import HsmUnavailable, SettingsInvalid
from backend.hsm.pkcs11 import Pkcs11Hsm
from backend.hsm.protocol import Hsm
from backend.hsm.software import SoftwareHsm
from backend.settings import HsmKind, Settings


def open_hsm(settings: Settings) -> Hsm:
    """Open the HSM; a PKCS#11 token is not touched before it is used.

    Raises:
        HsmNotReady: the software vault was not initialised.
        SettingsInvalid: software cells in production, or no PKCS#11 module or PIN file is named.
    """
    if settings.hsm is HsmKind.SOFTWARE:
        return SoftwareHsm(settings.software_vault_path, environment=settings.environment)
    pin_file = settings.pkcs11_pin_file
    if pin_file is None:
        raise SettingsInvalid("CELLKEY_HSM=pkcs11 needs CELLKEY_PKCS11_PIN_FILE")
    return open_token(settings, read_pin=lambda: read_pin_file(pin_file))


def open_token(settings: Settings, *, read_pin: Callable[[], str]) -> Hsm:
    """Name the settings' PKCS#11 token; ``read_pin`` gives the PIN at each login."""
    return Pkcs11Hsm(module=pkcs11_module(settings), token=settings.pkcs11_token, read_pin=read_pin)


def pkcs11_module(settings: Settings) -> Path:
    """Path of the PKCS#11 module.

    Raises:
        SettingsInvalid: none is named.
    """
    if settings.pkcs11_module is None:
        raise SettingsInvalid("CELLKEY_HSM=pkcs11 needs CELLKEY_PKCS11_MODULE")
    return settings.pkcs11_module


def read_pin_file(path: Path) -> str:
    """Read a PIN, without the end of its line.

    Raises:
        HsmUnavailable: the file cannot be read.
    """
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise HsmUnavailable(f"no PIN can be read from {path}") from error
