"""The whole service on the loopback, for clients that know no other way."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from cheroot.wsgi import Server

from backend.virtual_phone.transport import RequestsHttp
from tests.world.service import Service, open_service


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
