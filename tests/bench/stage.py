"""The production form on one machine: PostgreSQL, SoftHSM behind ``cellkey sam``, two applications.

PostgreSQL is as durable as in production. Each part is a process of its own, as docs/deployment.md
has it, but all under one user. Phones are paired by the reference client, a signer each.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from socket import create_server
from typing import Final, NamedTuple
from uuid import UUID

import requests
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session, sessionmaker

from backend.access.relying_parties import NewRelyingParty, add_relying_party
from backend.algorithms import KeyAlgorithm
from backend.devices.enrolment.confirmation import confirm_by_operator
from backend.devices.envelope import register_signer_with_cell
from backend.model import schema
from backend.model.tables import Cell, Signer
from backend.sam.client import SamClient
from backend.settings import Settings, read_settings
from backend.signers.registration import Applicant as Registered
from backend.signers.registration import PersonName
from backend.virtual_phone.invitation import read_addresses, read_envelope
from backend.virtual_phone.pairing import Applicant
from backend.virtual_phone.phone import VirtualPhone
from backend.wiring import make_engine, make_session_factory, utc_now
from tests.world.postgres import DURABLE, Postgres, find_programs, running_postgres
from tests.world.softhsm import SoftHsm, log_everybody_out

BIN: Final = Path(sys.executable).parent
SECONDS: Final = 60
PASSWORD: Final = "green kettle 7"  # of a signer that lives for a minute
MULTISIGN: Final = 10_000
RATES_OF_A_LOAD_TEST: Final[Mapping[str, str]] = {
    "CELLKEY_REQUESTS_PER_MINUTE": "600000",
    "CELLKEY_CALLS_PER_MINUTE": "6000000",
    "CELLKEY_PHONE_CALLS_PER_MINUTE": "60000",
    "CELLKEY_TOKENS_PER_MINUTE": "6000",
}
"""Limits on requests, raised: here one relying party asks as fast as it can."""


class Servers(NamedTuple):
    """How many processes and threads each application has."""

    processes: int
    threads: int


class Process(NamedTuple):
    """A part of the service."""

    name: str
    process: subprocess.Popen[bytes]


class Signing(NamedTuple):
    """A signer who can sign: the credential, and the phone's state file."""

    credential: UUID
    phone: Path


class Stage(NamedTuple):
    """Everything that runs."""

    folder: Path
    settings: Settings
    environment: dict[str, str]
    postgres: Postgres
    processes: list[Process]
    engine: Engine
    sessions: sessionmaker[Session]


@contextmanager
def running_stage(folder: Path, *, servers: Servers, server: str) -> Iterator[Stage]:
    """Start everything, stop it in the end."""
    programs = find_programs()
    if programs is None:
        raise FileNotFoundError("PostgreSQL is not installed: make test installs it")
    with ExitStack() as stack:
        postgres = stack.enter_context(running_postgres(programs, options=DURABLE))
        environment = _environment(folder, postgres)
        settings = read_settings(environment)
        engine = make_engine(settings.database)
        stack.callback(engine.dispose)
        schema.upgrade(engine)
        for words in (("hsm", "init", "--if-missing"), ("worker", "keys")):
            command(environment, *words)
        processes = [
            stack.enter_context(_running(name, words, environment, folder))
            for name, words in _parts(settings, servers, server).items()
        ]
        wait_for(lambda: _is_ready(settings.authorization_server_url))
        wait_for(lambda: _is_ready(settings.mobile_api_url))
        yield Stage(
            folder=folder,
            settings=settings,
            environment=environment,
            postgres=postgres,
            processes=processes,
            engine=engine,
            sessions=make_session_factory(engine),
        )


def command(environment: Mapping[str, str], *words: str) -> None:
    """Run a command of ours, which must succeed."""
    subprocess.run([BIN / "cellkey", *words], env=environment, check=True, capture_output=True)


def wait_for(condition: Callable[[], object]) -> None:
    """Wait for what must come.

    Raises:
        TimeoutError: it did not.
    """
    end = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("what must come did not; the logs of the parts say why")
        time.sleep(0.05)


def new_signers(stage: Stage, count: int) -> list[Signing]:
    """Register signers, pair their phones, let the clerk certify them."""
    if stage.settings.sam_socket is None:
        raise ValueError("the stage has its SAM at a socket")
    sam = SamClient(stage.settings.sam_socket)
    phones = [_paired(stage, sam, number) for number in range(count)]
    for phone in phones:
        wait_for(lambda phone=phone: phone.pending().transactions)  # type: ignore[misc]  # bound on purpose
        phone.approve(phone.show(phone.pending().transactions[0].id))
    wait_for(lambda: _certified(stage) >= count)
    return [
        Signing(credential=UUID(phone.device().cell), phone=phone.keystore.path) for phone in phones
    ]


def new_relying_party(stage: Stage) -> NewRelyingParty:
    """Register somebody who may ask."""
    with stage.sessions() as session:
        return add_relying_party(session, name="Bench", client_id=None, now=utc_now())


def _environment(folder: Path, postgres: Postgres) -> dict[str, str]:
    store = SoftHsm(folder)
    os.environ["SOFTHSM2_CONF"] = str(store.conf)
    log_everybody_out()  # SoftHSM reads it when it is initialised
    token = store.new_token()
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "CELLKEY_DATA_DIR": str(folder / "data"),
        "CELLKEY_DATABASE_URL": postgres.url(postgres.create_database()),
        "CELLKEY_AUTHORIZATION_SERVER_URL": f"http://127.0.0.1:{_free_port()}",
        "CELLKEY_MOBILE_API_URL": f"http://127.0.0.1:{_free_port()}",
        "CELLKEY_SAM_SOCKET": str(folder / "sam.sock"),
        "CELLKEY_MULTISIGN": str(MULTISIGN),
        **RATES_OF_A_LOAD_TEST,
        **token.environment,
    }


def _parts(settings: Settings, servers: Servers, server: str) -> dict[str, list[str]]:
    """The SAM first: the others ask it whether it is there."""
    applications = {
        "backend": ("backend.app", settings.authorization_server_url),
        "mobile_api": ("mobile_api.app", settings.mobile_api_url),
    }
    return {
        "sam": [str(BIN / "cellkey"), "sam"],
        **{
            name: WEB_SERVERS[server](module, address, servers)
            for name, (module, address) in applications.items()
        },
        "worker": [str(BIN / "cellkey"), "worker"],
        "clerk": [str(BIN / "cellkey"), "clerk"],
    }


def _gunicorn(module: str, address: str, servers: Servers) -> list[str]:
    return [
        str(BIN / "gunicorn"),
        "--worker-class=gthread",
        f"--workers={servers.processes}",
        f"--threads={servers.threads}",
        "--keep-alive=60",
        f"--bind={address.removeprefix('http://')}",
        f"{module}:create_app_from_environment()",
    ]


def _granian(module: str, address: str, servers: Servers) -> list[str]:
    host, _, port = address.removeprefix("http://").partition(":")
    return [
        str(BIN / "granian"),
        "--interface=wsgi",
        f"--workers={servers.processes}",
        f"--blocking-threads={servers.threads}",
        "--log-level=warning",
        "--no-ws",
        f"--host={host}",
        f"--port={port}",
        "--factory",
        f"{module}:create_app_from_environment",
    ]


WEB_SERVERS: Final = {"gunicorn": _gunicorn, "granian": _granian}


@contextmanager
def _running(
    name: str, words: list[str], environment: Mapping[str, str], folder: Path
) -> Iterator[Process]:
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(words, env=environment, stdout=log, stderr=log, cwd=Path.cwd())
    try:
        if name == "sam":
            wait_for((folder / "sam.sock").exists)
        yield Process(name=name, process=process)
    finally:
        process.terminate()
        process.wait()


def _is_ready(address: str) -> bool:
    try:
        return requests.get(f"{address}/readyz", timeout=SECONDS).ok
    except requests.ConnectionError:
        return False


def _free_port() -> int:
    with create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _paired(stage: Stage, sam: SamClient, number: int) -> VirtualPhone:
    name = PersonName(family="Bench", given=f"Signer{number}")
    login = f"bench-{number}"
    with stage.sessions() as session:
        envelope = register_signer_with_cell(
            session,
            sam,
            Registered(name=name, login=login, number=None, lang="en"),
            algorithm=KeyAlgorithm.P256,
            operator="printer",
            settings=stage.settings,
            now=utc_now(),
        )
    phone = VirtualPhone(stage.folder / f"phone-{number}.json")
    progress = phone.pair_start(
        Applicant(
            addresses=read_addresses(envelope.qr1),
            envelope=read_envelope(envelope.qr2),
            login=envelope.login,
            password=envelope.first_password,
            new_password=PASSWORD,
        )
    )
    with stage.sessions() as session:
        twelve, operator = progress.twelve, "another"
        confirm_by_operator(
            session, sam, login=login, operator=operator, twelve=twelve, now=utc_now()
        )
    if not phone.pair_confirm(None):
        raise RuntimeError("the phone is not paired")
    return phone


def _certified(stage: Stage) -> int:
    with stage.sessions() as session:
        count = session.scalar(
            select(func.count())
            .select_from(Cell)
            .join(Signer, Signer.id == Cell.signer_id)
            .where(Cell.certificate.is_not(None))
        )
        session.commit()
    return count or 0
