"""The command `cellkey`: what it loads, and how it fails."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result
from sqlalchemy import text

from backend.cli.main import COMMANDS, main
from backend.model.version import newest_version
from backend.wiring import make_engine


def test_help_names_every_command_and_loads_none() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from backend.cli.main import main;"
        "print(CliRunner().invoke(main, ['--help']).output);"
        "print([name for name in sys.modules if name.startswith('backend.')])"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout

    assert all(f"\n  {name} " in output for name in COMMANDS)
    assert output.splitlines()[-1] == str(
        ["backend.cli", "backend.errors", "backend.garbage", "backend.cli.main"]
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_help(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])

    assert result.exit_code == 0, result.output
    assert result.output.startswith("Usage: ")


def test_a_command_that_there_is_not_is_named() -> None:
    result = CliRunner().invoke(main, ["sign"])

    assert result.exit_code == 2
    assert "No such command 'sign'" in result.output


def test_the_shell_completes_a_command() -> None:
    completion = ShellComplete(main, {}, "cellkey", "_CELLKEY_COMPLETE")
    completed = [item.value for item in completion.get_completions([], "s")]

    assert completed == ["serve", "sam", "signer"]


def test_an_error_of_ours_is_one_line_and_exit_code_1() -> None:
    result = CliRunner().invoke(main, ["db", "current"], env={"CELLKEY_DATABSE_URL": "x"})

    assert result.exit_code == 1
    assert result.output.count("\n") == 1
    assert "databse_url" in result.output


def test_upgrade_makes_a_database_on_a_server_too(postgresql_url: str) -> None:
    result = CliRunner().invoke(
        main, ["db", "upgrade"], env={"CELLKEY_DATABASE_URL": postgresql_url}
    )

    assert result.exit_code == 0, result.output


def test_upgrade_makes_the_database_and_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "var"
    first = _db(folder, "upgrade", "--json")
    second = _db(folder, "upgrade")

    assert json.loads(first) == {"version": newest_version()}
    assert second == f"The database is at version {newest_version()}.\n"
    assert folder.stat().st_mode & 0o777 == 0o700
    current = {"version": newest_version(), "newest": newest_version()}
    assert json.loads(_db(folder, "current", "--json")) == current
    assert json.loads(_db(folder, "check", "--json")) == {"differences": []}


def test_a_database_that_was_changed_by_hand_does_not_pass_the_check(
    sqlite_url: str, tmp_path: Path
) -> None:
    engine = make_engine(sqlite_url)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE refusals"))
    engine.dispose()

    result = _invoke(tmp_path, "check")

    assert result.exit_code == 1
    assert "refusals" in result.output


def test_a_database_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    result = _invoke(tmp_path / "nowhere", "current")

    assert result.exit_code == 1
    assert result.output == "Error: the database does not answer: unable to open database file\n"


def _db(folder: Path, *arguments: str) -> str:
    result = _invoke(folder, *arguments)
    assert result.exit_code == 0, result.output
    return result.output


def _invoke(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["db", *arguments], env={"CELLKEY_DATA_DIR": str(folder)})
