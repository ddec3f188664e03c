"""Where an SMS centre is reached, and how: texts cross no foreign network in clear.

1. ``smpps://name:port`` is TLS, verified for that name. The name's addresses must be public, and
   are checked when the connection is made; or the centre is pinned to one address and one CA.
2. ``smpp://address:port`` is without TLS: to an address of this machine or of a private network
   alone, where a tunnel or a line of its own carries it.
"""

import asyncio
import re
import ssl
from ipaddress import ip_address
from typing import Final, final

import msgspec
from certifi import where

from backend.delivery.addresses import public_addresses, resolve_by_system
from backend.delivery.endpoints import LAST_PORT, Pin, is_name, parse_pin
from backend.delivery.smpp_pdus import LONGEST_PDU
from backend.errors import NotAnswered, SettingsInvalid

CONNECT_SECONDS: Final = 5.0

_FORM: Final = re.compile(
    r"(?P<scheme>smpps?)://(?P<host>[a-z0-9.-]+|\[[0-9a-f:.]+\]):(?P<port>[0-9]{1,5})/?"
)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@final
class SmppAddress(msgspec.Struct, frozen=True, kw_only=True):
    """An address that keeps the rules above; made by :func:`smpp_address` alone."""

    host: str
    port: int
    has_tls: bool
    pin: Pin | None


def smpp_address(url: str, *, reached_at: str) -> SmppAddress:
    """Read ``CELLKEY_SMS_URL`` and ``CELLKEY_SMS_REACHED_AT``.

    Raises:
        SettingsInvalid: they break a rule of this module.
    """
    form = _FORM.fullmatch(url)
    if form is None or not 1 <= int(form["port"]) <= LAST_PORT:
        raise SettingsInvalid("sms_url is not smpps://name:port, or smpp://address:port")
    host, has_tls = form["host"].strip("[]"), form["scheme"] == "smpps"
    if has_tls and not is_name(host):
        raise SettingsInvalid("sms_url: smpps:// needs a name, which its certificate holds")
    if not has_tls and not _is_private(host):
        raise SettingsInvalid("sms_url: smpp:// without TLS goes to a private address alone")
    if not has_tls and reached_at:
        raise SettingsInvalid("sms_reached_at: what has no TLS cannot be pinned")
    pin = parse_pin(reached_at, "sms_reached_at") if reached_at else None
    return SmppAddress(host=host, port=int(form["port"]), has_tls=has_tls, pin=pin)


async def connect(address: SmppAddress) -> Streams:
    """Connect.

    Raises:
        NotAnswered: nothing answers there, or not as whom it should.
        EndpointRefused: the name has an address that is not public.
    """
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            if not address.has_tls:
                return await _open(address.host, address.port)
            if address.pin is not None:
                trusted = ssl.create_default_context(cafile=address.pin.ca_file)
                where_it_is = str(address.pin.address), address.pin.port
                return await _open(*where_it_is, ssl=trusted, server_hostname=address.host)
            return await _open_public(address)
    except OSError as error:
        raise NotAnswered("the SMS centre is not reached") from error


async def _open_public(address: SmppAddress) -> Streams:
    found = await asyncio.to_thread(public_addresses, address.host, resolve_by_system)
    trusted = ssl.create_default_context(cafile=where())
    return await _open(str(found[0]), address.port, ssl=trusted, server_hostname=address.host)


async def _open(
    host: str, port: int, *, ssl: ssl.SSLContext | None = None, server_hostname: str | None = None
) -> Streams:
    return await asyncio.open_connection(
        host, port, limit=4 * LONGEST_PDU, ssl=ssl, server_hostname=server_hostname
    )


def _is_private(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_private and not (address.is_unspecified or address.is_reserved)
