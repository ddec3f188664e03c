"""What `cellkey demo` says when something is missing, before anything begins."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from backend.cli import demo
from backend.cli.main import main


def run(folder: Path) -> Result:
    return CliRunner().invoke(main, ["demo", "--folder", str(folder)])


def test_a_missing_judge_is_said_before_anything_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run(tmp_path / "demo")
    assert result.exit_code == 1
    assert "apt-get install poppler-utils libnss3-tools" in result.output
    assert not (tmp_path / "demo").exists()


def test_without_a_checkout_the_demo_says_that_it_needs_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "WORLD", tmp_path / "push_service.py")
    result = run(tmp_path / "demo")
    assert result.exit_code == 1
    assert "runs from a checkout" in result.output


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run(tmp_path / "file" / "demo")
    assert result.exit_code == 1
    assert "no folder can be made" in result.output
