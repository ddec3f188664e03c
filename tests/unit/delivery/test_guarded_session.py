"""backend/delivery/guarded_session.py: T-19 at the moment of connecting."""

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
from backend.delivery.guarded_session import guarded_session, public_addresses
from backend.errors import EndpointRefused
from tests.world.push_certificates import make_server_context
from tests.world.push_service import PushService, running_push_service

ALLOWED = parse_push_hosts(["push.example.org"])
ENDPOINT = check_endpoint("https://push.example.org/x", ALLOWED)


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every attempt of this process to connect to anything."""
    attempts: list[object] = []

    def connect(address: object, *_options: object, **_more: object) -> socket.socket:
        attempts.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setattr(socket.socket, "connect", lambda _socket, address: connect(address))
    return attempts


def post(endpoint: AllowedEndpoint, *, addresses: Iterable[str]) -> requests.Response:
    with guarded_session(endpoint, resolve=lambda _name: addresses) as session:
        return session.post(endpoint.url, data=b"x")


NOT_PUBLIC = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",  # noqa: S104  # nothing is bound
    "10.1.2.3",
    "100.64.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.8",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.251",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::808:808",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12::1",
    "fe80::1",
    "fe80::1%lo",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_a_name_with_an_address_that_is_not_public_is_never_connected_to(
    address: str, connections: list[object]
) -> None:
    """T-19: loopback, link-local, private, multicast, mapped, NAT64, 6to4, Teredo."""
    with pytest.raises(EndpointRefused):
        post(ENDPOINT, addresses=[address])
    with pytest.raises(EndpointRefused):
        post(ENDPOINT, addresses=["8.8.8.8", address])
    assert connections == []


def test_a_name_without_an_address_is_never_connected_to(connections: list[object]) -> None:
    with pytest.raises(EndpointRefused):
        post(ENDPOINT, addresses=[])
    assert connections == []


def test_a_resolver_that_changes_its_mind_is_asked_once_and_its_first_word_is_used(
    connections: list[object],
) -> None:
    """T-19, rebinding: between check and connection there is no second look."""
    answers = iter([["8.8.8.8", "2001:4860:4860::8888"], ["127.0.0.1"]])
    with (
        guarded_session(ENDPOINT, resolve=lambda _name: next(answers)) as session,
        pytest.raises(requests.ConnectionError),
    ):
        session.post(ENDPOINT.url, data=b"x")
    assert connections == [("8.8.8.8", 443), ("2001:4860:4860::8888", 443)]


def test_a_resolver_that_rebinds_between_two_messages_is_refused_at_the_second(
    connections: list[object],
) -> None:
    answers = iter([["8.8.8.8"], ["127.0.0.1"]])
    with guarded_session(ENDPOINT, resolve=lambda _name: next(answers)) as session:
        with pytest.raises(requests.ConnectionError):
            session.post(ENDPOINT.url, data=b"x")
        with pytest.raises(EndpointRefused):
            session.post(ENDPOINT.url, data=b"x")
    assert connections == [("8.8.8.8", 443)]


def test_a_name_that_does_not_resolve_is_not_reached(connections: list[object]) -> None:
    def fail(_name: str) -> Iterable[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    with (
        guarded_session(ENDPOINT, resolve=fail) as session,
        pytest.raises(requests.ConnectionError),
    ):
        session.post(ENDPOINT.url, data=b"x")
    assert connections == []


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/x",
        "http://push.example.org/x",
        "https://push.example.org.evil.example/x",
        "https://push.example.org:8443/x",
        "https://push.example.org@127.0.0.1/x",
    ],
)
def test_a_session_reaches_its_own_endpoint_only(url: str, connections: list[object]) -> None:
    with (
        guarded_session(ENDPOINT, resolve=lambda _name: ["8.8.8.8"]) as session,
        pytest.raises(requests.exceptions.InvalidSchema),
    ):
        session.post(url, data=b"x")
    assert connections == []


def test_the_environments_proxy_is_not_used(
    connections: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """T-19: no proxy inheritance."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:3128")
    with pytest.raises(requests.ConnectionError):
        post(ENDPOINT, addresses=["8.8.8.8"])
    assert connections == [("8.8.8.8", 443)]


def test_public_addresses_of_both_families_are_allowed() -> None:
    found = public_addresses("x.example", lambda _name: ["8.8.8.8", "2606:4700::1111"])
    assert [str(address) for address in found] == ["8.8.8.8", "2606:4700::1111"]


# --- against a real server ----------------------------------------------------


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
