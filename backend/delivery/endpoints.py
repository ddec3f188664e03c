"""Which push endpoints we send to (T-19). An endpoint is an address that a phone gave us.

1. It is https, canonical, at most 2048 characters, without user, fragment, or characters that two
   parsers could read in two ways.
2. Its host is a name, not an address in any notation, and stands in ``CELLKEY_PUSH_HOSTS``: there
   by itself, under a wildcard ``*.host``, or pinned.
3. Its port is 443. A pinned host may name the port of its pin too.

``host=ADDRESS:PORT;CAFILE`` pins a host to one address and one CA file: that is how an installation
reaches a push service of its own network. What a name resolves to is the business of
:mod:`backend.delivery.guarded_session`, at the moment of connecting.
"""

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final, final

import msgspec

from backend.errors import EndpointRefused, SettingsInvalid

HTTPS_PORT: Final = 443
LONGEST_ENDPOINT: Final = 2048
LONGEST_NAME: Final = 253
LAST_PORT: Final = 65_535

_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_NUMERIC_LABEL: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_ENDPOINT: Final = re.compile(
    r"(?P<origin>https://(?P<host>[a-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?)"
    r"/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*"
)
_PIN: Final = re.compile(r"(?P<address>\[[0-9a-fA-F:.]+\]|[0-9.]+):(?P<port>[0-9]{1,5});(?P<ca>.+)")


@final
class Pin(msgspec.Struct, frozen=True, kw_only=True):
    """The one address where a host is reached, and the one CA that vouches for it."""

    address: IPv4Address | IPv6Address
    port: int
    ca_file: Path


@final
class AllowedHost(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the allow-list."""

    name: str
    """Host name; of a wildcard the part after ``*.``."""
    wildcard: bool
    pin: Pin | None

    def covers(self, host: str) -> bool:
        """Say whether ``host`` is meant; a wildcard covers names below, never the name itself."""
        return host.endswith("." + self.name) if self.wildcard else host == self.name


@final
class AllowedEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Proof that an endpoint keeps the rules above; made by :func:`check_endpoint` alone."""

    url: str
    origin: str
    """Scheme, host and port as the endpoint writes them; the ``aud`` of VAPID (RFC 8292, 2)."""
    host: str
    port: int
    pin: Pin | None


def parse_push_hosts(entries: Iterable[str]) -> tuple[AllowedHost, ...]:
    """Read ``CELLKEY_PUSH_HOSTS``, once, at start.

    Raises:
        SettingsInvalid: an entry is not a host, a wildcard or a pinned host.
    """
    return tuple(_parse_entry(entry) for entry in entries)


def check_endpoint(unverified_url: str, allowed: Sequence[AllowedHost]) -> AllowedEndpoint:
    """Check an endpoint by its text alone; nothing is resolved or reached.

    Raises:
        EndpointRefused: it breaks a rule of this module.
    """
    # 1. One form, so that whoever parses it later reads what was checked here.
    if len(unverified_url) > LONGEST_ENDPOINT:
        raise EndpointRefused(f"the endpoint is longer than {LONGEST_ENDPOINT} characters")
    form = _ENDPOINT.fullmatch(unverified_url)
    if form is None:
        raise EndpointRefused("the endpoint is not https://host/path in canonical form")
    # 2. A name that we know.
    host = form["host"]
    if not _is_name(host):
        raise EndpointRefused("the endpoint's host is not a name")
    entry = next((entry for entry in allowed if entry.covers(host)), None)
    if entry is None:
        raise EndpointRefused("the endpoint's host is not in the allow-list")
    # 3. The port of https.
    port = int(form["port"] or HTTPS_PORT)
    if port not in {HTTPS_PORT, entry.pin.port if entry.pin else HTTPS_PORT}:
        raise EndpointRefused("the endpoint's port is not 443")
    return AllowedEndpoint(
        url=unverified_url, origin=form["origin"], host=host, port=port, pin=entry.pin
    )


def _is_name(host: str) -> bool:
    """Refuse every notation of an address: what ends in a number is one (WHATWG URL, 3.5)."""
    if len(host) > LONGEST_NAME or not _NAME.fullmatch(host):
        return False
    return not _NUMERIC_LABEL.fullmatch(host.rpartition(".")[2])


def _parse_entry(entry: str) -> AllowedHost:
    text, pinned, pin = entry.partition("=")
    name = text.removeprefix("*.")
    wildcard = name != text
    if not _is_name(name):
        raise SettingsInvalid(f"push_hosts: {entry!r} names no host in lower case")
    if wildcard and pinned:
        raise SettingsInvalid(f"push_hosts: {entry!r}: a wildcard cannot be pinned")
    return AllowedHost(name=name, wildcard=wildcard, pin=_parse_pin(pin, entry) if pinned else None)


def _parse_pin(text: str, entry: str) -> Pin:
    parts = _PIN.fullmatch(text)
    if parts is None:
        raise SettingsInvalid(f"push_hosts: {entry!r} is not host=ADDRESS:PORT;CAFILE")
    try:
        address = ip_address(parts["address"].strip("[]"))
    except ValueError as error:
        raise SettingsInvalid(f"push_hosts: {entry!r}: {error}") from error
    port = int(parts["port"])
    if not 1 <= port <= LAST_PORT:
        raise SettingsInvalid(f"push_hosts: {entry!r}: no such port")
    return Pin(address=address, port=port, ca_file=Path(parts["ca"]))
