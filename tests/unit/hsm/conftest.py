"""HSMs of both kinds, with fresh service keys."""

from pathlib import Path

import pytest

from tests.world.hsms import Place, pkcs11_place, software_place
from tests.world.softhsm import Token, softhsm


@pytest.fixture(scope="session")
def shared_token() -> Token:
    """A token for tests that leave nothing behind."""
    return softhsm().new_token()


@pytest.fixture
def token() -> Token:
    """A token for one test."""
    return softhsm().new_token()


@pytest.fixture(params=["software", "pkcs11"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An HSM of each kind, for tests that leave nothing behind."""
    if request.param == "software":
        return software_place(tmp_path)
    return pkcs11_place(request.getfixturevalue("shared_token"))


@pytest.fixture(params=["software", "pkcs11"])
def fresh_place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An HSM of each kind, for one test."""
    if request.param == "software":
        return software_place(tmp_path)
    return pkcs11_place(request.getfixturevalue("token"))
