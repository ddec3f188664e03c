"""`cellkey wait` as a process of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import requests

from tests.world.ports import free_port

COMMAND = [sys.executable, "-c", "from backend.cli.main import main; main()", "wait"]
START_SECONDS = 120
APP_URL = "https://app.example.org"
PAGES_URL = "https://sign.example.org"


class WaitProcess(msgspec.Struct, kw_only=True):
    """A running one."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def memory_bytes(self, name: str = "VmRSS") -> int:
        """What it has in memory now; ``VmHWM`` is the most it ever had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith(f"{name}:"))
        return int(line.split()[1]) * 1024

    def cpu_seconds(self) -> float:
        """What it has computed so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def is_ready(self) -> bool:
        """Whether it listens to the database."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return requests.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except (requests.ConnectionError, requests.Timeout):
            return False


@contextmanager
def running_wait(
    database_url: str,
    folder: Path,
    *options: str,
    port: int | None = None,
    pages_url: str = PAGES_URL,
) -> Iterator[WaitProcess]:
    """Start it, and wait until it is ready; killed in the end."""
    port = port or free_port()
    environment = {
        **os.environ,
        "CELLKEY_DATABASE_URL": database_url,
        "CELLKEY_APP_URL": APP_URL,
        "CELLKEY_AUTHORIZATION_SERVER_URL": pages_url,
    }
    log = folder / f"wait-{port}.txt"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*COMMAND, "--port", str(port), *options], env=environment, stderr=output
        )
    made = WaitProcess(process=process, port=port, log=log)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not made.is_ready():
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield made
    finally:
        process.kill()
        process.wait()
