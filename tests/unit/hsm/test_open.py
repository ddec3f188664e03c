"""Which HSM the settings name."""

from pathlib import Path

import pytest

from backend.errors import HsmNotReady, HsmUnavailable, SettingsInvalid
from backend.hsm.open import open_hsm, pkcs11_module
from backend.hsm.software import SoftwareCellsWarning, SoftwareHsm
from backend.settings import Environment, HsmKind, Settings
from tests.world.softhsm import MODULE, Token


def test_software_cells_are_opened_where_settings_name_them(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with pytest.raises(HsmNotReady):
        open_hsm(settings)
    SoftwareHsm.initialise(settings.software_vault_path)
    with pytest.warns(SoftwareCellsWarning):
        assert open_hsm(settings).name == "software"


def test_software_cells_are_refused_in_production_though_settings_were_not_checked(
    tmp_path: Path,
) -> None:
    settings = Settings(data_dir=tmp_path, environment=Environment.PRODUCTION)
    SoftwareHsm.initialise(settings.software_vault_path)
    with pytest.raises(SettingsInvalid):
        open_hsm(settings)


def test_a_token_is_opened_with_the_pin_of_its_file(shared_token: Token) -> None:
    settings = Settings(
        hsm=HsmKind.PKCS11,
        pkcs11_module=MODULE,
        pkcs11_token=shared_token.label,
        pkcs11_pin_file=shared_token.pin_file,
    )
    assert open_hsm(settings).health()["token"] == shared_token.label


def test_a_pin_file_that_is_not_there_is_told(shared_token: Token, tmp_path: Path) -> None:
    settings = Settings(
        hsm=HsmKind.PKCS11,
        pkcs11_module=MODULE,
        pkcs11_token=shared_token.label,
        pkcs11_pin_file=tmp_path / "absent",
    )
    with pytest.raises(HsmUnavailable, match="no PIN"):
        open_hsm(settings).random(1)


def test_settings_without_a_pin_file_or_a_module_are_refused() -> None:
    with pytest.raises(SettingsInvalid, match="PIN_FILE"):
        open_hsm(Settings(hsm=HsmKind.PKCS11, pkcs11_module=MODULE))
    with pytest.raises(SettingsInvalid, match="MODULE"):
        pkcs11_module(Settings(hsm=HsmKind.PKCS11))
