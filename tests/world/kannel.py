"""Kannel: an SMS gateway that is not ours, with an SMS centre behind it that is not ours either."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import sleep

import requests

from tests.world import sms_centre
from tests.world.ports import free_port
from tests.world.sms_centre import Centre

USER, PASSWORD = "cellkey", "kannel & word"
_CONFIGURATION = """
group = core
admin-port = {admin}
admin-password = none
smsbox-port = {box}
dlr-storage = internal

group = smsc
smsc = smpp
smsc-id = centre
host = 127.0.0.1
port = {centre}
transceiver-mode = true
smsc-username = {user}
smsc-password = {password}
system-type = ""
interface-version = 34
reconnect-delay = 1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}
sendsms-interface = 127.0.0.1

group = sendsms-user
username = {kannel_user}
password = "{kannel_password}"
concatenation = false
max-messages = 1
"""


class Kannel:
    """A running gateway."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/cgi-bin/sendsms"


@contextmanager
def running_kannel(folder: Path, centre: Centre) -> Iterator[Kannel]:
    """Run bearerbox and smsbox until the block ends."""
    admin, box, sendsms = (free_port() for _ in range(3))
    path = folder / "kannel.conf"
    path.write_text(
        _CONFIGURATION.format(
            admin=admin,
            box=box,
            sendsms=sendsms,
            centre=centre.port,
            user=sms_centre.USER,
            password=sms_centre.PASSWORD,
            kannel_user=USER,
            kannel_password=PASSWORD,
        )
    )
    with ExitStack() as running:
        running.enter_context(_program("bearerbox", path, folder))
        centre.wait_for("bind")
        _wait_for_port(box)
        running.enter_context(_program("smsbox", path, folder))
        _wait_for_port(sendsms)
        _wait_for_box(admin)
        yield Kannel(sendsms)


@contextmanager
def _program(name: str, configuration: Path, folder: Path) -> Iterator[None]:
    log = (folder / f"{name}.log").open("w")
    with (
        log,
        subprocess.Popen(
            [f"/usr/sbin/{name}", "-v", "1", str(configuration)],
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            yield
        finally:
            process.kill()


def _wait_for_box(admin: int) -> None:
    """Wait until texts can go on: smsbox listens first, and then connects to bearerbox."""
    status = f"http://127.0.0.1:{admin}/status.txt?password=none"
    while "smsbox:" not in requests.get(status, timeout=60).text:
        sleep(0.05)


def _wait_for_port(port: int) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            sleep(0.05)
        else:
            return
