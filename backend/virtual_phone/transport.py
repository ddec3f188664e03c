"""HTTP as the phone does it: the same bytes again until an answer comes.

Connection loss and 503 are repeated with growing pauses (``Retry-After`` counts); the body stays
the same to the byte, a request proof is made new for each attempt because it counts once. Redirects
are not followed, plain HTTP is spoken to this machine alone, and an answer's length is limited. The
clock is set from each answer's ``Date``.
"""

import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import urlsplit

import msgspec
import requests
import urllib3.exceptions

from backend.virtual_phone.encoding import read_json
from backend.virtual_phone.errors import ConnectionLost, MessageRefused, ServerRefused, Unreachable

ANSWER_LIMIT = 1 << 23
PIECE = 1 << 16
ATTEMPTS = 6
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
ANSWER_SECONDS = 15.0
UNAVAILABLE = 503
FIRST_ERROR = 400
PROBLEM = "urn:cellkey:problem:"


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP answer; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Http(Protocol):
    """Carries one request to its server, once."""

    def send(self, request: Request, *, timeout_seconds: float) -> Response:
        """The answer, whatever its status.

        Raises:
            ConnectionLost: no whole answer came.
        """


Watch = Callable[[Literal["sent", "received"], str, str, Mapping[str, str], bytes], None]
"""Sees (direction, method, URL, headers, body) of every message, secrets and all."""

Prove = Callable[[str, str, bytes | None], str]
"""Makes ``Authorization`` for (method, URL, body); called anew for each attempt."""


class RequestsHttp:
    """:class:`Http` over the network."""

    def __init__(self, *, certificates: Path | None = None) -> None:
        """Trust the system's authorities, or those in the file ``certificates`` alone."""
        self._session = requests.Session()
        self._session.headers["Accept-Encoding"] = "identity"
        if certificates is not None:
            # Else REQUESTS_CA_BUNDLE of the environment would win over the file.
            self._session.trust_env = False
            self._session.verify = str(certificates)

    def send(self, request: Request, *, timeout_seconds: float) -> Response:
        """Carry one request over the network.

        Raises:
            ConnectionLost: no whole answer came.
            Unreachable: plain HTTP to another machine; it is not even tried.
        """
        _refuse_open_line(request.url)
        try:
            with self._session.request(
                request.method,
                request.url,
                headers=dict(request.headers),
                data=request.body,
                auth=_as_it_is,
                timeout=timeout_seconds,
                allow_redirects=False,
                stream=True,
            ) as answer:
                body = _limited(answer)
                headers = {name.lower(): value for name, value in answer.headers.items()}
                status = answer.status_code
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise ConnectionLost(f"{request.method} {request.url}: {error}") from error
        return Response(status=status, headers=headers, body=body)


class Clock:
    """The service's time, as far as the phone knows it."""

    def __init__(self, local: Callable[[], float] = time.time) -> None:
        """Start with the phone's own time."""
        self._local = local
        self._ahead_seconds = 0.0

    def now(self) -> int:
        """Seconds since 1970."""
        return int(self._local() + self._ahead_seconds)

    def set_from(self, headers: Mapping[str, str]) -> None:
        """Take over an answer's ``Date``; nothing happens where it has none that can be read."""
        try:
            date = parsedate_to_datetime(headers.get("date", ""))
        except ValueError:
            return
        self._ahead_seconds = date.timestamp() - self._local()


class Caller:
    """Makes calls of section 8 and reads their answers."""

    def __init__(
        self,
        http: Http,
        *,
        clock: Clock,
        sleep: Callable[[float], None] = time.sleep,
        watch: Watch | None = None,
    ) -> None:
        """Send by ``http``; show everything to ``watch``."""
        self._http = http
        self._sleep = sleep
        self._watch = watch
        self.clock = clock

    def exchange(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        prove: Prove | None = None,
        timeout_seconds: float = ANSWER_SECONDS,
        attempts: int = ATTEMPTS,
    ) -> Response:
        """The answer to a request, repeated until there is one other than 503.

        Raises:
            Unreachable: none came in all attempts.
            ServerRefused: status 400 and above.
        """
        last = "no answer"
        for attempt in range(attempts):
            try:
                answer = self._once(
                    method, url, body=body, prove=prove, timeout_seconds=timeout_seconds
                )
            except ConnectionLost as error:
                last, pause = str(error), None
            else:
                if answer.status < FIRST_ERROR:
                    return answer
                if answer.status != UNAVAILABLE:
                    raise refused(answer)
                last, pause = str(refused(answer)), answer.headers.get("retry-after")
            if attempt + 1 < attempts:
                self._sleep(_pause_seconds(pause, attempt=attempt))
        raise Unreachable(last)

    def _once(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None,
        prove: Prove | None,
        timeout_seconds: float,
    ) -> Response:
        headers: dict[str, str] = {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if prove is not None:
            headers["Authorization"] = prove(method, url, body)
        watch = self._watch or _nobody
        watch("sent", method, url, headers, body or b"")
        request = Request(method=method, url=url, headers=headers, body=body)
        answer = self._http.send(request, timeout_seconds=timeout_seconds)
        watch("received", method, url, answer.headers, answer.body)
        self.clock.set_from(answer.headers)
        return answer


class _Problem(msgspec.Struct, frozen=True):
    type: str
    detail: str = ""


def refused(answer: Response) -> ServerRefused:
    """The error that an answer of status 400 and above stands for."""
    try:
        members = read_json(answer.body, dict[str, object])
        problem = read_json(answer.body, _Problem)
    except MessageRefused:
        members, problem = {}, _Problem(type="")
    known = problem.type.startswith(PROBLEM)
    return ServerRefused(
        name=problem.type.removeprefix(PROBLEM) if known else "unknown",
        status=answer.status,
        detail=problem.detail,
        members=members,
    )


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep the phone's own ``Authorization``; without this a .netrc would replace it."""
    return request


def _limited(answer: requests.Response) -> bytes:
    """The body as it came over the wire, ``Content-Encoding`` and all."""
    body = bytearray()
    while piece := answer.raw.read(PIECE, decode_content=False):
        body += piece
        if len(body) > ANSWER_LIMIT:
            raise MessageRefused(f"an answer is longer than {ANSWER_LIMIT} bytes")
    return bytes(body)


def _nobody(*_message: object) -> None:
    """Watch nothing."""


def _pause_seconds(retry_after: str | None, *, attempt: int) -> float:
    growing = FIRST_PAUSE_SECONDS * (1 << attempt)
    if retry_after is not None and retry_after.isascii() and retry_after.isdecimal():
        growing = max(growing, float(retry_after))
    return min(growing, LONGEST_PAUSE_SECONDS)


def _refuse_open_line(url: str) -> None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        here = ip_address(host).is_loopback
    except ValueError:
        here = host == "localhost"
    if parts.scheme != "https" and not (parts.scheme == "http" and here):
        raise Unreachable(f"{parts.scheme}://{host}: only https is spoken to another machine")
