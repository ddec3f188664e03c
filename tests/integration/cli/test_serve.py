"""`cellkey serve` and `cellkey sam` as processes, from an empty folder to a paired phone."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from click.testing import CliRunner

from backend.cli.main import main
from backend.virtual_phone.invitation import read_addresses, read_envelope
from backend.virtual_phone.pairing import Applicant
from backend.virtual_phone.phone import VirtualPhone
from tests.world.ports import free_port

# The commands open software cells, as their settings say.
pytestmark = pytest.mark.filterwarnings("ignore::backend.hsm.software.SoftwareCellsWarning")

CELLKEY = [sys.executable, "-c", "from backend.cli.main import main; main()"]
REGISTER = (
    *("signer", "register", "--family", "Иванова", "--given", "Анна", "--number", "+79161234567"),
    *("--login", "a.ivanova", "--operator", "Ольга", "--json"),
)
CODE = re.compile(r"Код ([0-9]{8})")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An empty folder, and three ports that are free."""
    ports = [free_port() for _ in range(3)]
    ours = {
        "CELLKEY_DATA_DIR": str(tmp_path / "data"),
        "CELLKEY_AUTHORIZATION_SERVER_URL": f"http://127.0.0.1:{ports[0]}",
        "CELLKEY_MOBILE_API_URL": f"http://127.0.0.1:{ports[1]}",
        "CELLKEY_APP_URL": f"http://localhost:{ports[2]}",
        "PYTHONWARNINGS": "ignore",
    }
    return {**os.environ, **ours}


def cellkey(environment: dict[str, str], *arguments: str) -> str:
    """A command that comes to its end; its output."""
    done = CliRunner().invoke(main, arguments, env=environment, catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def refusal_to_serve(environment: dict[str, str]) -> str:
    """What ``cellkey serve`` says when it does not start."""
    refused = subprocess.run(
        [*CELLKEY, "serve"], env=environment, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    return refused.stderr.strip()


@contextmanager
def running(
    environment: dict[str, str], output: Path, *arguments: str
) -> Iterator[subprocess.Popen[bytes]]:
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [*CELLKEY, *arguments], env=environment, stdout=stream, stderr=stream
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def wait_until_ready(environment: dict[str, str], process: subprocess.Popen[bytes]) -> None:
    addresses = [
        environment[f"CELLKEY_{name}_URL"] for name in ("AUTHORIZATION_SERVER", "MOBILE_API")
    ]
    while addresses:
        assert process.poll() is None, "it ended"
        try:
            if requests.get(f"{addresses[0]}/readyz", timeout=5).status_code == 200:
                addresses.pop(0)
        except (requests.ConnectionError, requests.Timeout):
            time.sleep(0.1)


def make_ready(environment: dict[str, str]) -> None:
    for arguments in (("hsm", "init"), ("db", "upgrade"), ("worker", "keys")):
        cellkey(environment, *arguments)


def test_it_says_in_one_line_what_is_missing_before_it_starts(environment: dict[str, str]) -> None:
    said = []
    for arguments in (("db", "upgrade"), ("hsm", "init"), ("worker", "keys")):
        said += refusal_to_serve(environment).splitlines()
        cellkey(environment, *arguments)

    assert [re.findall("`cellkey ([^`]*)`", line) for line in said] == [
        ["db upgrade"],
        ["hsm init"],
        ["worker keys"],
    ]


@pytest.mark.sms
def test_a_phone_is_paired_at_a_service_in_one_process(
    environment: dict[str, str], tmp_path: Path
) -> None:
    make_ready(environment)

    pair_and_stop(environment, tmp_path / "serve.txt", tmp_path)


@pytest.mark.sms
def test_a_phone_is_paired_where_the_sam_is_a_process_of_its_own(
    environment: dict[str, str], tmp_path: Path
) -> None:
    make_ready(environment)
    environment["CELLKEY_SAM_SOCKET"] = str(tmp_path / "sam.sock")

    with running(environment, tmp_path / "sam.txt", "sam") as sam:
        while not (tmp_path / "sam.sock").exists():
            time.sleep(0.1)
        pair_and_stop(environment, tmp_path / "serve.txt", tmp_path)
        sam.send_signal(signal.SIGTERM)
        assert sam.wait() == 0

    assert not (tmp_path / "sam.sock").exists()


def pair_and_stop(environment: dict[str, str], output: Path, folder: Path) -> None:
    with running(environment, output, "serve") as served:
        wait_until_ready(environment, served)
        registered = subprocess.run(
            [*CELLKEY, *REGISTER], env=environment, capture_output=True, check=True
        )
        envelope = json.loads(registered.stdout)
        phone = VirtualPhone(folder / "phone.json")
        phone.pair_start(
            Applicant(
                addresses=read_addresses(envelope["qr1"]),
                envelope=read_envelope(envelope["qr2"]),
                login=envelope["login"],
                password=envelope["first_password"],
                new_password="зелёный чайник 7",
            )
        )
        phone.send_code()
        while (sms := CODE.search(output.read_text("utf-8", "replace"))) is None:
            time.sleep(0.1)  # what is being written may end in half a character
        assert phone.pair_confirm(sms[1])
        asked = phone.pending()
        while not asked.transactions:
            asked = phone.pending(version=asked.version, wait_seconds=25)
        bounded = put_without_length(environment["CELLKEY_MOBILE_API_URL"], size=65 * 1024)
        served.send_signal(signal.SIGTERM)
        assert served.wait() == 0

    assert [one.kind for one in asked.transactions] == ["certificate_request"]
    assert bounded == 413
    assert envelope["first_password"] not in output.read_text("utf-8")


def put_without_length(address: str, *, size: int) -> int:
    """Send a body that does not say how long it is; the status of the answer."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port)
    pieces = (b" " * 1024 for _ in range(size // 1024))
    headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    connection.request("PUT", "/recovery-lock", pieces, headers, encode_chunked=True)
    status = connection.getresponse().status
    connection.close()
    return status


def test_two_do_not_serve_at_one_address(environment: dict[str, str], tmp_path: Path) -> None:
    make_ready(environment)
    taken = urlsplit(environment["CELLKEY_MOBILE_API_URL"]).port

    with socket.create_server(("127.0.0.1", taken or 0)):
        said = refusal_to_serve(environment)

    assert said.startswith(f"Error: cannot listen on 127.0.0.1:{taken}")
