"""Files that are whole or not there."""

import stat
from pathlib import Path

import pytest

from backend.hsm import files


def test_a_created_file_is_the_owner_s_alone_and_leaves_nothing_beside(tmp_path: Path) -> None:
    files.create(tmp_path / "key", b"secret")
    assert (tmp_path / "key").read_bytes() == b"secret"
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_what_is_there_is_not_created_again(tmp_path: Path) -> None:
    files.create(tmp_path / "key", b"first")
    with pytest.raises(FileExistsError):
        files.create(tmp_path / "key", b"second")
    assert (tmp_path / "key").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_replaced_file_may_be_read_by_everybody(tmp_path: Path) -> None:
    for content in (b"first", b"second"):
        files.replace(tmp_path / "public", content)
    assert (tmp_path / "public").read_bytes() == b"second"
    assert stat.S_IMODE((tmp_path / "public").stat().st_mode) == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["public"]


def test_an_erased_file_is_overwritten_before_it_goes(tmp_path: Path) -> None:
    files.create(tmp_path / "key", b"secret")
    with (tmp_path / "key").open("rb") as still_open:
        files.erase(tmp_path / "key")
        assert still_open.read() == bytes(6)
    assert list(tmp_path.iterdir()) == []


def test_erasing_what_is_not_there_does_nothing(tmp_path: Path) -> None:
    files.erase(tmp_path / "key")
    assert list(tmp_path.iterdir()) == []


def test_what_a_crash_left_half_erased_is_erased(tmp_path: Path) -> None:
    left = tmp_path / ".erased-ke-1.key"
    left.write_bytes(b"secret")
    (tmp_path / "kept").write_bytes(b"kept")
    with left.open("rb") as still_open:
        files.finish_erasing(tmp_path)
        assert still_open.read() == bytes(6)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_two_processes_may_erase_one_file(tmp_path: Path) -> None:
    """The slower one finds a name that is gone."""
    files._overwrite_and_unlink(tmp_path / ".erased-ke-1.key")
    assert list(tmp_path.iterdir()) == []
