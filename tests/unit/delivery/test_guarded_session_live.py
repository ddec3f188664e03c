"""backend/delivery/guarded_session.py against a real server."""

import socket
from collections.abc import Iterable
from pathlib import Path

import pytest
import requests

from backend.delivery.endpoints import (
    AllowedEndpoint,
    AllowedHost,
    check_endpoint,
    parse_push_hosts,
)
from backend.delivery.guarded_session import guarded_session
from tests.world.push_certificates import make_server_context
from tests.world.push_service import PushService, running_push_service


@pytest.fixture
def endpoint(push_service: PushService, allowed_hosts: tuple[AllowedHost, ...]) -> AllowedEndpoint:
    return check_endpoint(f"https://{push_service.host}/wpush/v2/token", allowed_hosts)


def test_a_pinned_host_is_reached_at_its_address_without_resolving(
    push_service: PushService, endpoint: AllowedEndpoint
) -> None:
    def resolve(_name: str) -> Iterable[str]:
        raise AssertionError("a pinned host is not resolved")

    with guarded_session(endpoint, resolve=resolve) as session:
        answer = session.post(endpoint.url, data=b"hello")
    assert answer.status_code == 404
    (received,) = push_service.received
    assert (received.headers["host"], received.body) == (push_service.host, b"hello")


def test_a_redirect_is_not_followed(push_service: PushService, endpoint: AllowedEndpoint) -> None:
    """T-19: not even to the endpoint itself."""
    for location in ("https://169.254.169.254/latest", endpoint.url, "/elsewhere"):
        push_service.faults.redirect(location)
        with guarded_session(endpoint) as session, pytest.raises(requests.TooManyRedirects):
            session.post(endpoint.url, data=b"x")
    assert len(push_service.received) == 3


def test_another_ca_does_not_vouch_for_a_pinned_host(
    push_service: PushService, endpoint: AllowedEndpoint, tmp_path: Path
) -> None:
    assert endpoint.pin is not None
    make_server_context(host=push_service.host, ca_out=endpoint.pin.ca_file)
    with (
        guarded_session(endpoint) as session,
        pytest.raises(requests.ConnectionError, match="CERT"),
    ):
        session.post(endpoint.url, data=b"x")
    assert push_service.received == []


def test_the_certificate_must_be_of_the_endpoints_name(push_service: PushService) -> None:
    entry = push_service.allow_list_entry.replace(push_service.host, "other.example.org", 1)
    endpoint = check_endpoint("https://other.example.org/x", parse_push_hosts([entry]))
    with (
        guarded_session(endpoint) as session,
        pytest.raises(requests.ConnectionError, match="CERT"),
    ):
        session.post(endpoint.url, data=b"x")
    assert push_service.received == []


@pytest.mark.parametrize("ca", [None, b"", b"not a certificate"])
def test_a_ca_file_that_cannot_be_read_reaches_nothing(
    push_service: PushService, endpoint: AllowedEndpoint, ca: bytes | None
) -> None:
    assert endpoint.pin is not None
    endpoint.pin.ca_file.unlink()
    if ca is not None:
        endpoint.pin.ca_file.write_bytes(ca)
    with guarded_session(endpoint) as session, pytest.raises(requests.ConnectionError):
        session.post(endpoint.url, data=b"x")
    assert push_service.received == []


def test_no_argument_turns_verification_off(
    push_service: PushService, endpoint: AllowedEndpoint
) -> None:
    assert endpoint.pin is not None
    make_server_context(host=push_service.host, ca_out=endpoint.pin.ca_file)
    with guarded_session(endpoint) as session:
        session.verify = False
        with pytest.raises(requests.ConnectionError, match="CERT"):
            session.post(endpoint.url, data=b"x", verify=False)


@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_a_server_that_takes_its_time_is_left(
    push_service: PushService, endpoint: AllowedEndpoint, fault: str
) -> None:
    """T-19: the limit is for the whole answer, however slowly its bytes drop in."""
    getattr(push_service.faults, fault)()
    with (
        guarded_session(endpoint, seconds=0.5) as session,
        pytest.raises(requests.ConnectionError, match="time"),
    ):
        session.post(endpoint.url, data=b"x")


def test_a_server_that_never_finishes_the_handshake_is_left(
    push_service: PushService, allowed_hosts: tuple[AllowedHost, ...]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        entry = push_service.allow_list_entry.replace(
            push_service.base.rpartition(":")[2], str(silent.getsockname()[1])
        )
        endpoint = check_endpoint(f"https://{push_service.host}/x", parse_push_hosts([entry]))
        with (
            guarded_session(endpoint, seconds=0.2) as session,
            pytest.raises(requests.ConnectionError, match="timed out"),
        ):
            session.post(endpoint.url, data=b"x")


def test_without_time_left_nothing_is_connected_to(
    endpoint: AllowedEndpoint, connections: list[object]
) -> None:
    with guarded_session(endpoint, seconds=0) as session, pytest.raises(requests.ConnectionError):
        session.post(endpoint.url, data=b"x")
    assert connections == []


def test_only_the_beginning_of_a_long_answer_is_read(
    push_service: PushService, endpoint: AllowedEndpoint
) -> None:
    push_service.faults.answer(503, text="x" * 1_000_000)
    with guarded_session(endpoint) as session:
        answer = session.post(endpoint.url, data=b"x")
    assert (answer.status_code, answer.text) == (503, "x" * 4096)


def test_what_is_no_http_is_no_answer(push_service: PushService, endpoint: AllowedEndpoint) -> None:
    push_service.faults.garble()
    with guarded_session(endpoint) as session, pytest.raises(requests.ConnectionError):
        session.post(endpoint.url, data=b"x")


def test_a_service_that_is_down_is_not_reached(tmp_path: Path) -> None:
    with running_push_service(ca_out=tmp_path / "ca.pem") as service:
        allowed = parse_push_hosts([service.allow_list_entry])
    endpoint = check_endpoint(f"https://{service.host}/x", allowed)
    with guarded_session(endpoint) as session, pytest.raises(requests.ConnectionError):
        session.post(endpoint.url, data=b"x")
