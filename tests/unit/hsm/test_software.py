"""Software cells and their vault: what only they can do wrong."""

import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.keywrap import (
    aes_key_unwrap_with_padding,
    aes_key_wrap_with_padding,
)

from backend.algorithms import KeyAlgorithm
from backend.errors import (
    AlreadyThere,
    CellUnopened,
    HourKeyMissing,
    HsmNotReady,
    HsmUnavailable,
    SettingsInvalid,
)
from backend.hsm import files
from backend.hsm.protocol import SigningServiceKey
from backend.hsm.software import SoftwareCellsWarning, SoftwareHsm
from backend.settings import Environment
from tests.world.hsms import open_vault

FILES = {"ca.der", "ka.der", "kp.key", "ks.der", "kw-1.key"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A vault with its keys."""
    SoftwareHsm.initialise(tmp_path / "vault")
    return tmp_path / "vault"


def wrapped_under(path: Path, content: bytes) -> bytes:
    return aes_key_wrap_with_padding((path / "kw-1.key").read_bytes(), content)


def pkcs8_of(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


RSA_KEY = pkcs8_of(rsa.generate_private_key(65537, 2048))


def open_cell(hsm: SoftwareHsm) -> None:
    with hsm.opened(algorithm=KeyAlgorithm.P256, blob=bytes(80), kw="kw-1"):
        pytest.fail("it was opened")


# --- opening ----------------------------------------------------------------------------


def test_it_shouts_that_it_is_no_hsm(path: Path) -> None:
    with pytest.warns(SoftwareCellsWarning, match="not by an HSM"):
        SoftwareHsm(path, environment=Environment.DEVELOPMENT)


def test_production_refuses_it(path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="production"):
        SoftwareHsm(path, environment=Environment.PRODUCTION)


def test_a_vault_that_was_never_initialised_is_not_ready(tmp_path: Path) -> None:
    for folder in (tmp_path / "absent", tmp_path):
        with pytest.raises(HsmNotReady, match="cellkey hsm init"):
            open_vault(folder)


def test_only_the_owner_can_read_the_keys(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert {file.name for file in path.iterdir()} == FILES
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()} == {0o600}


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o755, 0o710])
def test_a_vault_that_others_may_enter_is_refused(path: Path, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(HsmNotReady, match="chmod 700"):
        open_vault(path)


def test_a_folder_that_others_may_enter_is_closed_when_it_becomes_a_vault(tmp_path: Path) -> None:
    (tmp_path / "vault").mkdir(mode=0o755)
    SoftwareHsm.initialise(tmp_path / "vault")
    assert stat.S_IMODE((tmp_path / "vault").stat().st_mode) == 0o700


def test_an_interrupted_initialisation_is_finished_and_keeps_what_was_made(path: Path) -> None:
    kept = {name: (path / name).read_bytes() for name in FILES - {"ks.der", "ka.der"}}
    (path / "ks.der").unlink()
    (path / "ka.der").unlink()
    with pytest.raises(HsmNotReady):
        open_vault(path)
    SoftwareHsm.initialise(path)
    assert {name: (path / name).read_bytes() for name in kept} == kept
    open_vault(path)
    with pytest.raises(AlreadyThere):
        SoftwareHsm.initialise(path)


def test_a_place_where_nothing_can_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(HsmUnavailable, match="File exists"):
        SoftwareHsm.initialise(tmp_path / "file" / "vault")


@pytest.mark.parametrize("name", ["ks.der", "ka.der", "ca.der"])
@pytest.mark.parametrize(
    "content",
    [b"", b"no key", pkcs8_of(ec.generate_private_key(ec.SECP384R1())), RSA_KEY],
    ids=["empty", "noise", "another curve", "rsa"],
)
def test_a_damaged_service_key_is_told(path: Path, name: str, content: bytes) -> None:
    (path / name).write_bytes(content)
    with pytest.raises(HsmUnavailable, match=f"{name} is damaged"):
        open_vault(path)


@pytest.mark.parametrize("name", ["ka.der", "kp.key"])
def test_a_missing_service_key_is_told(path: Path, name: str) -> None:
    (path / name).unlink()
    with pytest.raises(HsmUnavailable, match=f"{name} is damaged or not there"):
        open_vault(path)


# --- signers' keys -----------------------------------------------------------------------


def test_a_blob_is_rfc_5649_over_pkcs8(path: Path) -> None:
    """As SoftHSM wraps (hsm.md 3), so that a vault can be moved into an HSM."""
    wrapped = open_vault(path).generate(KeyAlgorithm.P256)
    pkcs8 = aes_key_unwrap_with_padding((path / "kw-1.key").read_bytes(), wrapped.blob)
    key = serialization.load_der_private_key(pkcs8, None)
    spki = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert spki == wrapped.spki


@pytest.mark.parametrize(
    "content",
    [
        b"no PKCS#8",
        pkcs8_of(ec.generate_private_key(ec.SECP384R1())),
        RSA_KEY,
    ],
    ids=["noise", "another curve", "rsa"],
)
def test_what_is_wrapped_but_no_p256_key_opens_nothing(path: Path, content: bytes) -> None:
    hsm = open_vault(path)
    blob = wrapped_under(path, content)
    with (
        pytest.raises(CellUnopened),
        hsm.opened(algorithm=KeyAlgorithm.P256, blob=blob, kw="kw-1"),
    ):
        pytest.fail("it was opened")


def test_a_vault_without_a_wrapping_key_makes_no_cells(path: Path) -> None:
    hsm = open_vault(path)
    (path / "kw-1.key").unlink()
    for use in (lambda: hsm.generate(KeyAlgorithm.P256), hsm.health):
        with pytest.raises(HsmUnavailable, match="no wrapping key"):
            use()


# --- hour keys ---------------------------------------------------------------------------


def test_an_hour_key_is_64_bytes_of_the_owner_alone(path: Path) -> None:
    open_vault(path).make_hour_key(1)
    file = path / "ke-1.key"
    assert len(file.read_bytes()) == 64
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_destroyed_hour_key_is_overwritten_on_the_disk(path: Path) -> None:
    hsm = open_vault(path)
    hsm.make_hour_key(1)
    with (path / "ke-1.key").open("rb") as still_open:
        hsm.destroy_hour_key(1)
        assert still_open.read() == bytes(64)


def test_a_key_that_was_half_destroyed_by_a_crash_is_gone_after_the_start(path: Path) -> None:
    open_vault(path).make_hour_key(1)
    (path / "ke-1.key").rename(path / ".erased-ke-1.key")
    again = open_vault(path)
    assert again.hours() == frozenset()
    assert {file.name for file in path.iterdir()} == FILES


def test_a_key_destroyed_while_it_is_read_macs_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read may be the zeros of its destruction: nothing may be derived from them."""
    hsm = open_vault(path)
    hsm.make_hour_key(1)
    read_bytes = Path.read_bytes

    def destroyed_meanwhile(file: Path) -> bytes:
        monkeypatch.undo()
        content = read_bytes(file)
        hsm.destroy_hour_key(1)
        return content

    monkeypatch.setattr(Path, "read_bytes", destroyed_meanwhile)
    with pytest.raises(HourKeyMissing):
        hsm.hour_mac(1, b"jti")


def test_two_makers_of_one_hour_agree(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both saw no file; the second one's key is dropped, not written over the first."""
    first, second = open_vault(path), open_vault(path)
    create = files.create

    def create_late(file: Path, content: bytes) -> None:
        monkeypatch.undo()
        second.make_hour_key(1)
        create(file, content)

    monkeypatch.setattr(files, "create", create_late)
    first.make_hour_key(1)
    assert first.hour_mac(1, b"jti") == second.hour_mac(1, b"jti")
    assert len(list(path.iterdir())) == len(FILES) + 1


def test_processes_share_a_vault(path: Path) -> None:
    program = (
        "import sys, warnings, pathlib\n"
        "warnings.simplefilter('ignore')\n"
        "from backend.hsm.software import SoftwareHsm\n"
        "from backend.settings import Environment\n"
        "vault = pathlib.Path(sys.argv[1])\n"
        "hsm = SoftwareHsm(vault, environment=Environment.DEVELOPMENT)\n"
        "hsm.make_hour_key(1)\n"
        "print(hsm.hour_mac(1, b'jti').hex())\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    macs = {process.communicate()[0].decode().strip() for process in processes}
    assert macs == {open_vault(path).hour_mac(1, b"jti").hex()}


def test_a_file_that_is_no_hour_key_is_no_hour(path: Path) -> None:
    for name in ("ke-.key", "ke-1x.key", "ke--1.key", "ke-1.key.bak", "ke-12345678901.key"):
        (path / name).write_bytes(bytes(64))
    assert open_vault(path).hours() == frozenset()


# --- a vault that is gone -------------------------------------------------------------------


def test_a_vault_that_is_gone_is_unavailable_and_not_empty(path: Path) -> None:
    """Else an unmounted disk would look like hours that are over."""
    hsm = open_vault(path)
    hsm.make_hour_key(1)
    shutil.rmtree(path)
    uses = (
        hsm.health,
        hsm.hours,
        lambda: hsm.hour_mac(1, b"jti"),
        lambda: hsm.make_hour_key(2),
        lambda: hsm.generate(KeyAlgorithm.P256),
        lambda: open_cell(hsm),
    )
    for use in uses:
        with pytest.raises(HsmUnavailable):
            use()
    hsm.destroy_hour_key(1)
    assert len(hsm.sign(SigningServiceKey.RECORDS, bytes(32))) > 64


def test_many_threads_make_and_destroy_hours(path: Path) -> None:
    hsm = open_vault(path)

    def work(hour: int) -> None:
        for _ in range(5):
            hsm.make_hour_key(hour)
            hsm.hour_mac(hour, b"jti")
            hsm.destroy_hour_key(hour)

    threads = [threading.Thread(target=work, args=(hour,)) for hour in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {file.name for file in path.iterdir()} == FILES


def test_the_folder_above_the_vault_is_the_owners_alone(tmp_path: Path) -> None:
    """The database lies beside the vault, with names and numbers in it."""
    SoftwareHsm.initialise(tmp_path / "var" / "vault")

    assert (tmp_path / "var").stat().st_mode & 0o777 == 0o700
