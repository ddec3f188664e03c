"""The demo's children: each failure names its log, and none outlives the demo."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend.cli.demo_processes import (
    Process,
    StepFailed,
    environment,
    running_processes,
    write_wrapper,
)

SLEEP = "import time; time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True);"


def is_running(process: Process) -> bool:
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_child_that_fails_shows_the_end_of_its_log(tmp_path: Path) -> None:
    program = "print('\\n'.join(map(str, range(100)))); raise SystemExit(3)"
    with running_processes(tmp_path, cwd=tmp_path) as processes:
        process = processes.start("a child", [sys.executable, "-c", program], settings={})
        with pytest.raises(StepFailed) as failed:
            process.answer()
        assert processes.failed() == [process]
    lines = failed.value.message.splitlines()
    assert lines[0] == "a child failed"
    assert lines[1].endswith("a-child.log")
    assert lines[-2:] == ["99", "---"]
    assert "84" not in lines


def test_waiting_ends_when_the_child_does(tmp_path: Path) -> None:
    with running_processes(tmp_path, cwd=tmp_path) as processes:
        process = processes.start("a child", [sys.executable, "-c", ""], settings={})
        with pytest.raises(StepFailed, match="ended by itself"):
            process.wait_until(lambda: False)
        assert processes.failed() == []


def test_waiting_has_an_end(tmp_path: Path) -> None:
    with running_processes(tmp_path, cwd=tmp_path) as processes:
        process = processes.start("a child", [sys.executable, "-c", SLEEP], settings={})
        with pytest.raises(StepFailed, match="did not do it"):
            process.wait_until(lambda: False, seconds=0)
        with pytest.raises(StepFailed, match="did not end"):
            process.answer(seconds=0)


def test_what_a_child_answers_is_in_no_file(tmp_path: Path) -> None:
    with running_processes(tmp_path, cwd=tmp_path) as processes:
        program = [sys.executable, "-c", "print('secret')"]
        process = processes.start("a child", program, settings={}, answers=True)
        assert process.answer() == b"secret\n"
    assert process.log.read_bytes() == b""


def test_no_child_outlives_an_error(tmp_path: Path) -> None:
    children: list[Process] = []

    def begin_and_break_off() -> None:
        with running_processes(tmp_path, cwd=tmp_path) as processes:
            for name in "ab":
                program = [sys.executable, "-c", SLEEP]
                children.append(processes.start(name, program, settings={}))
            assert all(map(is_running, children))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begin_and_break_off()
    assert not any(map(is_running, children))


def test_a_child_that_does_not_listen_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.cli.demo_processes.END_SECONDS", 0)
    with running_processes(tmp_path, cwd=tmp_path) as processes:
        process = processes.start("a child", [sys.executable, "-c", STUBBORN + SLEEP], settings={})
        process.wait_until(lambda: process.log.read_bytes() != b"")
    assert not is_running(process)


def test_children_get_the_settings_of_the_demo_and_no_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CELLKEY_DATABASE_URL", "somebody's own")
    monkeypatch.setenv("LANG", "C.UTF-8")
    given = environment({"CELLKEY_DATA_DIR": "here"})
    assert given["LANG"] == "C.UTF-8"
    assert {name: value for name, value in given.items() if name.startswith("CELLKEY_")} == {
        "CELLKEY_DATA_DIR": "here"
    }


def test_the_wrapper_passes_settings_and_arguments_on_as_they_are(tmp_path: Path) -> None:
    wrapper = tmp_path / "wrapper"
    settings = {"CELLKEY_CA_NAME": "it's $HOME"}
    write_wrapper(wrapper, Path(sys.executable), settings=settings)
    program = "import os, sys; print(os.environ['CELLKEY_CA_NAME'], sys.argv[1:])"
    done = subprocess.run([wrapper, "-c", program, "a b"], capture_output=True, check=True)
    assert done.stdout.decode() == "it's $HOME ['a b']\n"
