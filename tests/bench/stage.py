"""The production form on one machine: PostgreSQL, SoftHSM behind ``cellkey sam``, two applications.

PostgreSQL is as durable as in production. Phones are paired by the reference client, a signer each.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session, sessionmaker

from backend.access.relying_parties import NewRelyingParty, add_relying_party
from backend.algorithms import KeyAlgorithm
from backend.devices.enrolment.confirmation import confirm_by_operator
from backend.devices.envelope import register_signer_with_cell
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
from tests.world.production import Process, Servers, new_environment, running_parts, wait_for
from tests.world.softhsm import SoftHsm, log_everybody_out

PASSWORD: Final = "green kettle 7"  # of a signer that lives for a minute
MULTISIGN: Final = 10_000
RATES_OF_A_LOAD_TEST: Final[Mapping[str, str]] = {
    "CELLKEY_REQUESTS_PER_MINUTE": "600000",
    "CELLKEY_CALLS_PER_MINUTE": "6000000",
    "CELLKEY_PHONE_CALLS_PER_MINUTE": "60000",
    "CELLKEY_TOKENS_PER_MINUTE": "6000",
}
"""Limits on requests, raised: here one relying party asks as fast as it can."""


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
        parts = running_parts(folder, environment, servers=servers, server=server)
        processes = stack.enter_context(parts)
        engine = make_engine(settings.database)
        stack.callback(engine.dispose)
        yield Stage(
            folder=folder,
            settings=settings,
            environment=environment,
            postgres=postgres,
            processes=processes,
            engine=engine,
            sessions=make_session_factory(engine),
        )


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
    database = postgres.url(postgres.create_database())
    return {
        **new_environment(folder, database=database, token=store.new_token()),
        "CELLKEY_MULTISIGN": str(MULTISIGN),
        **RATES_OF_A_LOAD_TEST,
    }


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
