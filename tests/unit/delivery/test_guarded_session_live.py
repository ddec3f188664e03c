"""backend/delivery/guarded_session.py against a real server."""

import asyncio
import socket
import ssl
from collections.abc import Iterable
from pathlib import Path

import pytest

from backend.delivery import guarded_session
from backend.delivery.addresses import Resolve, resolve_by_system
from backend.delivery.endpoints import (
    AllowedEndpoint,
    AllowedHost,
    check_endpoint,
    parse_push_hosts,
)
from backend.delivery.guarded_session import (
    SECONDS,
    Answer,
    GuardedSession,
)
from backend.errors import NotAnswered
from tests.world.push_certificates import make_server_context
from tests.world.push_service import PushService, running_push_service


def post(
    endpoint: AllowedEndpoint,
    *,
    times: int = 1,
    seconds: float = SECONDS,
    resolve: Resolve = resolve_by_system,
) -> Answer:
    """Post by one session, one after the other; gives the last answer."""

    async def run() -> Answer:
        async with GuardedSession(endpoint, seconds=seconds, resolve=resolve) as session:
            for _ in range(times - 1):
                await session.post(endpoint, headers={}, body=b"hello")
            return await session.post(endpoint, headers={}, body=b"hello")

    return asyncio.run(run())


def cause(caught: pytest.ExceptionInfo[NotAnswered]) -> BaseException:
    """What lies below; an error of ours says no more than that there was no answer."""
    assert caught.value.__cause__ is not None
    return caught.value.__cause__


@pytest.fixture
def endpoint(push_service: PushService, allowed_hosts: tuple[AllowedHost, ...]) -> AllowedEndpoint:
    return check_endpoint(f"https://{push_service.host}/wpush/v2/token", allowed_hosts)


def test_a_pinned_host_is_reached_at_its_address_without_resolving(
    push_service: PushService, endpoint: AllowedEndpoint
) -> None:
    def resolve(_name: str) -> Iterable[str]:
        raise AssertionError("a pinned host is not resolved")

    assert post(endpoint, resolve=resolve).status == 404
    (received,) = push_service.received
    assert (received.headers["host"], received.body) == (push_service.host, b"hello")


@pytest.fixture
def every_body_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """However late it comes on a busy machine."""
    monkeypatch.setattr(guarded_session, "DRAIN_SECONDS", 60)


@pytest.mark.usefixtures("every_body_is_read")
def test_a_connection_is_used_again(push_service: PushService, endpoint: AllowedEndpoint) -> None:
    post(endpoint, times=5)
    assert len(push_service.received) == 5
    assert len({received.peer for received in push_service.received}) == 1


@pytest.mark.parametrize(
    "location", ["https://169.254.169.254/latest", "/elsewhere", "http://127.0.0.1/", "//[::1]/"]
)
def test_a_redirect_is_an_answer_and_is_not_followed(
    push_service: PushService, endpoint: AllowedEndpoint, location: str
) -> None:
    """T-19: not even to the endpoint itself."""
    push_service.faults.redirect(location)
    push_service.faults.redirect(endpoint.url)
    assert post(endpoint, times=2).status == 307
    assert len(push_service.received) == 2


def test_a_cookie_is_not_sent_back(push_service: PushService, endpoint: AllowedEndpoint) -> None:
    push_service.faults.answer(503, headers={"Set-Cookie": "a=b; Path=/"})
    post(endpoint, times=2)
    assert all("cookie" not in received.headers for received in push_service.received)


def test_another_ca_does_not_vouch_for_a_pinned_host(
    push_service: PushService, endpoint: AllowedEndpoint, tmp_path: Path
) -> None:
    assert endpoint.pin is not None
    make_server_context(host=push_service.host, ca_out=endpoint.pin.ca_file)
    with pytest.raises(NotAnswered) as caught:
        post(endpoint)
    assert isinstance(cause(caught), ssl.SSLCertVerificationError)
    assert push_service.received == []


def test_a_connection_is_not_used_again_once_its_ca_was_replaced(
    push_service: PushService, endpoint: AllowedEndpoint
) -> None:
    assert endpoint.pin is not None
    ca_file = endpoint.pin.ca_file

    async def run() -> None:
        async with GuardedSession(endpoint) as session:
            await session.post(endpoint, headers={}, body=b"x")
            make_server_context(host=push_service.host, ca_out=ca_file)
            with pytest.raises(NotAnswered):
                await session.post(endpoint, headers={}, body=b"x")

    asyncio.run(run())
    assert len(push_service.received) == 1


def test_the_certificate_must_be_of_the_endpoints_name(push_service: PushService) -> None:
    entry = push_service.allow_list_entry.replace(push_service.host, "other.example.org", 1)
    endpoint = check_endpoint("https://other.example.org/x", parse_push_hosts([entry]))
    with pytest.raises(NotAnswered) as caught:
        post(endpoint)
    assert isinstance(cause(caught), ssl.SSLCertVerificationError)
    assert push_service.received == []


@pytest.mark.parametrize("ca", [None, b"", b"not a certificate"])
def test_a_ca_file_that_cannot_be_read_reaches_nothing(
    push_service: PushService, endpoint: AllowedEndpoint, ca: bytes | None
) -> None:
    assert endpoint.pin is not None
    endpoint.pin.ca_file.unlink()
    if ca is not None:
        endpoint.pin.ca_file.write_bytes(ca)
    with pytest.raises(NotAnswered) as caught:
        post(endpoint)
    assert isinstance(cause(caught), FileNotFoundError if ca is None else ssl.SSLError)
    assert push_service.received == []


@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_a_server_that_takes_its_time_is_left(
    push_service: PushService, endpoint: AllowedEndpoint, fault: str
) -> None:
    """T-19: the limit is for the whole answer, however slowly its bytes drop in."""
    getattr(push_service.faults, fault)()
    with pytest.raises(NotAnswered) as caught:
        post(endpoint, seconds=0.5)
    assert isinstance(cause(caught), TimeoutError)


def test_a_server_that_never_finishes_the_handshake_is_left(
    push_service: PushService, allowed_hosts: tuple[AllowedHost, ...]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        entry = push_service.allow_list_entry.replace(
            push_service.base.rpartition(":")[2], str(silent.getsockname()[1])
        )
        endpoint = check_endpoint(f"https://{push_service.host}/x", parse_push_hosts([entry]))
        with pytest.raises(NotAnswered) as caught:
            post(endpoint, seconds=0.2)
    assert isinstance(cause(caught), TimeoutError)


def test_without_time_left_nothing_is_connected_to(
    endpoint: AllowedEndpoint, connections: list[object]
) -> None:
    with pytest.raises(NotAnswered):
        post(endpoint, seconds=0)
    assert connections == []


def test_a_long_answer_is_not_read_and_costs_the_connection(
    push_service: PushService, endpoint: AllowedEndpoint
) -> None:
    """T-19: ten megabytes say nothing that the head did not say."""
    push_service.faults.answer(503, text="x" * 10_000_000)
    assert post(endpoint, times=2).status == 404
    assert len({received.peer for received in push_service.received}) == 2


@pytest.mark.usefixtures("every_body_is_read")
def test_a_short_answer_keeps_the_connection(
    push_service: PushService, endpoint: AllowedEndpoint
) -> None:
    push_service.faults.answer(503, text="x" * 4000)
    assert post(endpoint, times=2).status == 404
    assert len({received.peer for received in push_service.received}) == 1


def test_a_body_that_never_ends_does_not_hold_back_what_the_head_said(
    push_service: PushService, endpoint: AllowedEndpoint
) -> None:
    push_service.faults.drip_body(201)
    assert post(endpoint).status == 201


def test_what_is_no_http_is_no_answer(push_service: PushService, endpoint: AllowedEndpoint) -> None:
    push_service.faults.garble()
    with pytest.raises(NotAnswered):
        post(endpoint)


def test_a_service_that_is_down_is_not_reached(tmp_path: Path) -> None:
    with running_push_service(ca_out=tmp_path / "ca.pem") as service:
        allowed = parse_push_hosts([service.allow_list_entry])
    endpoint = check_endpoint(f"https://{service.host}/x", allowed)
    with pytest.raises(NotAnswered):
        post(endpoint)
