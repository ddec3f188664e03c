"""A running installation: three origins on the loopback, worker and clerk at work, the true time.

The phone app has ``http://localhost:PORT``, where browsers allow passkeys and service workers
without TLS; the two applications have addresses of their own. Every request that reaches one of
the three is read along (``wire_tap.py``).
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

from cheroot.wsgi import Server

from backend.access.registrations import RegistrationChange
from backend.access.relying_parties import add_relying_party
from backend.model.changes import LOOKS_PER_SECOND
from backend.settings import Settings
from backend.wiring import utc_now
from mobile_api.authenticator.app import create_app as create_authenticator
from tests.world.authority import Authority, Signer
from tests.world.csc_client import CscClient, ask_token, content
from tests.world.push_service import PushService
from tests.world.service import Service, open_service
from tests.world.wire_tap import WireTap, Wsgi

THREADS = 40
"""More than long polls are held (``mobile_api/services.py``)."""


@dataclass(kw_only=True)
class Installation(Authority):
    """All of it in this process."""

    service: Service
    push: PushService
    serve_app: Callable[[Settings], None]
    """Have the app's origin serve the files for these settings, as after an upgrade."""

    def relying_party(
        self,
        signer: Signer,
        *,
        name: str = "Shop",
        **changed: Any,  # noqa: ANN401  # members of RegistrationChange
    ) -> CscClient:
        """Somebody new who asks that signer for signatures."""
        change = RegistrationChange(**changed)
        with self.sessions() as session:
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
    servers = {name: listener() for name in names}
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
            run(running, server.serve, end=server.stop)
        run(running, lambda: service.worker.run(service.stop), end=service.stop.set)
        run(running, lambda: service.clerk.run(service.stop), end=service.stop.set)

        def serve_app(changed: Settings) -> None:
            servers["app_url"].wsgi_app = tap.at(create_authenticator(changed))

        yield Installation(
            settings=service.settings,
            sam=service.sam,
            public_keys=service.public_keys,
            sessions=service.sessions,
            arrived=lambda: service.inbox.arrived,
            tap=tap,
            service=service,
            push=push,
            serve_app=serve_app,
        )
        service.stop.set()


def run(running: ExitStack, work: Callable[[], object], *, end: Callable[[], object]) -> None:
    """Work in a thread until told to end."""
    thread = Thread(target=work)
    thread.start()
    running.callback(thread.join)
    running.callback(end)


def listener() -> Server:
    """A server that listens already, but answers only once it has an application."""
    server = Server(("127.0.0.1", 0), None, numthreads=THREADS)
    server.prepare()
    return server
