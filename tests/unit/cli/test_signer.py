"""`cellkey signer`: what operators do at the counter, on a folder of its own."""

import json
from collections.abc import Sequence
from pathlib import Path
from shutil import copytree
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from backend.algorithms import KeyAlgorithm
from backend.cli.main import main
from backend.devices.envelope import Envelope
from backend.hsm.open import open_hsm
from backend.hsm.software import SoftwareCellsWarning, SoftwareHsm
from backend.model.tables import Cell, Device, Record, Signer
from backend.protocol.jose import unverified_payload
from backend.protocol.record import TYP as RECORD_TYP
from backend.protocol.record import CellRecord
from backend.settings import read_settings
from backend.wiring import make_engine, make_session_factory, utc_now
from tests.world.clock import SettableClock
from tests.world.counter import Counter
from tests.world.sam import open_sam_world

pytestmark = pytest.mark.filterwarnings(
    f"ignore::{SoftwareCellsWarning.__module__}.{SoftwareCellsWarning.__name__}"
)

ANNA = ["--family", "Иванова", "--given", "Анна", "--patronymic", "Петровна"]
OLGA = ["--operator", "Ольга"]
SEMYON = ["--operator", "Семён"]


class Cellkey:
    """The command with an environment of its own."""

    def __init__(self, folder: Path) -> None:
        self.environment = {"CELLKEY_DATA_DIR": str(folder)}

    def call(self, arguments: Sequence[str]) -> Result:
        return CliRunner().invoke(main, arguments, env=self.environment)

    def __call__(self, *arguments: str) -> str:
        """Run `cellkey signer …`; gives what it prints."""
        result = self.call(["signer", *arguments])
        assert result.exit_code == 0, result.output
        return result.stdout

    def facts(self, *arguments: str) -> Any:  # noqa: ANN401  # any JSON
        """The same, for a program."""
        return json.loads(self(*arguments, "--json"))

    def refusal(self, *arguments: str) -> str:
        """Run what is refused; gives the one line that says why."""
        result = self.call(["signer", *arguments])
        assert result.exit_code == 1, result.output
        assert "Traceback" not in result.output
        return result.stderr


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the commands made ready, to be copied."""
    folder = tmp_path_factory.mktemp("ready") / "var"
    for command in (["db", "upgrade"], ["worker", "keys"], ["hsm", "init"]):
        assert Cellkey(folder).call(command).exit_code == 0
    return folder


@pytest.fixture
def cellkey(ready: Path, tmp_path: Path) -> Cellkey:
    return Cellkey(copytree(ready, tmp_path / "var"))


def test_registering_prints_the_envelope_once(cellkey: Cellkey) -> None:
    """R-036, R-038, R-040, R-049."""
    printed = cellkey("register", *ANNA, *OLGA, "--login", "a.ivanova", "--number", "+79161234567")

    assert "Иванова Анна Петровна" in printed
    assert "a.ivanova" in printed
    assert printed.count("▀▀▀▀▀") >= 6
    for command in ("show", "list"):
        again = cellkey(command, *(["a.ivanova"] if command == "show" else []))
        assert "▀▀▀▀▀" not in again


def test_a_program_gets_the_envelope_as_json(cellkey: Cellkey) -> None:
    envelope = cellkey.facts("register", *ANNA, *OLGA, "--lang", "en")

    assert set(envelope) == {
        "name", "lang", "login", "first_password", "qr1", "qr2", "secret_text", "pairing",
        "expires_at", "zone",
    }  # fmt: skip  # one line says no more
    assert envelope["lang"] == "en"


def test_a_signer_in_another_time_zone_is_registered_with_it(cellkey: Cellkey) -> None:
    here = cellkey.facts("register", *ANNA, *OLGA)
    there = cellkey.facts("register", *ANNA, *OLGA, "--zone", "Asia/Omsk")
    printed = cellkey("register", *ANNA, *OLGA, "--zone", "Asia/Omsk")

    assert (here["zone"], there["zone"]) == ("Europe/Moscow", "Asia/Omsk")
    assert "(Омск, UTC+6)" in printed


def test_a_zone_that_is_none_registers_nobody(cellkey: Cellkey) -> None:
    result = cellkey.call(["signer", "register", *ANNA, *OLGA, "--zone", "Omsk"])

    assert result.exit_code != 0
    assert "Europe/Moscow" in result.stderr
    assert cellkey.facts("list") == []


def test_a_department_is_registered_by_its_names(cellkey: Cellkey) -> None:
    cellkey("register", "--common-name", "Робот", "--organization", "Ромашка", *OLGA)

    assert cellkey.facts("list")[0]["name"] == "Робот, Ромашка"


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["--family", "Иванова"],
        ["--common-name", "Робот"],
        [*ANNA, "--common-name", "Робот", "--organization", "Ромашка"],
        ["--common-name", "Робот", "--organization", "Ромашка", "--patronymic", "Петровна"],
    ],
)
def test_a_name_that_is_not_whole_is_a_usage_error(cellkey: Cellkey, names: list[str]) -> None:
    result = cellkey.call(["signer", "register", *names, *OLGA])

    assert result.exit_code == click.UsageError.exit_code
    assert "--family and --given" in result.stderr


def test_what_is_not_fit_is_said_in_one_line(cellkey: Cellkey) -> None:
    cellkey("register", *ANNA, *OLGA, "--login", "a.ivanova")

    assert "registered already" in cellkey.refusal("register", *ANNA, *OLGA, "--login", "a.ivanova")
    assert "phone number" in cellkey.refusal("register", *ANNA, *OLGA, "--number", "8916")
    assert "no such signer" in cellkey.refusal("show", "nobody")
    assert "no such signer" in cellkey.refusal("freeze", "nobody", *OLGA)
    assert "no such signer" in cellkey.refusal("reprint", "nobody", *OLGA)
    assert "has not begun" in cellkey.refusal("confirm", "a.ivanova", *OLGA, "--twelve", "A")


def test_a_key_that_the_hsm_cannot_keep_registers_nobody(
    cellkey: Cellkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on SoftHSM 2.6.1, which wraps no Ed25519 key (decision 0010)."""
    keeps = frozenset(KeyAlgorithm) - {KeyAlgorithm.ED25519}
    monkeypatch.setattr(SoftwareHsm, "offered", lambda _hsm: keeps)

    said = cellkey.refusal("register", *ANNA, *OLGA, "--algorithm", "Ed25519")

    assert "cannot keep Ed25519 keys" in said
    assert "it keeps P-256, P-384, RSA-2048, RSA-3072, RSA-4096" in said
    assert cellkey.facts("list") == []


@pytest.mark.parametrize("algorithm", ["P-384", "Ed25519"])
def test_a_signer_is_registered_with_a_key_of_choice(cellkey: Cellkey, algorithm: str) -> None:
    cellkey("register", *ANNA, *OLGA, "--login", "a.ivanova", "--algorithm", algorithm)

    assert f"({algorithm})" in cellkey("show", "a.ivanova")


def test_an_envelope_that_did_not_print_is_printed_anew(cellkey: Cellkey) -> None:
    first = cellkey.facts("register", *ANNA, *OLGA, "--login", "a.ivanova")
    second = cellkey.facts("reprint", "a.ivanova", *SEMYON)

    assert second["login"] == first["login"]
    assert second["qr2"] != first["qr2"]
    assert cellkey.facts("show", "a.ivanova")["printed_by"] == "Семён"


def test_access_is_locked_by_one_and_opened_by_two(cellkey: Cellkey) -> None:
    """R-048."""
    cellkey("register", *ANNA, *OLGA, "--login", "a.ivanova")
    cellkey("freeze", "a.ivanova", *OLGA)
    assert "access locked" in cellkey("show", "a.ivanova")

    assert "two different people" in cellkey.refusal(
        "thaw", "a.ivanova", *OLGA, "--second", "ОЛЬГА"
    )
    cellkey("thaw", "a.ivanova", *OLGA, "--second", "Семён")
    assert "access locked" not in cellkey("show", "a.ivanova")


def test_access_is_locked_without_an_hsm(cellkey: Cellkey) -> None:
    """Whatever else is down."""
    cellkey("register", *ANNA, *OLGA, "--login", "a.ivanova")
    cellkey.environment |= {"CELLKEY_SAM_SOCKET": "/nobody/listens"}

    assert cellkey.facts("freeze", "a.ivanova", *OLGA) == {"frozen": True}


def test_another_operator_confirms_a_phone(cellkey: Cellkey) -> None:
    """T-10."""
    envelope = cellkey.facts("register", *ANNA, *OLGA)
    twelve, login = present(cellkey, envelope), envelope["login"]
    assert "a phone waits" in cellkey("list")

    refused = cellkey.refusal("confirm", login, *OLGA, "--twelve", twelve)
    assert "another operator" in refused
    assert cellkey.facts("confirm", login, *SEMYON, "--twelve", twelve) == {"state": "confirmed"}
    assert "certificate not issued yet" in cellkey("show", login)


def test_a_paired_signer_gets_another_envelope_for_the_same_key(cellkey: Cellkey) -> None:
    printed = cellkey.facts("register", *ANNA, *OLGA)
    login = printed["login"]
    assert "reprint" in cellkey.refusal("envelope", login, *OLGA)
    cellkey("confirm", login, *SEMYON, "--twelve", present(cellkey, printed))

    kept = cellkey("envelope", login, *OLGA)
    reset = cellkey.facts("envelope", login, *OLGA, "--remove-phones", "--reset-password")

    assert "Пароль остаётся прежним" in kept
    assert reset["first_password"]
    assert "&k=" in reset["qr2"]
    assert reset["pairing"] != printed["pairing"]


def test_who_may_use_no_computer_is_registered_so_and_computers_are_counted(
    cellkey: Cellkey,
) -> None:
    settings = read_settings(cellkey.environment)
    refused = cellkey.facts("register", *ANNA, *OLGA, "--no-desktop")["login"]
    allowed = cellkey.facts("register", *ANNA, *OLGA, "--desktop")["login"]
    engine = make_engine(settings.database)
    with make_session_factory(engine).begin() as session:
        kinds = {
            login: "desktop"
            in unverified_payload(record, CellRecord, expected_typ=RECORD_TYP).policy.caps.kinds
            for login, record in session.execute(
                select(Signer.login, Record.record)
                .join(Cell, Cell.signer_id == Signer.id)
                .join(Record, Record.cell_id == Cell.id)
            )
        }
        cell = session.scalar(
            select(Cell.id).join(Signer, Signer.id == Cell.signer_id).where(Signer.login == allowed)
        )
        for kid, kind in ((b"1", "pwa"), (b"2", "desktop")):
            session.add(
                Device(
                    kid=kid, cell_id=cell, request_kid=b"r" + kid, kind=kind, paired_at=utc_now()
                )
            )
    engine.dispose()

    assert kinds == {refused: False, allowed: True}
    assert "2 (desktop: 1)" in cellkey("show", allowed)
    assert "2 (desktop: 1)" in cellkey("list")
    assert "desktop" not in cellkey("show", refused)


def test_without_signers_the_list_says_what_to_do(cellkey: Cellkey) -> None:
    assert "cellkey signer register" in cellkey("list")
    assert cellkey.facts("list") == []


def test_without_a_database_the_command_says_what_to_do(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["signer", "list"], env={"CELLKEY_DATA_DIR": str(tmp_path)})

    assert result.exit_code == 1
    assert "cellkey db upgrade" in result.stderr


def present(cellkey: Cellkey, printed: dict[str, Any]) -> str:
    """Sign in and present a phone; gives the 12 characters that it shows."""
    settings = read_settings(cellkey.environment)
    engine = make_engine(settings.database)
    clock = SettableClock(utc_now())
    world = open_sam_world(open_hsm(settings), clock)
    counter = Counter(
        session_factory=make_session_factory(engine),
        world=world,
        settings=settings,
        clock=clock,
        public_keys=world.public_keys,
    )
    counter.envelope = msgspec.convert(printed, Envelope, strict=False)
    counter.sign_in()
    twelve = counter.present(*counter.enrolment()).twelve
    engine.dispose()
    return twelve


def test_a_code_is_taken_back_by_an_operator(cellkey: Cellkey) -> None:
    by_sms = ("--number", "+79161234567", "--method", "app", "--method", "password+sms")
    cellkey("register", *ANNA, *OLGA, "--login", "a.ivanova", *by_sms)
    assert cellkey.facts("methods", "a.ivanova", *SEMYON) == {"methods": ["app", "password+sms"]}

    printed = cellkey("methods", "a.ivanova", "--without", "password+sms", *SEMYON)
    assert printed == "a.ivanova approves by app.\n"
    assert "Approves:   app\n" in cellkey("show", "a.ivanova")
    again = cellkey.refusal("methods", "a.ivanova", "--without", "password+sms", *SEMYON)
    assert "not among the methods" in again
    assert "no such signer" in cellkey.refusal("methods", "nobody", *SEMYON)


@pytest.mark.parametrize(
    ("number", "gateway", "warned"),
    [
        ("+4915112345678", "console", True),
        ("+79161234567", "console", False),
        ("+4915112345678", "off", False),
    ],
)
def test_a_number_to_which_no_text_goes_is_told_at_the_counter(
    cellkey: Cellkey, number: str, gateway: str, *, warned: bool
) -> None:
    """Not to the signer, later, who would wait for a code; what programs read stays JSON."""
    cellkey.environment["CELLKEY_SMS_GATEWAY"] = gateway
    result = cellkey.call(["signer", "register", *ANNA, *OLGA, "--number", number, "--json"])
    assert json.loads(result.stdout)["login"]
    assert ("CELLKEY_SMS_PREFIXES is +79" in result.stderr) is warned
