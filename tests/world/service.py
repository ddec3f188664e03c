"""The whole service in one folder: both applications, SAM, worker and clerk, on a clock of ours.

Worker and clerk do their work when a test says so. The phone is the reference client, and reaches
the applications by WSGI, or over the loopback where ``tests.world.serving`` has started them.
"""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, insert, select
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import QueuePool

from backend.algorithms import KeyAlgorithm
from backend.app import create_app
from backend.clerk import Clerk
from backend.cli.clerk import make_clerk
from backend.delivery.worker import Worker
from backend.delivery.worker_keys import (
    read_push_key,
)
from backend.devices.enrolment.confirmation import confirm_by_operator
from backend.devices.envelope import Envelope, register_signer_with_cell
from backend.model.changes import look_often, watch_changes
from backend.model.tables import Cell, RelyingParty, Signer
from backend.protocol.encoding import write_message
from backend.protocol.public_keys import PublicKeys
from backend.sam.module import Sam
from backend.services import Services
from backend.settings import Settings, SmsGatewayKind
from backend.signers.registration import Applicant, PersonName
from backend.signing.request import (
    RequestedTransaction,
    Requester,
    SignatureOrder,
    request_signatures,
)
from backend.virtual_phone import pairing
from backend.virtual_phone.answers import PhoneKind
from backend.virtual_phone.invitation import read_addresses, read_envelope
from backend.virtual_phone.phone import VirtualPhone
from backend.virtual_phone.transport import Http
from backend.wiring import Clock, db, make_engine, make_session_factory
from mobile_api import services as mobile_services
from mobile_api.app import create_app as create_mobile_app
from tests.world.clock import SettableClock
from tests.world.newest import newest_sqlite
from tests.world.sam import CA_NAME, ORIGIN, RP_ID
from tests.world.service_processes import make_worker, open_sam
from tests.world.sms_inbox import Inbox, Sms
from tests.world.wsgi_http import Pauses, WsgiHttp

PRINTER = "Ольга Печатная"
OTHER_OPERATOR = "Семён Второй"
NUMBER = "+79161234567"
NEW_PASSWORD = "зелёный чайник 7"
SMS_ON: Final[dict[str, Any]] = {"sms_gateway": SmsGatewayKind.CONSOLE}
"""Of the settings, where texts are what is tried: everybody else does without (mark ``sms``)."""
ANNA = Applicant(
    name=PersonName(family="Иванова", given="Анна", patronymic="Петровна"),
    login="a.ivanova",
    number=NUMBER,
    lang="ru",
)
WITHOUT_NUMBER = msgspec.structs.replace(ANNA, login="without.number", number=None)


def hashes(count: int, *, seed: str = "document") -> tuple[bytes, ...]:
    """So many different SHA-256 hashes."""
    return tuple(hashlib.sha256(f"{seed} {number}".encode()).digest() for number in range(count))


@dataclass(kw_only=True)
class Service:
    """Everything, and what people do with it."""

    folder: Path
    settings: Settings
    clock: Clock
    sam: Sam
    public_keys: PublicKeys
    engine: Engine
    sessions: sessionmaker[Session]
    make_app: Callable[[], Flask]
    make_mobile: Callable[[], Flask]
    http: Http
    inbox: Inbox
    worker: Worker
    clerk: Clerk
    pauses: Pauses
    stop: Event
    _made: dict[Callable[[], Flask], Flask] = field(default_factory=dict, init=False)
    _making: Lock = field(default_factory=Lock, init=False)

    @property
    def app(self) -> Flask:
        """The authorisation server and CSC."""
        return self._once(self.make_app)

    @property
    def mobile(self) -> Flask:
        """The mobile API."""
        return self._once(self.make_mobile)

    def _once(self, make: Callable[[], Flask]) -> Flask:
        """Make it when somebody calls it first, which in many a test nobody does."""
        with self._making:
            if make not in self._made:
                self._made[make] = make()
            return self._made[make]

    # --- the authority ----------------------------------------------------------

    def register(
        self,
        applicant: Applicant = ANNA,
        *,
        algorithm: KeyAlgorithm = KeyAlgorithm.P256,
        operator: str = PRINTER,
    ) -> Envelope:
        """Register an applicant, make the cell and print the envelope."""
        with self.sessions() as session:
            return register_signer_with_cell(
                session,
                self.sam,
                applicant,
                algorithm=algorithm,
                operator=operator,
                settings=self.settings,
                now=self.clock(),
            )

    def confirm_by_operator(
        self, login: str, twelve: str, *, operator: str = OTHER_OPERATOR
    ) -> None:
        """The signer read the 12 characters of the new phone to another operator."""
        with self.sessions() as session:
            confirm_by_operator(
                session, self.sam, login=login, operator=operator, twelve=twelve, now=self.clock()
            )

    # --- the processes without a listener ---------------------------------------

    def work(self) -> list[Sms]:
        """Let the worker send what is due; gives all SMS that have arrived."""
        self.worker.run_once()
        return self.inbox.arrived

    # --- phones -----------------------------------------------------------------

    def phone(self, name: str = "phone") -> VirtualPhone:
        """The phone whose state is that file; made at its first use."""
        return VirtualPhone(
            self.folder / f"{name}.json",
            http=self.http,
            clock=lambda: self.clock().timestamp(),
            sleep=lambda _seconds: None,
        )

    def applicant(self, envelope: Envelope, **changed: Any) -> pairing.Applicant:  # noqa: ANN401  # members of Applicant
        """What the signer brings to pair a phone."""
        given: dict[str, Any] = {
            "addresses": read_addresses(envelope.qr1),
            "envelope": read_envelope(envelope.qr2),
            "login": envelope.login,
            "password": envelope.first_password,
            "new_password": NEW_PASSWORD,
        }
        return pairing.Applicant(**(given | changed))

    def paired_phone(
        self, envelope: Envelope, *, name: str = "phone", kind: PhoneKind = "virtual"
    ) -> VirtualPhone:
        """A phone that is paired by envelope and operator, or by SMS code where texts are on."""
        phone = self.phone(name)
        begun = phone.pair_start(self.applicant(envelope), kind=kind)
        self.confirm(phone, begun, login=envelope.login)
        return phone

    def confirm(self, phone: VirtualPhone, begun: pairing.Progress, *, login: str) -> None:
        """Step 3 of pairing, as the cell's record demands it."""
        if "sms" in begun.confirmation:
            phone.send_code()
            assert phone.pair_confirm(self.work()[-1].code)
        else:
            self.confirm_by_operator(login, begun.twelve)
            assert phone.pair_confirm(None)

    def certify(self, phone: VirtualPhone) -> None:
        """The first approval, and the certificate that follows."""
        self.clerk.run_once()
        (request,) = phone.pending().transactions
        assert request.kind == "certificate_request"
        phone.approve(phone.show(request.id))
        self.clerk.run_once()

    def signing_phone(self, envelope: Envelope, *, kind: PhoneKind = "virtual") -> VirtualPhone:
        """A phone whose cell has a certificate."""
        phone = self.paired_phone(envelope, kind=kind)
        self.certify(phone)
        return phone

    # --- relying parties --------------------------------------------------------

    def add_relying_party(self, client_id: str = "shop", name: str = "Shop") -> Requester:
        """A relying party that asks by use case, not by CSC; it has no secret that works."""
        party = Requester(id=uuid4(), client_id=client_id, name=name)
        with self.sessions() as session:
            session.execute(
                insert(RelyingParty).values(
                    id=party.id,
                    client_id=client_id,
                    name=name,
                    secret_hash=bytes(32),
                    created_at=self.clock(),
                )
            )
            session.commit()
        return party

    def credential(self, login: str = "a.ivanova") -> UUID:
        """The signer's newest cell."""
        with self.sessions() as session:
            return session.scalars(
                select(Cell.id)
                .join(Signer, Signer.id == Cell.signer_id)
                .where(Signer.login == login)
                .order_by(Cell.created_at.desc())
            ).all()[0]

    def signer(self, login: str = "a.ivanova") -> UUID:
        """The signer's id."""
        with self.sessions() as session:
            return session.scalars(select(Signer.id).where(Signer.login == login)).one()

    def ask(
        self,
        *wanted: bytes,
        party: Requester,
        **members: Any,  # noqa: ANN401  # members of SignatureOrder
    ) -> RequestedTransaction:
        """Ask the signer for signatures over hashes."""
        given: dict[str, Any] = {
            "relying_party": party,
            "credential": members.get("credential") or self.credential(),
            "hashes": wanted,
            "hash_alg": "SHA-256",
            "labels": None,
            "fields": None,
            "description": None,
            "lang": None,
        }
        with self.sessions() as session:
            return request_signatures(
                session,
                self.sam,
                SignatureOrder(**(given | members)),
                settings=self.settings,
                now=self.clock(),
            )

    # --- the applications -------------------------------------------------------

    def client(self) -> FlaskClient:
        """Calls the authorisation server and CSC, without a network."""
        return self.app.test_client()

    def mobile_client(self) -> FlaskClient:
        """Calls the mobile API, without a network."""
        return self.mobile.test_client()

    def connections_of_mobile_api(self) -> int:
        """How many connections of the database its requests hold now."""
        with self.mobile.app_context():
            pool = db.engine.pool
            assert isinstance(pool, QueuePool)
            return pool.checkedout()

    def close(self) -> None:
        """Close the database; the folder stays and can be opened again."""
        self.stop.set()
        for app in self._made.values():
            with app.app_context():
                db.engine.dispose()
        self.engine.dispose()


def open_service(
    folder: Path,
    *,
    clock: Clock | None = None,
    **changed: Any,  # noqa: ANN401  # members of Settings
) -> Service:
    """Open the service in a folder; what is not there is made. To be closed.

    Args:
        folder: of everything; it may be a copy of another service's.
        clock: tells everybody the time; one that stands still if there is none.
        changed: members of the settings; a database among them is at the newest version.
    """
    given: dict[str, Any] = {
        "data_dir": folder,
        "ca_name": CA_NAME,
        "app_url": ORIGIN,
        "rp_id": RP_ID,
        "multisign": 100,
        "sms_gateway": SmsGatewayKind.OFF,
        "phone_calls_per_minute": 60_000,  # tests look again and again on a clock that stands still
    }
    settings = Settings(**(given | changed))
    clock = clock or SettableClock()
    sam = open_sam(settings, clock)
    health = sam.health()
    public_keys = PublicKeys(ks=health.ks, ka=health.ka, keys=())
    settings.public_keys_path.write_bytes(write_message(public_keys))
    own = folder / "cellkey.sqlite3"
    if not settings.database_url and not own.exists():
        own.write_bytes(newest_sqlite())
    engine = make_engine(settings.database)
    sessions = make_session_factory(engine)
    pauses = Pauses()
    stop = Event()

    def make_app() -> Flask:
        return create_app(
            Services(settings=settings, sam=sam, public_keys=public_keys, clock=clock, stop=stop)
        )

    def make_mobile() -> Flask:
        watching = watch_changes(engine, stop=stop) if settings.wait_url else look_often(pauses)
        return create_mobile_app(
            mobile_services.make_services(
                settings,
                public_keys=public_keys,
                push_key=read_push_key(settings),
                clock=clock,
                watching=watching,
            )
        )

    inbox = Inbox()
    http = WsgiHttp({})
    service = Service(
        folder=folder,
        settings=settings,
        clock=clock,
        sam=sam,
        public_keys=public_keys,
        engine=engine,
        sessions=sessions,
        make_app=make_app,
        make_mobile=make_mobile,
        http=http,
        inbox=inbox,
        worker=make_worker(settings, sessions, inbox, clock),
        clerk=make_clerk(settings, sessions, sam, clock=clock),
        pauses=pauses,
        stop=stop,
    )
    http.apps[settings.authorization_server_url] = lambda: service.app
    http.apps[settings.mobile_api_url] = lambda: service.mobile
    return service


def copy_service(source: Path, folder: Path, **given: Any) -> Service:  # noqa: ANN401  # as open_service
    """Open a copy of a service that was closed: a stage that took long to reach."""
    shutil.copytree(source, folder, dirs_exist_ok=True)
    return open_service(folder, **given)
