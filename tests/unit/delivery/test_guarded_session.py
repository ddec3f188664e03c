"""backend/delivery/guarded_session.py: T-19 at the moment of connecting."""

import socket
from collections.abc import Iterable

import pytest
import requests

from backend.delivery.endpoints import (
    AllowedEndpoint,
    check_endpoint,
    parse_push_hosts,
)
from backend.delivery.guarded_session import guarded_session, public_addresses
from backend.errors import EndpointRefused

ALLOWED = parse_push_hosts(["push.example.org"])
ENDPOINT = check_endpoint("https://push.example.org/x", ALLOWED)


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
