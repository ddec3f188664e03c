"""The whole service in one folder: both applications, SAM, worker and clerk, on a clock of ours.

Worker and clerk do their work when a test says so. The phone is the reference client, and reaches
the applications by WSGI, or over the loopback where :func:`serving` has started them.
"""

import hashlib
import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import msgspec
from cheroot.wsgi import Server
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, insert, select
from sqlalchemy.orm import Session, sessionmaker

from backend.algorithms import KeyAlgorithm
from backend.app import Services, create_app
from backend.clerk import Clerk
from backend.cli.clerk import make_clerk
from backend.delivery.dispatch import Channels
from backend.delivery.endpoints import parse_push_hosts
from backend.delivery.web_push import vapid_identity
from backend.delivery.worker import PeriodicJob, Worker
from backend.delivery.worker_keys import (
    make_worker_keys,
    read_push_key,
    read_sms_key,
    read_vapid_key,
    read_worker_public_key,
)
from backend.devices.enrolment.confirmation import confirm_by_operator
from backend.devices.envelope import Envelope, register_signer_with_cell
from backend.hsm.software import SoftwareCellsWarning, SoftwareHsm
from backend.model import schema
from backend.model.tables import Cell, RelyingParty, Signer
from backend.protocol.encoding import write_message
from backend.protocol.public_keys import PublicKeys
from backend.sam.module import Sam
from backend.settings import Environment, Settings
from backend.signers.registration import Applicant, PersonName
from backend.signing.expiry import expire_overdue
from backend.signing.request import (
    RequestedTransaction,
    Requester,
    SignatureOrder,
    request_signatures,
)
from backend.virtual_phone import pairing
from backend.virtual_phone.answers import PhoneKind
from backend.virtual_phone.errors import ConnectionLost
from backend.virtual_phone.invitation import read_addresses, read_envelope
from backend.virtual_phone.phone import VirtualPhone
from backend.virtual_phone.transport import Http, Request, RequestsHttp, Response
from backend.wiring import Clock, db, make_engine, make_session_factory
from mobile_api import services as mobile_services
from mobile_api.app import create_app as create_mobile_app
from tests.world.clock import SettableClock
from tests.world.sam import CA_NAME, ORIGIN, RP_ID, root_certificate, software_hsm

PRINTER = "Ольга Печатная"
OTHER_OPERATOR = "Семён Второй"
NUMBER = "+79161234567"
NEW_PASSWORD = "зелёный чайник 7"
ANNA = Applicant(
    name=PersonName(family="Иванова", given="Анна", patronymic="Петровна"),
    login="a.ivanova",
    number=NUMBER,
    lang="ru",
)
WITHOUT_NUMBER = msgspec.structs.replace(ANNA, login="without.number", number=None)
_CODE = re.compile(r"\b[0-9]{8}\b")


def hashes(count: int, *, seed: str = "document") -> tuple[bytes, ...]:
    """So many different SHA-256 hashes."""
    return tuple(hashlib.sha256(f"{seed} {number}".encode()).digest() for number in range(count))


@dataclass(frozen=True)
class Sms:
    """A message that arrived."""

    number: str
    text: str

    @property
    def code(self) -> str:
        """The eight digits in it."""
        return _CODE.findall(self.text)[-1]


@dataclass
class Inbox:
    """An SMS gateway, and the phone on which its messages arrive."""

    arrived: list[Sms] = field(default_factory=list)

    def send(self, *, number: str, text: str, message_id: UUID) -> None:
        """Take a message."""
        self.arrived.append(Sms(number, text))


@dataclass
class WsgiHttp:
    """Carries the reference client's requests to the applications without a network.

    ``lose`` says how many of the next answers get lost on the way back.
    """

    apps: dict[str, Flask]
    """By origin."""
    lose: int = 0

    def send(self, request: Request, *, timeout_seconds: float) -> Response:
        """Carry one request."""
        parts = urlsplit(request.url)
        app = self.apps[f"{parts.scheme}://{parts.netloc}"]
        answer = app.test_client().open(
            parts.path,
            method=request.method,
            query_string=parts.query,
            base_url=f"{parts.scheme}://{parts.netloc}",
            headers=dict(request.headers),
            data=request.body,
        )
        if self.lose:
            self.lose -= 1
            raise ConnectionLost("the answer is lost")
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Response(status=answer.status_code, headers=headers, body=answer.data)


@dataclass(kw_only=True)
class Service:
    """Everything, and what people do with it."""

    folder: Path
    settings: Settings
    clock: Clock
    sam: Sam
    engine: Engine
    sessions: sessionmaker[Session]
    app: Flask
    mobile: Flask
    http: Http
    inbox: Inbox
    worker: Worker
    clerk: Clerk
    pauses: "Pauses"

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
        """A phone that is paired by envelope and SMS code."""
        phone = self.phone(name)
        phone.pair_start(self.applicant(envelope), kind=kind)
        phone.send_code()
        assert phone.pair_confirm(self.work()[-1].code)
        return phone

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

    def ask(
        self,
        *wanted: bytes,
        party: Requester,
        **members: Any,  # noqa: ANN401  # members of SignatureOrder
    ) -> RequestedTransaction:
        """Ask the signer for signatures over hashes."""
        given: dict[str, Any] = {
            "relying_party": party,
            "credential": self.credential(),
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

    def close(self) -> None:
        """Close the database; the folder stays and can be opened again."""
        for app in (self.app, self.mobile):
            with app.app_context():
                db.engine.dispose()
        self.engine.dispose()


@dataclass
class Pauses:
    """What happens while a long poll waits: nothing at all, in no time, unless a test says so."""

    seconds: list[float] = field(default_factory=list)
    then: Callable[[], object] = lambda: None

    def __call__(self, seconds: float) -> None:
        """Wait."""
        self.seconds.append(seconds)
        self.then()


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
        changed: members of the settings.
    """
    given: dict[str, Any] = {
        "data_dir": folder,
        "ca_name": CA_NAME,
        "app_url": ORIGIN,
        "rp_id": RP_ID,
    }
    settings = Settings(**(given | changed))
    clock = clock or SettableClock()
    sam = _open_sam(settings, clock)
    health = sam.health()
    public_keys = PublicKeys(ks=health.ks, ka=health.ka, keys=())
    settings.public_keys_path.write_bytes(write_message(public_keys))
    engine = make_engine(settings.database)
    schema.upgrade(engine)
    sessions = make_session_factory(engine)
    pauses = Pauses()
    app = create_app(Services(settings=settings, sam=sam, public_keys=public_keys, clock=clock))
    mobile = create_mobile_app(
        mobile_services.Services(
            settings=settings,
            public_keys=public_keys,
            push_key=read_push_key(settings),
            push_hosts=parse_push_hosts(settings.push_hosts),
            clock=clock,
            pause=pauses,
        )
    )
    inbox = Inbox()
    origins = {settings.authorization_server_url: app, settings.mobile_api_url: mobile}
    return Service(
        folder=folder,
        settings=settings,
        clock=clock,
        sam=sam,
        engine=engine,
        sessions=sessions,
        app=app,
        mobile=mobile,
        http=WsgiHttp(origins),
        inbox=inbox,
        worker=_make_worker(settings, sessions, inbox, clock),
        clerk=make_clerk(settings, sessions, sam, clock=clock),
        pauses=pauses,
    )


def copy_service(source: Path, folder: Path, **given: Any) -> Service:  # noqa: ANN401  # as open_service
    """Open a copy of a service that was closed: a stage that took long to reach."""
    shutil.copytree(source, folder, dirs_exist_ok=True)
    return open_service(folder, **given)


@contextmanager
def serving(folder: Path, **given: Any) -> Iterator[Service]:  # noqa: ANN401  # as open_service
    """The service, with both applications on the loopback, and phones that go there."""
    servers = [_listener(), _listener()]
    names = ("authorization_server_url", "mobile_api_url")
    addresses: dict[str, Any] = {
        name: f"http://127.0.0.1:{server.bind_addr[1]}"
        for name, server in zip(names, servers, strict=True)
    }
    service = open_service(folder, **addresses, **given)
    service.http = RequestsHttp()
    threads = []
    for server, app in zip(servers, (service.app, service.mobile), strict=True):
        server.wsgi_app = app
        threads.append(Thread(target=server.serve))
        threads[-1].start()
    try:
        yield service
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.stop()
            thread.join()
        service.close()


def _listener() -> Server:
    """A server that listens already, but answers only once it has an application."""
    server = Server(("127.0.0.1", 0), None, numthreads=8)
    server.prepare()
    return server


def _open_sam(settings: Settings, clock: Clock) -> Sam:
    """As ``backend.sam.connect.open_sam``, on our clock."""
    vault = settings.software_vault_path
    hsm = _reopened(vault) if vault.exists() else software_hsm(vault)
    path = settings.root_certificate_path
    if not path.exists():
        root = x509.load_der_x509_certificate(root_certificate(hsm))
        path.write_bytes(root.public_bytes(Encoding.PEM))
    make_worker_keys(settings, if_missing=True)
    return Sam(
        hsm=hsm,
        root=x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER),
        issuer=settings.ca_name,
        rp_id=settings.rp_id,
        origin=settings.app_url,
        worker_key=read_worker_public_key(settings),
        clock=lambda: int(clock().timestamp()),
    )


def _reopened(vault: Path) -> SoftwareHsm:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SoftwareCellsWarning)
        return SoftwareHsm(vault, environment=Environment.DEVELOPMENT)


def _make_worker(
    settings: Settings, sessions: sessionmaker[Session], inbox: Inbox, clock: Clock
) -> Worker:
    channels = Channels(
        allowed_hosts=parse_push_hosts(settings.push_hosts),
        identity=vapid_identity(read_vapid_key(settings), subject=settings.vapid_subject),
        app_url=settings.app_url,
        sms_key=read_sms_key(settings),
        sms_gateway=inbox,
    )
    expiry = PeriodicJob(name="expiry", every_seconds=0, run=expire_overdue)
    return Worker(sessions=sessions, channels=channels, jobs=[expiry], clock=clock)
