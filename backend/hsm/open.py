"""Opens the HSM that the settings name."""

from backend.errors import HsmNotReady, SettingsInvalid
from backend.hsm.pkcs11 import Pkcs11Hsm
from backend.hsm.protocol import Hsm
from backend.hsm.software import SoftwareHsm
from backend.settings import HsmKind, Settings


def open_hsm(settings: Settings) -> Hsm:
    """Open the HSM; the PIN is read from its file here and nowhere else.

    Raises:
        HsmNotReady: keys of ``cellkey hsm init`` are missing, or the PIN's file is.
        SettingsInvalid: software cells in production, or no PKCS#11 module named.
    """
    if settings.hsm is HsmKind.SOFTWARE:
        return SoftwareHsm(settings.software_vault_path, environment=settings.environment)
    if settings.pkcs11_module is None or settings.pkcs11_pin_file is None:
        raise SettingsInvalid("pkcs11 needs a module and a PIN file")
    try:
        pin = settings.pkcs11_pin_file.read_text("utf-8").strip()
    except OSError as error:
        raise HsmNotReady(f"no PIN at {settings.pkcs11_pin_file}") from error
    return Pkcs11Hsm(settings.pkcs11_module, token=settings.pkcs11_token, pin=pin)
