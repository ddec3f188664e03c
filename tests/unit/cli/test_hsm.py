"""`cellkey hsm`: keys once, the public half beside them, PINs from files or asked for."""

import json
import stat
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner, Result
from cryptography import x509

from backend.cli.main import main
from backend.hsm.software import SoftwareCellsWarning
from backend.protocol.public_keys import read_public_keys
from tests.world.softhsm import MODULE, PIN, SO_PIN, log_everybody_out, softhsm

pytestmark = pytest.mark.filterwarnings(
    f"ignore::{SoftwareCellsWarning.__module__}.{SoftwareCellsWarning.__name__}"
)


class Cellkey(NamedTuple):
    """The command with an environment of its own."""

    environment: dict[str, str]
    data: Path

    def __call__(self, *arguments: str, typed: str = "") -> Result:
        return CliRunner().invoke(main, ["hsm", *arguments], env=self.environment, input=typed)

    def facts(self, *arguments: str) -> dict[str, object]:
        result = self(*arguments, "--json")
        assert result.exit_code == 0, result.output
        facts: dict[str, object] = json.loads(result.stdout)
        return facts


@pytest.fixture
def software(tmp_path: Path) -> Cellkey:
    data = tmp_path / "var"
    return Cellkey({"CELLKEY_DATA_DIR": str(data), "CELLKEY_CA_NAME": "Example CA"}, data)


@pytest.fixture
def pkcs11(tmp_path: Path) -> Cellkey:
    """A slot in which no token was made yet."""
    store = softhsm()
    log_everybody_out()
    data = tmp_path / "var"
    return Cellkey(
        {
            "CELLKEY_DATA_DIR": str(data),
            "CELLKEY_HSM": "pkcs11",
            "CELLKEY_PKCS11_MODULE": str(MODULE),
            "CELLKEY_PKCS11_TOKEN": store.new_label(),
            "CELLKEY_PKCS11_PIN_FILE": str(store.pin_file),
        },
        data,
    )


def pin_file(folder: Path, pin: str) -> str:
    path = folder / "a-pin"
    path.write_text(pin + "\n")
    return str(path)


# --- both kinds ---------------------------------------------------------------------------


def test_init_makes_keys_and_their_public_half(software: Cellkey) -> None:
    result = software("init")
    assert result.exit_code == 0, result.output
    keys = read_public_keys((software.data / "public-keys.json").read_bytes())
    assert keys.ks != keys.ka
    assert keys.keys == ()
    root = x509.load_pem_x509_certificate((software.data / "root.pem").read_bytes())
    assert root.subject.rfc4514_string() == "CN=Example CA"
    root.verify_directly_issued_by(root)
    assert {stat.S_IMODE(path.stat().st_mode) for path in software.data.glob("*.*")} == {0o644}


def test_public_keys_are_jwks_of_exactly_four_members(software: Cellkey) -> None:
    """protocol.md 1."""
    software("init")
    written = json.loads((software.data / "public-keys.json").read_bytes())
    assert written.keys() == {"ks", "ka", "keys"}
    for name in ("ks", "ka"):
        assert written[name].keys() == {"kty", "crv", "x", "y"}
        assert len(written[name]["x"]) == len(written[name]["y"]) == 43


def test_init_says_that_without_a_backup_every_cell_is_lost(software: Cellkey) -> None:
    """Design 4."""
    told = software("init").stdout
    assert "KW, KS and KP" in told
    assert "every cell is lost" in told


def test_init_twice_is_refused_and_changes_nothing(software: Cellkey) -> None:
    software("init")
    before = {path: path.read_bytes() for path in software.data.rglob("*.*")}
    result = software("init")
    assert result.exit_code == 1
    assert "has its keys already" in result.stderr
    assert {path: path.read_bytes() for path in software.data.rglob("*.*")} == before


def test_init_if_missing_makes_once_and_then_keeps(software: Cellkey) -> None:
    assert software.facts("init", "--if-missing")["made"] is True
    before = {path: path.read_bytes() for path in software.data.rglob("*.*")}
    assert software.facts("init", "--if-missing")["made"] is False
    assert {path: path.read_bytes() for path in software.data.rglob("*.*")} == before


def test_init_if_missing_writes_what_a_crash_left_out(software: Cellkey) -> None:
    software("init")
    keys = (software.data / "public-keys.json").read_bytes()
    for name in ("public-keys.json", "root.pem"):
        (software.data / name).unlink()
    assert software.facts("init", "--if-missing")["made"] is False
    assert (software.data / "public-keys.json").read_bytes() == keys
    assert (software.data / "root.pem").exists()


@pytest.mark.parametrize("name", ["public-keys.json", "root.pem"])
@pytest.mark.parametrize("content", ["another's", "nonsense"])
def test_what_belongs_to_other_keys_is_never_written_over(
    software: Cellkey, tmp_path: Path, name: str, content: str
) -> None:
    """Old signatures may still need it."""
    data = tmp_path / "another"
    other = Cellkey({**software.environment, "CELLKEY_DATA_DIR": str(data)}, data)
    other("init")
    foreign = (other.data / name).read_bytes() if content == "another's" else b"nonsense"
    software.data.mkdir()
    (software.data / name).write_bytes(foreign)
    result = software("init")
    assert result.exit_code == 1
    assert "not of this HSM's keys" in result.stderr
    assert (software.data / name).read_bytes() == foreign
    (software.data / name).unlink()
    assert software("init", "--if-missing").exit_code == 0


def test_init_if_missing_does_not_hide_what_is_wrong_with_the_keys(software: Cellkey) -> None:
    software("init")
    (software.data / "software-vault").chmod(0o755)
    result = software("init", "--if-missing")
    assert result.exit_code == 1
    assert "chmod 700" in result.stderr


def test_status_tells_facts(software: Cellkey) -> None:
    software("init")
    facts = software.facts("status")
    assert facts["name"] == "software"
    assert facts["wrapping_key"] == "kw-1"
    assert facts["hour_keys"] == "0"
    assert "wrapping_key: kw-1" in software("status").stdout


def test_status_of_an_hsm_without_keys_says_what_to_do(software: Cellkey) -> None:
    result = software("status")
    assert result.exit_code == 1
    assert "cellkey hsm init" in result.stderr


# --- PKCS#11 ------------------------------------------------------------------------------


def test_a_token_is_initialised_with_pins_from_files(pkcs11: Cellkey, tmp_path: Path) -> None:
    so_pin = pin_file(tmp_path, SO_PIN)
    result = pkcs11("init", "--so-pin-file", so_pin)
    assert result.exit_code == 0, result.output
    assert "P-384, RSA-2048" in result.stdout
    assert "Ed25519" not in result.stdout
    assert pkcs11.facts("status")["name"] == "pkcs11"
    assert pkcs11.facts("status")["algorithms"] == "P-256, P-384, RSA-2048, RSA-3072, RSA-4096"
    log_everybody_out()
    again = pkcs11("init", "--so-pin-file", so_pin)
    assert again.exit_code == 1
    assert "has its keys already" in again.stderr
    log_everybody_out()
    assert pkcs11.facts("init", "--if-missing")["made"] is False


def test_a_pin_that_is_in_no_file_is_asked_for_and_not_shown(
    pkcs11: Cellkey, tmp_path: Path
) -> None:
    pkcs11.environment["CELLKEY_PKCS11_PIN_FILE"] = str(tmp_path / "absent")
    result = pkcs11("init", typed=f"{SO_PIN}\n{PIN}\n")
    assert result.exit_code == 0, result.output
    assert "PIN of the security officer" in result.output
    assert "PIN of the user" in result.output
    assert SO_PIN not in result.output
    assert PIN not in result.output


def test_init_if_missing_makes_the_keys_of_a_new_token(pkcs11: Cellkey, tmp_path: Path) -> None:
    so_pin = pin_file(tmp_path, SO_PIN)
    facts = pkcs11.facts("init", "--if-missing", "--so-pin-file", so_pin)
    assert facts["made"] is True


def test_a_folder_that_cannot_be_written_is_told_in_one_line(
    pkcs11: Cellkey, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    pkcs11.environment["CELLKEY_DATA_DIR"] = str(tmp_path / "file" / "var")
    result = pkcs11("init", "--so-pin-file", pin_file(tmp_path, SO_PIN))
    assert result.exit_code == 1
    assert "public-keys.json cannot be written: Not a directory" in result.stderr


def test_no_option_takes_a_pin(software: Cellkey) -> None:
    """PINs never stand in a process list."""
    told = software("init", "--help").output
    options = {word for word in told.replace(",", " ").split() if word.startswith("--")}
    assert options == {"--so-pin-file", "--pin-file", "--if-missing", "--json", "--help"}
    assert software("init", "--pin-file", PIN).exit_code == 2


def test_a_pin_file_that_is_no_text_is_told_in_one_line(pkcs11: Cellkey, tmp_path: Path) -> None:
    path = tmp_path / "a-pin"
    path.write_bytes(b"\xff\xfe")
    result = pkcs11("init", "--so-pin-file", str(path))
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
