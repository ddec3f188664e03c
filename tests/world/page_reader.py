"""A person who follows a page: its own commands, from an empty folder, by the shell.

What a person types or copies is done by the shell function ``cellkey`` below; the ports are others.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.world.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
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


def blocks(text: str, kind: str = "sh") -> list[str]:
    """A page's blocks of code of that kind."""
    return [block for found, block in BLOCK.findall(text) if found == kind]


def follow(script: str, folder: Path, **files: str) -> subprocess.CompletedProcess[str]:
    """Run a page's commands beside a service that they find at its usual ports.

    Args:
        script: the commands.
        folder: an empty one.
        files: what the person wrote before, by name; a dot is ``__``.
    """
    (folder / ".venv").symlink_to(sys.prefix)
    ports = {usual: free_port() for usual in ("8600", "8601", "8602")}

    def here(text: str) -> str:
        return re.sub("860[0-2]", lambda found: str(ports[found[0]]), text)

    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(here(text))
    environment = {
        **os.environ,
        "CELLKEY_AUTHORIZATION_SERVER_URL": f"http://127.0.0.1:{ports['8600']}",
        "CELLKEY_MOBILE_API_URL": f"http://127.0.0.1:{ports['8601']}",
        "CELLKEY_APP_URL": f"http://localhost:{ports['8602']}",
        "HOME": str(folder),
        "PATH": f"{sys.prefix}/bin:{os.environ['PATH']}",
        "PYTHONWARNINGS": "ignore",
    }
    with made_and_served(folder, environment):
        return subprocess.run(
            ["bash", "-c", here(THE_PERSON + script)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )


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
        still_runs = f"kill -0 {process.pid} || exit 1"
        served = f"until grep -q served serve.log; do {still_runs}; sleep 0.1; done"
        subprocess.run(["bash", "-c", served], cwd=folder, check=True)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
