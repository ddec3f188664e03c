"""Steps 1 to 5 of `cellkey demo`: what the administrator and the operator do.

Everything is done by the commands that an administrator has, each in a process of its own; the demo
only calls them and reads what they answer.
"""

import random
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from socket import create_server
from typing import Final, final

import msgspec

from backend.cli.demo_processes import Process, Processes, write_wrapper
from backend.cli.demo_telling import Teller
from backend.cli.envelope_paper import paper
from backend.devices.envelope import Envelope
from backend.virtual_phone.errors import ConnectionLost
from backend.virtual_phone.transport import Request, RequestsHttp

CHECKOUT: Final = Path(__file__).parents[2]
CELLKEY: Final = Path(sys.executable).with_name("cellkey")
HERE: Final = "127.0.0.1"
PORTS: Final = range(20_000, 30_000)
"""Below those that the kernel lends: nobody takes one before what is to serve there is up."""
NUMBER: Final = "+79991234567"
OK: Final = 200
LOOK_SECONDS: Final = 2.0
SHOUT: Final = "SoftwareCellsWarning: "


@final
class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """What every step has at hand."""

    tell: Teller
    processes: Processes
    folder: Path
    settings: Mapping[str, str]
    """Of this installation, as the environment has them."""

    @property
    def authorization_server(self) -> str:
        """Its address, and the CSC API's."""
        return self.settings["CELLKEY_AUTHORIZATION_SERVER_URL"]

    @property
    def mobile_api(self) -> str:
        """Its address."""
        return self.settings["CELLKEY_MOBILE_API_URL"]

    @property
    def data(self) -> Path:
        """The folder of database and keys."""
        return Path(self.settings["CELLKEY_DATA_DIR"])

    @property
    def wrapper(self) -> Path:
        """`cellkey` with the settings of this installation."""
        return self.folder / "cellkey"

    def command(self, *arguments: str) -> Process:
        """Start a command of `cellkey` that answers."""
        name = "-".join(arguments[:2])
        command: list[str | Path] = [CELLKEY, *arguments]
        return self.processes.start(name, command, settings=self.settings, answers=True)


@final
class PushPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where the push service is, for phones and for the settings."""

    base: str
    push_hosts: tuple[str, ...]


@final
class Client(msgspec.Struct, frozen=True, kw_only=True):
    """A relying party that was added."""

    client_id: str
    client_secret: str
    name: str


def new_settings(folder: Path) -> dict[str, str]:
    """Choose the settings of a new installation in ``folder``, on ports that are free."""
    first, second, third = _free_ports(3)
    return {
        "CELLKEY_DATA_DIR": str(folder / "data"),
        "CELLKEY_AUTHORIZATION_SERVER_URL": f"http://{HERE}:{first}",
        "CELLKEY_MOBILE_API_URL": f"http://{HERE}:{second}",
        "CELLKEY_APP_URL": f"http://localhost:{third}",
    }


def install(stage: Stage) -> None:
    """Step 1: keys, database."""
    tell, words = stage.tell, stage.tell.words
    tell.step(words.steps.installation)
    tell.fact(words.labels.folder, shown(stage.folder))
    with tell.working(words.installing):
        hsm = stage.command("hsm", "init")
        others = [stage.command("db", "upgrade"), stage.command("worker", "keys")]
        for process in (hsm, *others):
            process.answer()
    shouted = hsm.log.read_text("utf-8").partition(SHOUT)[2].partition("\n")[0]
    tell.warn(shouted)
    tell.line(words.installed)


def begin_push_service(stage: Stage) -> Process:
    """Start what stands for Google's, Apple's and Mozilla's push services."""
    command: list[str | Path] = [sys.executable, "-m", "tests.world.push_service"]
    command += ["--ca-out", push_authority(stage), "--ready-file", _push_file(stage)]
    return stage.processes.start("push service", command, settings={})


def push_service(stage: Stage, process: Process) -> PushPlace:
    """Step 2: wait for it; where it is."""
    tell, words = stage.tell, stage.tell.words
    tell.step(words.steps.push_service)
    tell.line(words.push_stands_for)
    with tell.working(words.push_ready):
        process.wait_until(_push_file(stage).exists)
    place = msgspec.json.decode(_push_file(stage).read_bytes(), type=PushPlace)
    tell.fact(words.labels.process, str(process.pid))
    tell.fact(words.labels.address, place.base)
    return place


def _push_file(stage: Stage) -> Path:
    return stage.folder / "push-service.json"


def that_pushes_to(stage: Stage, push: PushPlace) -> Stage:
    """Complete the settings: the one host that push messages may go to."""
    hosts = {"CELLKEY_PUSH_HOSTS": msgspec.json.encode(push.push_hosts).decode()}
    return msgspec.structs.replace(stage, settings={**stage.settings, **hosts})


def push_authority(stage: Stage) -> Path:
    """Where the push service writes the certificate that phone and worker trust."""
    return stage.folder / "push-authority.pem"


def start_service(stage: Stage) -> Process:
    """Step 3: `cellkey serve`."""
    tell, words = stage.tell, stage.tell.words
    tell.step(words.steps.service)
    write_wrapper(stage.wrapper, CELLKEY, settings=stage.settings)
    with tell.working(words.starting):
        process = stage.processes.start("serve", [CELLKEY, "serve"], settings=stage.settings)
        process.wait_until(
            lambda: all(map(_is_ready, (stage.authorization_server, stage.mobile_api)))
        )
    tell.line(words.served)
    tell.fact(words.labels.process, str(process.pid))
    tell.fact(words.labels.address, f"{stage.authorization_server}/csc/v1, /csc/v2")
    tell.fact(words.labels.app_address, stage.mobile_api)
    return process


def begin_adding(stage: Stage) -> Process:
    """Start to add the relying party."""
    name = stage.tell.say(stage.tell.words.cast.relying_party)
    return stage.command("relying-party", "add", name, "--json")


def add_relying_party(stage: Stage, adding: Process) -> Client:
    """Step 4: who may ask; the secret goes into a file that curl reads."""
    tell, words = stage.tell, stage.tell.words
    tell.step(words.steps.relying_party)
    with tell.working(words.added, name=tell.say(words.cast.relying_party)):
        client = msgspec.json.decode(adding.answer(), type=Client)
    file = curl_file(stage)
    file.touch(mode=0o600)
    file.write_text(f'user = "{client.client_id}:{client.client_secret}"\n', "utf-8")
    tell.fact(words.labels.client_id, client.client_id)
    tell.fact(words.labels.secret_file, shown(file))
    return client


def curl_file(stage: Stage) -> Path:
    """Where curl finds the relying party's id and secret: no command line holds a secret."""
    return stage.folder / "relying-party.curl"


def begin_registering(stage: Stage) -> Process:
    """Start to register the signer: a key is made in a cell."""
    say, cast = stage.tell.say, stage.tell.words.cast
    name = ["--family", say(cast.family), "--given", say(cast.given)]
    if stage.tell.lang == "ru":
        name += ["--patronymic", say(cast.patronymic)]
    by = ["--operator", say(cast.operator), "--lang", stage.tell.lang, "--json"]
    return stage.command("signer", "register", *name, "--number", NUMBER, *by)


def register_signer(stage: Stage, registering: Process) -> Envelope:
    """Step 5: the envelope, as the operator sees it once."""
    tell, words = stage.tell, stage.tell.words
    tell.step(words.steps.envelope)
    with tell.working(words.registering):
        envelope = msgspec.json.decode(registering.answer(), type=Envelope)
    tell.line(words.envelope_handed)
    tell.block(paper(envelope))
    return envelope


def shown(path: Path) -> str:
    """Give a path as short as it can be called from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _free_ports(count: int) -> list[int]:
    found: set[int] = set()
    while len(found) < count:
        port = random.SystemRandom().choice(PORTS)
        with suppress(OSError), create_server((HERE, port)):
            found.add(port)
    return list(found)


def _is_ready(address: str) -> bool:
    request = Request(method="GET", url=f"{address}/readyz", headers={}, body=None)
    try:
        return RequestsHttp().send(request, timeout_seconds=LOOK_SECONDS).status == OK
    except ConnectionLost:
        return False
