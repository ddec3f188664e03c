"""A process that is killed and started again, as a supervisor would, and how soon it works."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep, time

LOOK_SECONDS = 0.02
PATIENCE_SECONDS = 120

Start = Callable[[], subprocess.Popen[bytes]]
Works = Callable[[float], bool]
"""Whether it has answered somebody since that moment (Unix seconds)."""


@dataclass(kw_only=True)
class Part:
    """One of the processes that the service is made of."""

    name: str
    start: Start
    works: Works
    needed_by: Sequence[str] = ()
    """Names of other parts that can do nothing without it."""
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def up(self) -> None:
        """Start it."""
        self.process = self.start()

    def kill(self) -> None:
        """``kill -9``, with everything that it has started."""
        if self.process is None:
            return
        killed: list[int] = []
        for number in (signal.SIGSTOP, signal.SIGKILL):  # what stands still starts nothing more
            killed = [self.process.pid, *descendants(self.process.pid)]
            for pid in killed:
                _send(pid, number)
        self.process.wait()
        for pid in killed[1:]:  # a server of PostgreSQL starts beside none that still has memory
            _await_end(pid)

    @property
    def ended(self) -> bool:
        """Whether it ended by itself."""
        return self.process is not None and self.process.poll() is not None


def descendants(pid: int) -> Iterator[int]:
    """The processes that a process has started, and those that they have."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return
    for child in children:
        yield int(child)
        yield from descendants(int(child))


def _await_end(pid: int) -> None:
    """Until it holds nothing any more, whether somebody has asked for its end or not."""
    while _is_alive(pid):
        sleep(LOOK_SECONDS)


def _is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


@dataclass(frozen=True, kw_only=True)
class Kill:
    """One kill, and after how many seconds each part that it stopped worked again."""

    part: str
    at: float
    recovered: dict[str, float]
    """Seconds from the restart; without a part that did not come back."""


class Supervisor:
    """Starts parts in their order, and starts again what was killed."""

    def __init__(self, parts: Sequence[Part]) -> None:
        """Supervise; nothing is started yet."""
        self.parts = {part.name: part for part in parts}
        self.ended_by_themselves: list[str] = []

    def up(self) -> None:
        """Start everything, each part when the one before works.

        Raises:
            TimeoutError: one of them does not.
        """
        for part in self.parts.values():
            part.up()
            if part.name not in self._recovery((part.name,), since=time()):
                raise TimeoutError(f"{part.name} does not start; its log says why")

    def kill(self, name: str) -> Kill:
        """Kill a part, start it again at once, and see how soon all works that needs it."""
        part = self.parts[name]
        at = time()
        part.kill()
        part.up()
        return Kill(part=name, at=at, recovered=self._recovery(self.stopped_by(name), since=time()))

    def stopped_by(self, name: str) -> tuple[str, ...]:
        """What can do nothing while a part is dead."""
        return (name, *self.parts[name].needed_by)

    def restart_ended(self) -> None:
        """Start again what ended by itself, which nothing may do."""
        for part in self.parts.values():
            if part.ended:
                self.ended_by_themselves.append(part.name)
                part.up()

    def down(self) -> None:
        """Stop everything, the last first."""
        for part in reversed(self.parts.values()):
            part.kill()

    def _recovery(self, names: Sequence[str], *, since: float) -> dict[str, float]:
        begun = monotonic()
        recovered: dict[str, float] = {}
        while len(recovered) < len(names) and monotonic() < begun + PATIENCE_SECONDS:
            for name in names:
                if name not in recovered and self.parts[name].works(since):
                    recovered[name] = round(monotonic() - begun, 3)
            sleep(LOOK_SECONDS)
        return recovered
