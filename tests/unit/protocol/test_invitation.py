"""The envelope's two QR codes (docs/phone-protocol.md, 5 and 8)."""

from urllib.parse import parse_qs, urlsplit

import pytest

from backend.errors import MalformedMessage
from backend.protocol.encoding import secret_bytes
from backend.protocol.invitation import addresses_text, pairing_text
from tests.unit.protocol import by_hand, cast

SECRET = by_hand.octets("envelope", 16)


def test_qr_1_opens_the_app_and_names_both_servers() -> None:
    servers = {"as": "https://sign.example", "api": "https://api.example:8443/m?x=1&as=y"}
    for app in ("https://app.example", "https://app.example/"):
        text = addresses_text(app, authorization_server=servers["as"], mobile_api=servers["api"])
        parts = urlsplit(text)
        assert (parts.scheme, parts.netloc, parts.path) == ("https", "app.example", "/")
        assert parse_qs(parts.fragment) == {name: [value] for name, value in servers.items()}


def test_qr_1_leaves_the_apps_own_path_whole() -> None:
    for app in ("https://example.org/app", "https://example.org/APPX"):
        text = addresses_text(app, authorization_server="https://a.example", mobile_api="b")
        assert text.startswith(f"{app}/#as=")


def test_qr_2_is_the_secret_and_can_be_typed() -> None:
    text = pairing_text(SECRET)
    assert text == f"cellkey:pair?s={by_hand.crockford(SECRET)}"
    assert secret_bytes(text.removeprefix("cellkey:pair?s=")) == SECRET


def test_qr_2_for_an_existing_cell_pins_ks() -> None:
    text = pairing_text(SECRET, ks=cast.public(cast.KS))
    assert text == f"cellkey:pair?s={by_hand.crockford(SECRET)}&k={cast.b64_tp(cast.KS)}"


def test_only_16_bytes_are_printed() -> None:
    with pytest.raises(MalformedMessage):
        pairing_text(SECRET[1:])
