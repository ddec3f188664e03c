"""Where the SAM is, as the settings say."""

import json
import time
import warnings
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from backend.errors import HsmNotReady, SamUnavailable
from backend.hsm.software import SoftwareCellsWarning, SoftwareHsm
from backend.protocol.encoding import read_message, write_message
from backend.protocol.jose import PublicJwk
from backend.sam.client import SamClient
from backend.sam.connect import connect, open_sam
from backend.sam.module import Sam
from backend.settings import Settings
from tests.world.sam import pem, root_certificate, software_hsm


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


def make_ready(settings: Settings) -> None:
    """What ``cellkey hsm init`` and ``cellkey worker keys`` leave behind."""
    hsm = software_hsm(settings.software_vault_path)
    settings.root_certificate_path.write_bytes(pem(root_certificate(hsm)))
    key = PublicJwk.of(ec.generate_private_key(ec.SECP256R1()).public_key())
    settings.worker_public_key_path.write_bytes(write_message(key) + b"\n")


def connected(settings: Settings) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SoftwareCellsWarning)
        return connect(settings)


def test_without_a_socket_the_sam_is_in_this_process(settings: Settings) -> None:
    make_ready(settings)
    assert isinstance(connected(settings), Sam)


def test_the_sam_speaks_for_the_authority_of_the_settings_by_this_machines_clock(
    tmp_path: Path,
) -> None:
    settings = Settings(
        data_dir=tmp_path,
        ca_name="Authority",
        app_url="https://app.example",
        authorization_server_url="https://as.example:8443/of/ours",
    )
    make_ready(settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SoftwareCellsWarning)
        sam = open_sam(settings)
    before = int(time.time())
    assert (sam._issuer, sam._asks._issuer) == ("Authority", "Authority")
    assert (sam._enrolments._origin, sam._enrolments._rp_id) == (settings.app_url, settings.rp_id)
    assert sam._asks._sms._domain == "as.example"
    assert sam._worker_key == read_message(
        settings.worker_public_key_path.read_bytes().strip(), PublicJwk
    )
    assert before <= sam._clock() <= time.time()


def test_with_a_socket_it_is_behind_it(settings: Settings, tmp_path: Path) -> None:
    elsewhere = Settings(data_dir=settings.data_dir, sam_socket=tmp_path / "sam.sock")
    sam = connected(elsewhere)
    assert isinstance(sam, SamClient)
    with pytest.raises(SamUnavailable, match=r"sam\.sock"):
        sam.health()


def test_an_installation_that_is_not_ready_says_which_command_is_missing(
    settings: Settings,
) -> None:
    with pytest.raises(HsmNotReady, match="cellkey hsm init"):
        connected(settings)
    SoftwareHsm.initialise(settings.software_vault_path)
    with pytest.raises(HsmNotReady, match="no root certificate"):
        connected(settings)


@pytest.mark.parametrize("content", [b"", b"{}", b"no JSON", json.dumps({"kty": "EC"}).encode()])
def test_a_workers_key_that_is_none_says_which_command_is_missing(
    settings: Settings, content: bytes
) -> None:
    make_ready(settings)
    settings.worker_public_key_path.write_bytes(content)
    with pytest.raises(HsmNotReady, match="cellkey worker keys"):
        connected(settings)


def test_a_root_that_is_none_is_refused(settings: Settings) -> None:
    make_ready(settings)
    settings.root_certificate_path.write_bytes(b"-----BEGIN CERTIFICATE-----\n")
    with pytest.raises(HsmNotReady, match="no root certificate"):
        connected(settings)
