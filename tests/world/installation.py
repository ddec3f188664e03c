"""A running installation: three origins on the loopback, worker and clerk at work, the true time.

The phone app has ``http://localhost:PORT``, where browsers allow passkeys and service workers
without TLS; the two applications have addresses of their own. Every request that reaches one of
the three is read along (``wire_tap.py``).
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID

import msgspec
from cheroot.wsgi import Server
from sqlalchemy import func, select

from backend.access.registrations import RegistrationChange
from backend.access.relying_parties import add_relying_party
from backend.devices.envelope import Envelope
from backend.devices.replacement import Replacement, ReplacementOrder, print_replacement
from backend.model.changes import LOOKS_PER_SECOND
from backend.model.tables import Cell, Device
from backend.settings import Settings
from backend.wiring import utc_now
from mobile_api.authenticator.app import create_app as create_authenticator
from tests.world.csc_client import CscClient, ask_token, content
from tests.world.push_service import PushService
from tests.world.service import ANNA, PRINTER, Service, open_service
from tests.world.sms_inbox import Sms
from tests.world.wire_tap import WireTap, Wsgi

THREADS = 40
"""More than long polls are held (``mobile_api/services.py``)."""


@dataclass(frozen=True, kw_only=True)
class Signer:
    """A registered signer, and what lies on the table at home."""

    installation: "Installation"
    envelope: Envelope
    number: str

    @property
    def login(self) -> str:
        """As it stands in the envelope."""
        return self.envelope.login

    @property
    def cell(self) -> UUID:
        """The signer's newest cell."""
        return self.installation.service.credential(self.login)

    @property
    def qr2_code(self) -> str:
        """The 26 characters beside QR 2."""
        return self.envelope.qr2.partition("s=")[2]

    @property
    def is_certified(self) -> bool:
        """Whether the cell has its certificate."""
        with self.installation.service.sessions() as session:
            return session.get_one(Cell, self.cell).certificate is not None

    @property
    def phones(self) -> int:
        """How many phones the cell has."""
        query = select(func.count()).where(Device.cell_id == self.cell, Device.removed_at.is_(None))
        with self.installation.service.sessions() as session:
            return session.scalar(query) or 0

    def replacement(self, *, remove_phones: bool = False) -> Replacement:
        """An operator prints an envelope for the cell that is there."""
        order = ReplacementOrder(
            login=self.login, operator=PRINTER, remove_phones=remove_phones, reset_password=False
        )
        service = self.installation.service
        with service.sessions() as session:
            return print_replacement(
                session,
                service.sam,
                order,
                settings=service.settings,
                public_keys=service.public_keys,
                now=utc_now(),
            )

    def texts(self) -> list[Sms]:
        """Every SMS that has arrived."""
        inbox = self.installation.service.inbox
        return [sms for sms in inbox.arrived if sms.number == self.number]


@dataclass(kw_only=True)
class Installation:
    """What runs, and who comes to it."""

    service: Service
    push: PushService
    tap: WireTap
    serve_app: Callable[[Settings], None]
    """Have the app's origin serve the files for these settings, as after an upgrade."""
    _people: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def app_url(self) -> str:
        """Origin of the phone app."""
        return self.service.settings.app_url

    @property
    def origins(self) -> set[str]:
        """Where the app may send requests."""
        settings = self.service.settings
        return {settings.app_url, settings.authorization_server_url, settings.mobile_api_url}

    def register(self, **changed: Any) -> Signer:  # noqa: ANN401  # members of Applicant
        """Register somebody new, by the counter's use case."""
        number = next(self._people)
        given: dict[str, Any] = {"login": f"signer.{number}", "number": f"+7916{number:07}"}
        applicant = msgspec.structs.replace(ANNA, **(given | changed))
        envelope = self.service.register(applicant)
        return Signer(installation=self, envelope=envelope, number=str(applicant.number))

    def relying_party(
        self,
        signer: Signer,
        *,
        name: str = "Shop",
        **changed: Any,  # noqa: ANN401  # members of RegistrationChange
    ) -> CscClient:
        """Somebody new who asks that signer for signatures."""
        change = RegistrationChange(**changed)
        with self.service.sessions() as session:
            party = add_relying_party(
                session, name=name, client_id=None, now=utc_now(), change=change
            )
        token: str = content(ask_token(self.service, party), 200)["access_token"]
        return CscClient(
            service=self.service, party=party, token=token, credential=str(signer.cell)
        )


@contextmanager
def running_installation(
    folder: Path,
    push: PushService,
    **settings: Any,  # noqa: ANN401  # members of Settings
) -> Iterator[Installation]:
    """Run everything on ports that are free."""
    tap = WireTap()
    names = ("authorization_server_url", "mobile_api_url", "app_url")
    servers = {name: _listener() for name in names}
    addresses: dict[str, Any] = {
        name: f"http://{'localhost' if name == 'app_url' else '127.0.0.1'}:{server.bind_addr[1]}"
        for name, server in servers.items()
    }
    given = {"push_hosts": (push.allow_list_entry,), **addresses, **settings}
    service = open_service(folder, clock=utc_now, **given)
    # Long polls are held as long as they are in earnest.
    service.pauses.then = lambda: service.stop.wait(1 / LOOKS_PER_SECOND)
    apps: dict[str, Wsgi] = {
        "authorization_server_url": service.app,
        "mobile_api_url": service.mobile,
        "app_url": create_authenticator(service.settings),
    }
    with ExitStack() as running:
        running.callback(service.close)
        for name, server in servers.items():
            server.wsgi_app = tap.at(apps[name])
            _run(running, server.serve, end=server.stop)
        _run(running, lambda: service.worker.run(service.stop), end=service.stop.set)
        _run(running, lambda: service.clerk.run(service.stop), end=service.stop.set)

        def serve_app(changed: Settings) -> None:
            servers["app_url"].wsgi_app = tap.at(create_authenticator(changed))

        yield Installation(service=service, push=push, tap=tap, serve_app=serve_app)
        service.stop.set()


def _run(running: ExitStack, work: Callable[[], object], *, end: Callable[[], object]) -> None:
    """Work in a thread until told to end."""
    thread = Thread(target=work)
    thread.start()
    running.callback(thread.join)
    running.callback(end)


def _listener() -> Server:
    """A server that listens already, but answers only once it has an application."""
    server = Server(("127.0.0.1", 0), None, numthreads=THREADS)
    server.prepare()
    return server
