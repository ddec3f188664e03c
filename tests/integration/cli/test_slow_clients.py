"""T-39: clients that are slow, huge or broken are refused or cut off, and others are served.

The same calls to the server of ``cellkey serve``, and to gunicorn as docs/deployment.md starts it.
Many slow heads at once are for the first alone: before gunicorn stands a proxy that reads requests
whole, as that page demands.
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import Thread
from urllib.parse import urlsplit

import pytest
import urllib3

from backend.cli.http_server import HttpServer
from tests.soak.installation import gunicorn_alone
from tests.world.service import Service, open_service

PATIENCE_SECONDS = 60
HALF_A_HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
POST = b"POST /csc/v2/info HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
HALF_A_BODY = POST + b"Content-Length: 1000\r\n\r\n{"
TEN_MEGABYTES = 10 * 1024 * 1024
THREADS = 4

BROKEN = {
    "a huge header": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: %s\r\n\r\n"
    % (b"a" * 40_000),
    "many headers": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n%s\r\n"
    % (b"X-Many: 1\r\n" * 4000),
    "a huge address": b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"a" * 40_000),
    "ten megabytes announced": POST + b"Content-Length: %d\r\n\r\n[" % TEN_MEGABYTES,
    "a negative length": POST + b"Content-Length: -1\r\n\r\n{}",
    "a length that is no number": POST + b"Content-Length: many\r\n\r\n{}",
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
    "a huge length": POST + b"Content-Length: %s\r\n\r\n{}" % (b"9" * 40),
    "a chunk of no length": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    "a length too long": POST + b"Content-Length: 100\r\n\r\n{}",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    opened = open_service(tmp_path_factory.mktemp("slow"))
    yield opened
    opened.close()


@contextmanager
def serving(service: Service, **given: float) -> Iterator[str]:
    """The server of ``cellkey serve``; gives its address."""
    server = HttpServer(service.app, host="127.0.0.1", port=0, threads=THREADS, **given)
    thread = Thread(target=server.serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.bind_addr[1]}"
    finally:
        server.stop()
        thread.join()


@pytest.fixture(scope="module", params=["cellkey serve", "gunicorn"])
def address(request: pytest.FixtureRequest, service: Service) -> Iterator[str]:
    with serving(service) if request.param == "cellkey serve" else gunicorn_alone() as found:
        yield found


def connect(address: str, sent: bytes) -> socket.socket:
    parts = urlsplit(address)
    connection = socket.create_connection((str(parts.hostname), int(parts.port or 0)))
    connection.settimeout(PATIENCE_SECONDS)
    with suppress(ConnectionResetError, BrokenPipeError):  # it refused what came first
        connection.sendall(sent)
    return connection


def answer(connection: socket.socket) -> bytes:
    """All that comes until the server closes; a connection that it resets has said nothing."""
    heard = b""
    try:
        while piece := connection.recv(65536):
            heard += piece
    except ConnectionResetError:
        pass
    return heard


def is_served(address: str) -> bool:
    with urllib3.PoolManager(retries=False, timeout=PATIENCE_SECONDS) as http:
        return http.request("GET", f"{address}/healthz").status == 200


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_or_huge_is_refused(address: str, name: str) -> None:
    with connect(address, BROKEN[name]) as connection:
        with suppress(OSError):  # it may have hung up already
            connection.shutdown(socket.SHUT_WR)
        heard = answer(connection)

    status = int(heard.split()[1]) if heard.startswith(b"HTTP/") else None
    assert status is None or 400 <= status < 500
    assert is_served(address)


def test_ten_megabytes_without_a_length_are_refused(address: str) -> None:
    piece = b"%x\r\n%s\r\n" % (65536, b" " * 65536)
    with connect(address, POST + b"Transfer-Encoding: chunked\r\n\r\n") as connection:
        with suppress(ConnectionResetError, BrokenPipeError):  # it need not hear all of it
            for _ in range(TEN_MEGABYTES // 65536):
                connection.sendall(piece)
            connection.sendall(b"0\r\n\r\n")
        heard = answer(connection)

    assert not heard or heard.split()[1] == b"413"
    assert is_served(address)


def test_others_are_served_while_one_client_sends_slowly(address: str) -> None:
    with connect(address, HALF_A_HEAD), connect(address, b""):
        assert is_served(address)


@pytest.mark.parametrize("half", [HALF_A_HEAD, HALF_A_BODY], ids=["head", "body"])
def test_more_slow_clients_than_threads_are_cut_off(service: Service, half: bytes) -> None:
    """Without a limit for the whole of a request nobody would be served ever again."""
    with serving(service, read_seconds=0.4) as address, ExitStack() as open_connections:
        slow = [open_connections.enter_context(connect(address, half)) for _ in range(2 * THREADS)]
        assert is_served(address)
        ends = [answer(connection) for connection in slow]

    assert all(not end or end.split()[1] in {b"400", b"408"} for end in ends)


def test_a_byte_now_and_then_is_no_way_to_keep_a_thread(service: Service) -> None:
    with serving(service, read_seconds=0.4) as address:
        with connect(address, HALF_A_HEAD) as connection:
            connection.settimeout(0.05)
            while True:
                try:
                    connection.sendall(b"a")
                    if connection.recv(65536) == b"":
                        break
                except TimeoutError:
                    continue
                except (ConnectionResetError, BrokenPipeError):
                    break
        assert is_served(address)
