"""backend/delivery/guarded_session.py: T-19 at the moment of connecting."""

import asyncio
import socket
from collections.abc import Iterable

import pytest

from backend.delivery.addresses import Resolve, public_addresses
from backend.delivery.endpoints import (
    AllowedEndpoint,
    check_endpoint,
    parse_push_hosts,
)
from backend.delivery.guarded_session import (
    Answer,
    GuardedSession,
    _GuardedResolver,
)
from backend.errors import EndpointRefused, NotAnswered

ALLOWED = parse_push_hosts(["push.example.org"])
ENDPOINT = check_endpoint("https://push.example.org/x", ALLOWED)


def post(endpoint: AllowedEndpoint, *, resolve: Resolve, times: int = 1) -> Answer:
    """Post by one session, so often; gives the last answer."""

    async def run() -> Answer:
        async with GuardedSession(ENDPOINT, resolve=resolve) as session:
            for _ in range(times - 1):
                with pytest.raises(NotAnswered):
                    await session.post(endpoint, headers={}, body=b"x")
            return await session.post(endpoint, headers={}, body=b"x")

    return asyncio.run(run())


def always(*addresses: str) -> Resolve:
    return lambda _name: addresses


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
        post(ENDPOINT, resolve=always(address))
    with pytest.raises(EndpointRefused):
        post(ENDPOINT, resolve=always("8.8.8.8", address))
    assert connections == []


def test_a_name_without_an_address_is_never_connected_to(connections: list[object]) -> None:
    with pytest.raises(EndpointRefused):
        post(ENDPOINT, resolve=always())
    assert connections == []


def test_a_resolver_that_changes_its_mind_is_asked_once_and_its_first_word_is_used(
    connections: list[object],
) -> None:
    """T-19, rebinding: between check and connection there is no second look."""
    answers = iter([["8.8.8.8", "2001:4860:4860::8888"], ["127.0.0.1"]])
    with pytest.raises(NotAnswered):
        post(ENDPOINT, resolve=lambda _name: next(answers))
    assert connections == [("8.8.8.8", 443), ("2001:4860:4860::8888", 443, 0, 0)]


def test_a_resolver_that_rebinds_between_two_messages_is_refused_at_the_second(
    connections: list[object],
) -> None:
    answers = iter([["8.8.8.8"], ["127.0.0.1"]])
    with pytest.raises(EndpointRefused):
        post(ENDPOINT, resolve=lambda _name: next(answers), times=2)
    assert connections == [("8.8.8.8", 443)]


def test_many_who_wait_for_one_name_ask_its_resolver_once(connections: list[object]) -> None:
    """A slow resolver holds one thread for a host, however many messages there are."""
    asked: list[str] = []

    def resolve(name: str) -> Iterable[str]:
        asked.append(name)
        return ["8.8.8.8"]

    async def run() -> list[Answer | BaseException]:
        async with GuardedSession(ENDPOINT, resolve=resolve) as session:
            posts = [session.post(ENDPOINT, headers={}, body=b"x") for _ in range(10)]
            return await asyncio.gather(*posts, return_exceptions=True)

    assert {type(result) for result in asyncio.run(run())} == {NotAnswered}
    assert asked == ["push.example.org"]
    assert connections == [("8.8.8.8", 443)] * 10


def test_a_name_that_does_not_resolve_is_not_reached(connections: list[object]) -> None:
    def fail(_name: str) -> Iterable[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    with pytest.raises(NotAnswered):
        post(ENDPOINT, resolve=fail)
    assert connections == []


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example.org/x",
        "https://push.example.org:443/x",
        "https://push.example.org.other.example.org/x",
    ],
)
def test_a_session_reaches_its_own_origin_only(url: str, connections: list[object]) -> None:
    """Also where the other one is allowed: what one has learnt says nothing of another."""
    other = check_endpoint(url, parse_push_hosts(["push.example.org", "*.example.org"]))
    with pytest.raises(EndpointRefused):
        post(other, resolve=always("8.8.8.8"))
    assert connections == []


def test_a_resolver_is_asked_for_the_endpoints_host_only() -> None:
    resolver = _GuardedResolver(ENDPOINT, resolve=always("8.8.8.8"))
    with pytest.raises(EndpointRefused):
        asyncio.run(resolver.resolve("169.254.169.254"))


def test_the_environments_proxy_is_not_used(
    connections: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """T-19: no proxy inheritance."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:3128")
    with pytest.raises(NotAnswered):
        post(ENDPOINT, resolve=always("8.8.8.8"))
    assert connections == [("8.8.8.8", 443)]


def test_public_addresses_of_both_families_are_allowed() -> None:
    found = public_addresses("x.example", lambda _name: ["8.8.8.8", "2606:4700::1111"])
    assert [str(address) for address in found] == ["8.8.8.8", "2606:4700::1111"]
