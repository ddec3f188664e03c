"""Processes that `cellkey demo` starts, and stops again, whatever happens.

Rules: each process writes into a log file of its own; a failure names what to do and shows the end
of that log. A child is no member of the terminal's group, so Ctrl-C reaches the demo alone, which
ends the children in the order opposite to their start.
"""

import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, final

import click

from backend.settings import PREFIX

START_SECONDS: Final = 120
COMMAND_SECONDS: Final = 120
END_SECONDS: Final = 15
LOOK_SECONDS: Final = 0.1
TAIL_LINES: Final = 15


@final
class StepFailed(click.ClickException):
    """A step could not be done: what happened, what to do, and the end of a log."""

    def __init__(self, happened: str, *, todo: str = "", log: Path | None = None) -> None:
        """Say it; the log is read now, while it is there."""
        parts = [happened, todo, "" if log is None else tail(log)]
        super().__init__("\n".join(part for part in parts if part))


@final
class Process:
    """A child that runs beside the demo."""

    def __init__(self, name: str, popen: subprocess.Popen[bytes], *, log: Path) -> None:
        """Keep what is known of it."""
        self.name = name
        self.log = log
        self._popen = popen

    @property
    def pid(self) -> int:
        """Its number at the operating system."""
        return self._popen.pid

    def has_ended(self) -> bool:
        """Say whether it runs no more."""
        return self._popen.poll() is not None

    def has_failed(self) -> bool:
        """Say whether it ended, and not because its work was done."""
        return self._popen.poll() not in (None, 0)

    def wait_until(self, ready: Callable[[], bool], *, seconds: float = START_SECONDS) -> None:
        """Wait for something that this process does.

        Raises:
            StepFailed: it ended before, or the time is over.
        """
        until = time.monotonic() + seconds
        while not ready():
            if self.has_ended():
                raise StepFailed(f"{self.name} ended by itself", log=self.log)
            if time.monotonic() > until:
                raise StepFailed(f"{self.name} did not do it in {seconds:.0f} s", log=self.log)
            time.sleep(LOOK_SECONDS)

    def answer(self, *, seconds: float = COMMAND_SECONDS) -> bytes:
        """Wait until it has done its work; give what it answered, if it was asked for that.

        Raises:
            StepFailed: it failed, or the time is over.
        """
        try:
            answered, _ = self._popen.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise StepFailed(f"{self.name} did not end in {seconds:.0f} s", log=self.log) from error
        if self._popen.returncode:
            raise StepFailed(f"{self.name} failed", log=self.log)
        return answered or b""

    def stop(self) -> None:
        """End it: politely, then not."""
        self._popen.terminate()
        try:
            self._popen.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()


@final
class Processes:
    """All children of one demo, each with its log in one folder."""

    def __init__(self, logs: Path, *, cwd: Path) -> None:
        """Run children in ``cwd``."""
        self._logs = logs
        self._cwd = cwd
        self._running: list[Process] = []

    def start(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        settings: Mapping[str, str],
        answers: bool = False,
    ) -> Process:
        """Start a child; what it says goes into its log, what it ``answers`` to us alone."""
        log = self._logs / f"{name.replace(' ', '-')}.log"
        with log.open("ab") as said:
            popen = subprocess.Popen(  # noqa: S603  # our own programs, by their whole paths
                [str(part) for part in command],
                cwd=self._cwd,
                env=environment(settings),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if answers else said,
                stderr=said,
                start_new_session=True,
            )
        process = Process(name, popen, log=log)
        self._running.append(process)
        return process

    def failed(self) -> list[Process]:
        """Name those that run no more, and not because their work was done."""
        return [process for process in self._running if process.has_failed()]

    def stop(self) -> None:
        """Stop all; the last one first."""
        while self._running:
            self._running.pop().stop()


@contextmanager
def running_processes(logs: Path, *, cwd: Path) -> Iterator[Processes]:
    """Give processes that all end with the block."""
    processes = Processes(logs, cwd=cwd)
    try:
        yield processes
    finally:
        processes.stop()


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Make a child's environment: ours, but of Cellkey's settings these alone."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return kept | dict(settings)


def write_wrapper(path: Path, command: Path, *, settings: Mapping[str, str]) -> None:
    """Write a shell command that is ``command`` with these settings."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in sorted(settings.items())]
    exec_line = f'exec {shlex.quote(str(command))} "$@"'
    path.write_text("\n".join(["#!/bin/sh", *lines, exec_line, ""]), encoding="utf-8")
    path.chmod(0o700)


def tail(log: Path) -> str:
    """Give the end of a log, under its name."""
    try:
        lines = log.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join([f"--- the end of {log}", *lines[-TAIL_LINES:], "---"])
