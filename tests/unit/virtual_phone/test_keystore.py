"""The state file: private, replaced whole, and never half written."""

import json
import os
from pathlib import Path
from threading import Thread

import msgspec
import pytest

from backend.virtual_phone.errors import StateUnusable
from backend.virtual_phone.keystore import Approval, Keystore, State


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "phone.json"


def added(state: State, name: str) -> State:
    approval = Approval(tx_hash=name, approval="a", sealed="s", exp=1)
    return msgspec.structs.replace(state, approvals=(*state.approvals, approval))


def test_without_a_file_the_phone_is_new(path: Path) -> None:
    assert Keystore(path).load() == State()
    assert not path.exists()


def test_what_was_changed_is_there_for_the_next_one_who_looks(path: Path) -> None:
    changed = Keystore(path).change(lambda state: added(state, "one"))
    assert Keystore(path).load() == changed
    assert json.loads(path.read_bytes())["version"] == 1


def test_nobody_else_can_read_file_and_folder(path: Path) -> None:
    before = os.umask(0)
    try:
        Keystore(path).change(lambda state: state)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_file_that_others_can_read_is_not_used(path: Path) -> None:
    Keystore(path).change(lambda state: state)
    path.chmod(0o644)
    with pytest.raises(StateUnusable, match="chmod 600"):
        Keystore(path).load()


def test_a_failed_change_leaves_the_old_state(path: Path) -> None:
    keystore = Keystore(path)
    before = keystore.change(lambda state: added(state, "one"))

    def fail(_state: State) -> State:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        keystore.change(fail)
    assert keystore.load() == before


def test_a_crash_while_writing_leaves_the_old_state(path: Path) -> None:
    keystore = Keystore(path)
    before = keystore.change(lambda state: added(state, "one"))
    path.with_name("phone.json.new").write_text('{"half":')
    assert keystore.load() == before
    after = keystore.change(lambda state: added(state, "two"))
    assert [made.tx_hash for made in after.approvals] == ["one", "two"]


def test_changes_of_several_processes_follow_each_other(path: Path) -> None:
    """Each thread has a keystore of its own, so only the file's lock stands between them."""

    def add(name: str) -> None:
        Keystore(path).change(lambda state: added(state, name))

    names = [str(number) for number in range(12)]
    threads = [Thread(target=add, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made.tx_hash for made in Keystore(path).load().approvals) == sorted(names)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"version":2}', '{"owner":"x"}', '{"version":1,"version":1}']
)
def test_a_file_of_another_program_is_refused(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.touch(mode=0o600)
    path.write_text(text)
    with pytest.raises(StateUnusable, match="not a phone's state"):
        Keystore(path).load()


def test_a_folder_in_the_files_place_is_said_to_be_unusable(tmp_path: Path) -> None:
    with pytest.raises(StateUnusable):
        Keystore(tmp_path).load()


def test_a_file_in_the_folders_place_is_said_to_be_unusable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateUnusable):
        Keystore(tmp_path / "file" / "phone.json").change(lambda state: state)
