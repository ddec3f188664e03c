"""The ten minutes of README.md: its own commands, from an empty folder to a verified signature.

What a person types or copies is done by the shell function ``cellkey`` below; the ports are others.
"""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
SERVE = re.compile(r"^serve:.*?(?=^\S)", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"\$\(BIN\)/(cellkey .*)")

THE_PERSON = r"""
set -euo pipefail
paper() { grep -oP "$1:? +\K\S+" envelope.txt; }
sms() { until grep -oP 'Code \K[0-9]{8}' serve.log; do sleep 0.1; done; }
cellkey() {
  case "$1 $2" in
    'signer register') command cellkey "$@" >envelope.txt ;;
    'phone pair')
      command cellkey "$@" --qr2 "$(paper 'Or type instead of QR 2')" --login alice \
        --password-file <(paper 'First password') --new-password-file <(echo 'correct horse') \
        --code-file <(sms) ;;
    'phone approve') command cellkey "$@" --yes ;;
    'relying-party add')
      command cellkey "$@" >party.txt
      ID=$(grep -oP 'client id +\K\S+' party.txt)
      SECRET=$(grep -oP 'client secret +\K\S+' party.txt)
      until command cellkey signer show alice | grep -q certified; do sleep 0.1; done ;;
    *) command cellkey "$@" ;;
  esac
}
"""


def test_the_ten_minutes_of_the_readme_end_with_verified_ok(tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "README.md").write_text(README)
    ports = {"8600": free_port(), "8601": free_port()}
    blocks = "\n".join(BLOCK.findall(README))
    assert blocks.count("cellkey ") >= 5
    script = re.sub("8600|8601", lambda found: str(ports[found[0]]), THE_PERSON + blocks)
    environment = {
        **os.environ,
        "CELLKEY_AUTHORIZATION_SERVER_URL": f"http://127.0.0.1:{ports['8600']}",
        "CELLKEY_MOBILE_API_URL": f"http://127.0.0.1:{ports['8601']}",
        "HOME": str(tmp_path),
        "PATH": f"{sys.prefix}/bin:{os.environ['PATH']}",
        "PYTHONWARNINGS": "ignore",
    }
    with made_and_served(tmp_path, environment):
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "Verified OK"


@contextmanager
def made_and_served(folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """What ``make serve`` does, by its own lines, once everything is installed."""
    recipe = SERVE.search((ROOT / "Makefile").read_text())
    assert recipe is not None
    *preparations, serve = COMMAND.findall(recipe[0])
    for command in preparations:
        subprocess.run(
            command.split(), cwd=folder, env=environment, check=True, capture_output=True
        )
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            serve.split(), cwd=folder, env=environment, stdout=log, stderr=log
        )
    try:
        subprocess.run(
            [
                "bash",
                "-c",
                f"until grep -q served serve.log; do kill -0 {process.pid}; sleep 0.1; done",
            ],
            cwd=folder,
            check=True,
        )
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
