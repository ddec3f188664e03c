"""Which endpoints we send to (T-19, T-20): addresses that phones gave us, and registered webhooks.

1. It is https, canonical, at most 2048 characters, without user, fragment, or characters that two
   parsers could read in two ways.
2. Its host is a name, not an address in any notation. A push endpoint's stands in
   ``CELLKEY_PUSH_HOSTS``: there by itself, under a wildcard ``*.host``, or pinned. A webhook's is
   the one that an operator registered; ``CELLKEY_WEBHOOK_PINS`` may pin it.
3. Its port is 443. A pinned host may name the port of its pin too.

``host=ADDRESS:PORT;CAFILE`` pins a host to one address and one CA file: that is how an installation
reaches a push service, or a relying party, of its own network. What a name resolves to is the
business of :mod:`backend.delivery.guarded_session`, at the moment of connecting.
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
_HERE: Final = re.compile(
    r"(?P<origin>http://(?P<host>127\.0\.0\.1|\[::1\]):(?P<port>[0-9]{1,5}))"
    r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*"
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
    """Proof that an endpoint keeps the rules above; made by the checks below alone."""

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
    return tuple(_parse_entry(entry, setting="push_hosts") for entry in entries)


def parse_webhook_pins(entries: Iterable[str]) -> tuple[AllowedHost, ...]:
    """Read ``CELLKEY_WEBHOOK_PINS``, once, at start.

    Raises:
        SettingsInvalid: an entry is not a pinned host.
    """
    hosts = tuple(_parse_entry(entry, setting="webhook_pins") for entry in entries)
    if not all(host.pin for host in hosts):
        raise SettingsInvalid("webhook_pins: an entry is host=ADDRESS:PORT;CAFILE")
    return hosts


def check_endpoint(unverified_url: str, allowed: Sequence[AllowedHost]) -> AllowedEndpoint:
    """Check an endpoint by its text alone; nothing is resolved or reached.

    Raises:
        EndpointRefused: it breaks a rule of this module.
    """
    url = _canonical(unverified_url)
    # 2. A name that we know.
    entry = next((entry for entry in allowed if entry.covers(url["host"])), None)
    if entry is None:
        raise EndpointRefused("the endpoint's host is not in the allow-list")
    return _allowed(url, entry.pin)


def check_webhook(unverified_url: str, pinned: Sequence[AllowedHost]) -> AllowedEndpoint:
    """Check a webhook's address by its text alone; nothing is resolved or reached.

    Raises:
        EndpointRefused: it breaks a rule of this module.
    """
    url = _canonical(unverified_url)
    return _allowed(url, next((entry.pin for entry in pinned if entry.covers(url["host"])), None))


def _canonical(unverified_url: str) -> re.Match[str]:
    # 1. One form, so that whoever parses it later reads what was checked here.
    if len(unverified_url) > LONGEST_ENDPOINT:
        raise EndpointRefused(f"the endpoint is longer than {LONGEST_ENDPOINT} characters")
    form = _ENDPOINT.fullmatch(unverified_url)
    if form is None:
        raise EndpointRefused("the endpoint is not https://host/path in canonical form")
    if not is_name(form["host"]):
        raise EndpointRefused("the endpoint's host is not a name")
    return form


def _allowed(url: re.Match[str], pin: Pin | None) -> AllowedEndpoint:
    # 3. The port of https.
    port = int(url["port"] or HTTPS_PORT)
    if port not in {HTTPS_PORT, pin.port if pin else HTTPS_PORT}:
        raise EndpointRefused("the endpoint's port is not 443")
    return AllowedEndpoint(url=url[0], origin=url["origin"], host=url["host"], port=port, pin=pin)


def gateway_endpoint(url: str, *, reached_at: str) -> AllowedEndpoint:
    """Read the address of an SMS gateway, which an administrator gave.

    It is https at a name, with any port; or http at this machine's own address: texts cross no
    network in clear.

    Args:
        url: ``CELLKEY_SMS_URL``.
        reached_at: ``ADDRESS:PORT;CAFILE`` of a gateway of our own network; empty for a public one.

    Raises:
        SettingsInvalid: it is neither.
    """
    form = _ENDPOINT.fullmatch(url) or _HERE.fullmatch(url)
    is_here = form is not None and form["origin"].startswith("http://")
    if form is None or "?" in url or not (is_here or is_name(form["host"])):
        raise SettingsInvalid("sms_url is not https://name/path, or http://127.0.0.1:PORT/path")
    if is_here and reached_at:
        raise SettingsInvalid("sms_reached_at: what is on this machine needs no pin")
    pin = parse_pin(reached_at, "sms_reached_at") if reached_at else None
    port = int(form["port"] or HTTPS_PORT)
    if not 1 <= port <= LAST_PORT:
        raise SettingsInvalid("sms_url: no such port")
    return AllowedEndpoint(url=url, origin=form["origin"], host=form["host"], port=port, pin=pin)


def is_name(host: str) -> bool:
    """Refuse every notation of an address: what ends in a number is one (WHATWG URL, 3.5)."""
    if len(host) > LONGEST_NAME or not _NAME.fullmatch(host):
        return False
    return not _NUMERIC_LABEL.fullmatch(host.rpartition(".")[2])


def _parse_entry(entry: str, *, setting: str) -> AllowedHost:
    text, pinned, pin = entry.partition("=")
    name = text.removeprefix("*.")
    wildcard = name != text
    if not is_name(name):
        raise SettingsInvalid(f"{setting}: {entry!r} names no host in lower case")
    if wildcard and pinned:
        raise SettingsInvalid(f"{setting}: {entry!r}: a wildcard cannot be pinned")
    pin_read = parse_pin(pin, f"{setting}: {entry!r}") if pinned else None
    return AllowedHost(name=name, wildcard=wildcard, pin=pin_read)


def parse_pin(text: str, where: str) -> Pin:
    """Read ``ADDRESS:PORT;CAFILE``; ``where`` names the setting.

    Raises:
        SettingsInvalid: it is not of that form.
    """
    parts = _PIN.fullmatch(text)
    if parts is None:
        raise SettingsInvalid(f"{where} is not host=ADDRESS:PORT;CAFILE")
    try:
        address = ip_address(parts["address"].strip("[]"))
    except ValueError as error:
        raise SettingsInvalid(f"{where}: {error}") from error
    port = int(parts["port"])
    if not 1 <= port <= LAST_PORT:
        raise SettingsInvalid(f"{where}: no such port")
    return Pin(address=address, port=port, ca_file=Path(parts["ca"]))
