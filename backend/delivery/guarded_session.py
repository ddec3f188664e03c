"""The only way out to a push service: a session that reaches one endpoint and nothing else (T-19).

1. The name is resolved when the connection is made, and every address it resolves to must be a
   public one; one private among them refuses all (rebinding). The connection goes to an address
   that was checked, never to the name again.
2. A pinned host is not resolved: the connection goes to its address, and only its CA vouches.
3. TLS is verified for the name in the endpoint, always.
4. No redirect is followed, no proxy or netrc of the environment is heard, no other address is
   reached by this session.
5. All together takes at most ``SECONDS``, and at most ``LONGEST_ANSWER`` bytes are read.

Nothing turns any of this off.
"""

import socket
import ssl
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import cache
from http.client import HTTPException
from io import BytesIO
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final, cast, final

from certifi import where
from requests import PreparedRequest, Response, Session
from requests.adapters import BaseAdapter
from requests.exceptions import ConnectionError as NotReached
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import HTTPError, NewConnectionError

from backend.delivery.endpoints import AllowedEndpoint
from backend.errors import EndpointRefused

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SECONDS: Final = 10.0
"""Longest time that one message may take, from connecting to the last byte of the answer."""
LONGEST_ANSWER: Final = 4096

Address = IPv4Address | IPv6Address
Resolve = Callable[[str], Iterable[str]]
"""Gives the addresses of a name, as ``getaddrinfo`` writes them."""

_NEVER: Final = tuple(
    ip_network(network)
    for network in (
        # Carry an IPv4 address that may be anything.
        "::/96",  # compatible, RFC 4291
        "::ffff:0:0/96",  # mapped, RFC 4291
        "::ffff:0:0:0/96",  # translated, RFC 2765
        "64:ff9b::/96",  # NAT64, RFC 6052
        "64:ff9b:1::/48",  # local NAT64, RFC 8215
        "2001::/32",  # Teredo, RFC 4380
        "2002::/16",  # 6to4, RFC 3056
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        # Special (RFC 6890), which ``ipaddress`` of some Python calls global.
        "192.0.0.0/24",
        "3fff::/20",
        "5f00::/16",
        "fec0::/10",
    )
)


def resolve_by_system(name: str) -> Iterable[str]:
    """Ask the system's resolver."""
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return dict.fromkeys(str(address[0]) for *_, address in found)


def guarded_session(
    endpoint: AllowedEndpoint, *, resolve: Resolve = resolve_by_system, seconds: float = SECONDS
) -> Session:
    """Make a session that reaches this endpoint alone; close it after use.

    Raises:
        OSError: the CA file of a pinned host cannot be read.
    """
    session = Session()
    session.trust_env = False
    session.max_redirects = 0
    session.adapters.clear()
    session.mount(
        endpoint.origin + "/", _GuardedAdapter(endpoint, resolve=resolve, seconds=seconds)
    )
    return session


def public_addresses(name: str, resolve: Resolve) -> tuple[Address, ...]:
    """Resolve a name and demand that all its addresses are public.

    Raises:
        EndpointRefused: there is none, or one is not public.
        OSError: the name does not resolve now.
    """
    addresses = tuple(ip_address(text) for text in resolve(name))
    if not addresses:
        raise EndpointRefused("the endpoint's host has no address")
    if not all(_is_public(address) for address in addresses):
        raise EndpointRefused("the endpoint's host has an address that is not public")
    return addresses


def _tls_context(endpoint: AllowedEndpoint) -> ssl.SSLContext:
    """Rule 3; of a pinned host the file is read anew, for its CA may have been renewed."""
    return _trusting(endpoint.pin.ca_file) if endpoint.pin else _trusting_public_authorities()


@cache
def _trusting_public_authorities() -> ssl.SSLContext:
    return _trusting(Path(where()))


def _trusting(ca_file: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    context.sslsocket_class = _ImpatientSocket
    return context


def _is_public(address: Address) -> bool:
    """Say whether anybody on the internet means the same machine by this address."""
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    return not any(address in network for network in _NEVER)


@final
class _GuardedAdapter(BaseAdapter):
    """Carries every request of its session to the one endpoint, a connection each."""

    def __init__(self, endpoint: AllowedEndpoint, *, resolve: Resolve, seconds: float) -> None:
        super().__init__()
        self._endpoint = endpoint
        self._resolve = resolve
        self._seconds = seconds

    def send(self, request: PreparedRequest, *_ignored: object, **_too: object) -> Response:
        """Send; what requests would have chosen (``verify``, ``proxies``, …) is not asked.

        Raises:
            EndpointRefused: the host has an address that is not public.
            ConnectionError: of requests; there was no whole answer in time.
        """
        try:
            with closing(self._connection()) as connection:
                return _exchange(connection, request)
        except (OSError, HTTPException, HTTPError) as error:
            raise NotReached(error, request=request) from error

    def _connection(self) -> HTTPSConnection:
        return _GuardedConnection(self._endpoint, resolve=self._resolve, seconds=self._seconds)

    def close(self) -> None:
        """Nothing is kept open between requests."""


def _exchange(connection: HTTPSConnection, request: PreparedRequest) -> Response:
    """Rule 5: read the beginning of the answer as it comes, undecoded, and no more."""
    connection.request(
        str(request.method),
        request.path_url,
        body=request.body,
        headers=dict(request.headers),
        preload_content=False,
        decode_content=False,
    )
    with connection.getresponse() as answer:
        response = Response()
        response.request = request
        response.url = str(request.url)
        response.status_code = answer.status
        response.reason = answer.reason or ""
        response.headers.update(answer.headers)
        response.raw = BytesIO(answer.read(LONGEST_ANSWER, decode_content=False))
        return response


@final
class _GuardedConnection(HTTPSConnection):
    """Connects to an address that was checked, and to no other."""

    def __init__(self, endpoint: AllowedEndpoint, *, resolve: Resolve, seconds: float) -> None:
        super().__init__(endpoint.host, endpoint.port, ssl_context=_tls_context(endpoint))
        self._endpoint = endpoint
        self._resolve = resolve
        self._deadline = monotonic() + seconds

    def connect(self) -> None:
        """Connect and verify TLS; from then on each byte is waited for until the deadline."""
        super().connect()
        cast("_ImpatientSocket", self.sock).seconds_left = self._seconds_left

    def _new_conn(self) -> socket.socket:
        """Rules 1 and 2: the place where urllib3 would resolve the name."""
        pin = self._endpoint.pin
        if pin is not None:
            return self._connect_to([pin.address], pin.port)
        return self._connect_to(public_addresses(self.host, self._resolve), self._endpoint.port)

    def _connect_to(self, addresses: Iterable[Address], port: int) -> socket.socket:
        """Take the first of the checked addresses that answers."""
        failure: OSError | None = None
        for address in addresses:
            try:
                connected = socket.create_connection((str(address), port), self._seconds_left())
            except OSError as error:
                failure = error
                continue
            connected.settimeout(self._seconds_left())
            return connected
        raise NewConnectionError(self, "no address of the host answers") from failure

    def _seconds_left(self) -> float:
        left = self._deadline - monotonic()
        if left <= 0:
            raise TimeoutError("the time for this message is over")
        return left


@final
class _ImpatientSocket(ssl.SSLSocket):
    """Waits until its deadline in all, however slowly the bytes drop in."""

    seconds_left: Callable[[], float]

    def recv_into(
        self, buffer: "WriteableBuffer", nbytes: int | None = None, flags: int = 0
    ) -> int:
        """Receive, as long as there is time."""
        self.settimeout(self.seconds_left())
        return super().recv_into(buffer, nbytes, flags)
