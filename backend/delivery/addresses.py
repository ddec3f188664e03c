"""Which addresses of a name may be connected to: public ones alone, and all of them (T-19)."""

import socket
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from backend.errors import EndpointRefused

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


def _is_public(address: Address) -> bool:
    """Say whether anybody on the internet means the same machine by this address."""
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    return not any(address in network for network in _NEVER)
