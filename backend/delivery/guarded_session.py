"""The only way out: a session that reaches one origin and nothing else (T-19, T-20).

1. The name is resolved whenever a connection is made, and every address it resolves to must be a
   public one; one private among them refuses all (rebinding). The connection goes to an address
   that was checked, never to the name again.
2. A pinned host is not resolved: the connection goes to its address, and only its CA vouches.
3. TLS is verified for the name in the endpoint, always.
4. No redirect is followed, no proxy, netrc or cookie is heard, no other origin is reached by this
   session. A connection is kept for ``KEPT_SECONDS`` and used again for this origin alone.
5. All together takes at most ``SECONDS``, and at most ``LONGEST_ANSWER`` bytes of an answer are
   asked for; a connection whose answer is longer is closed.

Nothing turns any of this off.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from os import stat_result
from pathlib import Path
from types import TracebackType
from typing import Final, Self, final

import msgspec
from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from certifi import where
from yarl import URL

from backend.delivery.addresses import Address, Resolve, public_addresses, resolve_by_system
from backend.delivery.endpoints import AllowedEndpoint
from backend.errors import EndpointRefused, NotAnswered

SECONDS: Final = 10.0
"""Longest time that one message may take, from connecting to the head of the answer."""
LONGEST_ANSWER: Final = 4096
KEPT_SECONDS: Final = 15.0
"""Shorter than services and firewalls forget a connection that nobody uses."""
DRAIN_SECONDS: Final = 1.0
"""An answer is known by its head; so long its body may take before the connection is given up."""
SECOND_ADDRESS_SECONDS: Final = 0.25
"""After this the next address is tried beside the first (RFC 8305)."""


@final
class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a service said; its body is not kept."""

    status: int
    unverified_retry_after: str | None


@final
class GuardedSession:
    """Connections to one origin, in one event loop; closed when its ``async with`` ends."""

    def __init__(
        self,
        endpoint: AllowedEndpoint,
        *,
        resolve: Resolve = resolve_by_system,
        seconds: float | None = None,
    ) -> None:
        """Reach the origin of ``endpoint``; nothing is connected yet."""
        self._origin, self._pin = endpoint.origin, endpoint.pin
        self._seconds = SECONDS if seconds is None else seconds
        self._trust = _Trust(endpoint.pin.ca_file) if endpoint.pin else None
        connector = _CurtConnector(
            resolver=_GuardedResolver(endpoint, resolve=resolve),
            use_dns_cache=False,
            # How many are under way is said in ``lanes.py``.
            limit=0,
            keepalive_timeout=KEPT_SECONDS,
            happy_eyeballs_delay=SECOND_ADDRESS_SECONDS,
        )
        self._http = ClientSession(
            connector=connector,
            cookie_jar=DummyCookieJar(),
            timeout=ClientTimeout(total=None, sock_connect=None),
            trust_env=False,
            auto_decompress=False,
            read_bufsize=LONGEST_ANSWER,
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),
        )

    async def __aenter__(self) -> Self:
        """Give the session itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close every connection."""
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._http.close()

    async def post(
        self, endpoint: AllowedEndpoint, *, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """Send one request and give what was answered; see :meth:`request`."""
        return await self.request("POST", endpoint, headers=headers, body=body)

    async def request(
        self,
        method: str,
        endpoint: AllowedEndpoint,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> Answer:
        """Send one request and give what was answered.

        Raises:
            EndpointRefused: the endpoint is of another origin, or the host has an address that is
                not public.
            NotAnswered: there was no answer in time and form.
        """
        if (endpoint.origin, endpoint.pin) != (self._origin, self._pin):
            raise EndpointRefused("the endpoint is not of this session's origin")
        if self._seconds <= 0:
            raise NotAnswered("there is no time left")
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._http.request(
                    method,
                    # Word for word: what was checked is what is sent.
                    URL(endpoint.url, encoded=True),
                    data=body,
                    headers=headers,
                    ssl=self._tls(),
                    allow_redirects=False,
                ) as answer,
            ):
                await _drain(answer)
                return Answer(
                    status=answer.status,
                    unverified_retry_after=answer.headers.get("Retry-After"),
                )
        except (ClientError, OSError) as error:
            raise NotAnswered(
                f"{endpoint.host} did not answer in time and form",
                perhaps_taken=not isinstance(error, ClientConnectorError),
            ) from error

    def _tls(self) -> ssl.SSLContext:
        """Rule 3. A connection is used again only under the context that it was made with."""
        return self._trust.context() if self._trust else _trusting_public_authorities()


@final
class _Trust:
    """The one CA of a pinned host; its file is read anew when it changed, for it may be renewed."""

    def __init__(self, ca_file: Path) -> None:
        self._ca_file = ca_file
        self._seen: tuple[int, ...] | None = None
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """Give the context of the file as it is now.

        Raises:
            OSError: the file cannot be read, or holds no certificate.
        """
        seen = _identity_of(self._ca_file.stat())
        if self._context is None or seen != self._seen:
            self._context = ssl.create_default_context(cafile=self._ca_file)
            self._seen = seen
        return self._context


def _identity_of(state: stat_result) -> tuple[int, ...]:
    return state.st_ino, state.st_mtime_ns, state.st_size


@cache
def _trusting_public_authorities() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=where())


@final
class _CurtConnector(TCPConnector):
    """Cuts off what is not used again: a farewell of TLS may never be answered."""

    def _release(
        self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False
    ) -> None:
        if should_close or protocol.should_close:
            protocol.abort()
        super()._release(key, protocol, should_close=should_close)


@final
class _GuardedResolver(AbstractResolver):
    """Rules 1 and 2: gives the addresses that may be connected to, whatever name is asked for."""

    def __init__(self, endpoint: AllowedEndpoint, *, resolve: Resolve) -> None:
        self._endpoint = endpoint
        self._resolve = resolve
        self._under_way: asyncio.Future[tuple[Address, ...]] | None = None

    async def resolve(
        self,
        host: str,
        port: int = 0,  # noqa: ARG002  # the endpoint's port was checked
        family: socket.AddressFamily = socket.AF_UNSPEC,
    ) -> list[ResolveResult]:
        """Give the checked addresses of the one host.

        Raises:
            EndpointRefused: another host is asked for, or an address is not public.
            OSError: the name does not resolve now.
        """
        if host != self._endpoint.host:
            raise EndpointRefused("the session was asked for another host")
        pin = self._endpoint.pin
        if pin is not None:
            return [_result(host, pin.address, pin.port, family)]
        addresses = await self._checked_addresses()
        return [_result(host, address, self._endpoint.port, family) for address in addresses]

    async def _checked_addresses(self) -> tuple[Address, ...]:
        """Ask once for all who wait, so that a slow resolver costs one thread a host."""
        if self._under_way is None:
            self._under_way = asyncio.get_running_loop().run_in_executor(
                None, public_addresses, self._endpoint.host, self._resolve
            )
            self._under_way.add_done_callback(self._forget)
        return await asyncio.shield(self._under_way)

    def _forget(self, done: "asyncio.Future[tuple[Address, ...]]") -> None:
        self._under_way = None
        if not done.cancelled():
            done.exception()  # perhaps nobody waited so long

    async def close(self) -> None:
        """Nothing is kept."""


def _result(host: str, address: Address, port: int, family: int) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=str(address),
        port=port,
        family=family,
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST,
    )


async def _drain(answer: ClientResponse) -> None:
    """Read what little may follow the head, so that the connection can be used again."""
    content, left = answer.content, LONGEST_ANSWER
    with suppress(ClientError, TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while left > 0 and not content.at_eof():
                left -= len(await content.read(left))
    if not content.at_eof():
        answer.close()
