"""Where an SMS gateway may be: texts cross no foreign network in clear."""

import asyncio
import ssl
from pathlib import Path

import pytest

from backend.delivery import smpp_address as module
from backend.delivery.endpoints import gateway_endpoint
from backend.delivery.smpp_address import SmppAddress, connect, smpp_address
from backend.errors import EndpointRefused, NotAnswered, SettingsInvalid
from tests.world.push_certificates import make_server_context

PIN = "10.1.2.3:8443;/etc/ca.pem"
NAME = "smsc.cellkey.test"


@pytest.mark.parametrize(
    ("url", "reached_at"),
    [
        ("https://sms.example.org/send", ""),
        ("https://sms.example.org:13013/cgi-bin/sendsms", ""),
        ("https://sms.example.org/send", PIN),
        ("http://127.0.0.1:13013/cgi-bin/sendsms", ""),
        ("http://[::1]:13013/cgi-bin/sendsms", ""),
    ],
)
def test_an_http_gateway_is_reached_by_tls_or_on_this_machine(url: str, reached_at: str) -> None:
    endpoint = gateway_endpoint(url, reached_at=reached_at)
    assert endpoint.url == url
    assert (endpoint.pin is not None) == bool(reached_at)


@pytest.mark.parametrize(
    ("url", "reached_at"),
    [
        ("", ""),
        ("http://sms.example.org/send", ""),
        ("http://10.0.0.1:13013/send", ""),
        ("http://127.0.0.2:13013/send", ""),
        ("http://localhost:13013/send", ""),
        ("http://127.0.0.1/send", ""),
        ("http://127.0.0.1:13013/send", PIN),
        ("https://10.0.0.1/send", ""),
        ("https://sms.example.org/send?user=me", ""),
        ("https://me:secret@sms.example.org/send", ""),
        ("https://sms.example.org:99999/send", ""),
        ("https://sms.example.org/send", "10.1.2.3"),
        ("ftp://sms.example.org/send", ""),
    ],
)
def test_any_other_address_of_an_http_gateway_is_refused(url: str, reached_at: str) -> None:
    with pytest.raises(SettingsInvalid):
        gateway_endpoint(url, reached_at=reached_at)


@pytest.mark.parametrize(
    ("url", "reached_at", "has_tls"),
    [
        ("smpps://smsc.example.org:3550", "", True),
        ("smpps://smsc.example.org:3550", PIN, True),
        ("smpp://127.0.0.1:2775", "", False),
        ("smpp://10.20.30.40:2775/", "", False),
        ("smpp://[fd00::5]:2775", "", False),
    ],
)
def test_an_sms_centre_is_reached_by_tls_or_by_a_private_line(
    url: str,
    reached_at: str,
    has_tls: bool,  # noqa: FBT001  # parameter of a table
) -> None:
    assert smpp_address(url, reached_at=reached_at).has_tls == has_tls


@pytest.mark.parametrize(
    ("url", "reached_at"),
    [
        ("", ""),
        ("smpp://smsc.example.org:2775", ""),
        ("smpp://8.8.8.8:2775", ""),
        ("smpp://0.0.0.0:2775", ""),
        ("smpp://10.0.0.1:2775", PIN),
        ("smpps://10.0.0.1:3550", ""),
        ("smpps://smsc.example.org", ""),
        ("smpps://smsc.example.org:0", ""),
        ("smpps://smsc.example.org:3550/path", ""),
        ("smpps://me@smsc.example.org:3550", ""),
        ("smpps://smsc.example.org:3550", "nowhere"),
        ("https://smsc.example.org:3550", ""),
    ],
)
def test_any_other_address_of_an_sms_centre_is_refused(url: str, reached_at: str) -> None:
    with pytest.raises(SettingsInvalid):
        smpp_address(url, reached_at=reached_at)


# --- connecting -------------------------------------------------------------------


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    return tmp_path / "ca.pem"


@pytest.fixture
def server_tls(ca_file: Path) -> ssl.SSLContext:
    return make_server_context(host=NAME, ca_out=ca_file)


def greeted(server_tls: ssl.SSLContext, ca_file: Path, *, name: str) -> bytes:
    """Connect to a server of NAME, pinned, as to ``name``; gives what it says first."""

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    async def talk() -> bytes:
        server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=server_tls)
        port = server.sockets[0].getsockname()[1]
        async with server:
            pin = f"127.0.0.1:{port};{ca_file}"
            reader, writer = await connect(smpp_address(f"smpps://{name}:3550", reached_at=pin))
            said = await reader.read()
            writer.close()
        return said

    return asyncio.run(talk())


def test_a_pinned_centre_is_reached_at_its_address_under_its_name(
    server_tls: ssl.SSLContext, ca_file: Path
) -> None:
    assert greeted(server_tls, ca_file, name=NAME) == b"hello"


def test_a_certificate_of_another_name_is_refused(
    server_tls: ssl.SSLContext, ca_file: Path
) -> None:
    with pytest.raises(NotAnswered):
        greeted(server_tls, ca_file, name="other.cellkey.test")


@pytest.fixture
def private_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "resolve_by_system", lambda _name: ["8.8.8.8", "10.0.0.1"])


def test_a_name_with_an_address_that_is_not_public_is_not_connected_to(
    private_name: None, connections: list[object]
) -> None:
    with pytest.raises(EndpointRefused):
        asyncio.run(connect(smpp_address("smpps://smsc.example.org:3550", reached_at="")))
    assert connections == []


def test_nothing_there_is_not_answered() -> None:
    with pytest.raises(NotAnswered):
        asyncio.run(connect(SmppAddress(host="127.0.0.1", port=9, has_tls=False, pin=None)))
