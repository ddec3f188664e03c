"""backend/delivery/endpoints.py: T-19, as far as text alone can tell."""

from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.delivery.endpoints import Pin, check_endpoint, parse_push_hosts
from backend.errors import EndpointRefused, SettingsInvalid
from backend.settings import Settings

ALLOWED = parse_push_hosts(
    [
        "fcm.googleapis.com",
        "*.push.apple.com",
        "push.cellkey.test=127.0.0.1:8443;/ca.pem",
    ]
)


@pytest.mark.parametrize(
    "url",
    [
        "https://fcm.googleapis.com/fcm/send/abc:APA91bH-_x",
        "https://fcm.googleapis.com:443/fcm/send/abc",
        "https://web.push.apple.com/QLx0",
        "https://a.b.push.apple.com/QLx0?token=BQYAAAD%2bx%3d",
        "https://push.cellkey.test/wpush/v2/token",
        "https://push.cellkey.test:8443/wpush/v2/token",
    ],
)
def test_an_endpoint_of_the_list_is_allowed(url: str) -> None:
    endpoint = check_endpoint(url, ALLOWED)
    assert endpoint.url == url
    assert endpoint.host == urlsplit(url).hostname


def test_the_default_list_allows_what_browsers_give_today() -> None:
    allowed = parse_push_hosts(Settings().push_hosts)
    for url in (
        "https://fcm.googleapis.com/fcm/send/x",
        "https://updates.push.services.mozilla.com/wpush/v2/x",
        "https://web.push.apple.com/x",
        "https://wns2-par02p.notify.windows.com/w/?token=x",
    ):
        assert check_endpoint(url, allowed).pin is None


@pytest.mark.parametrize(
    "url",
    [
        # not https
        "http://fcm.googleapis.com/x",
        "ftp://fcm.googleapis.com/x",
        "//fcm.googleapis.com/x",
        "HTTPS://fcm.googleapis.com/x",
        "",
        # another port
        "https://fcm.googleapis.com:80/x",
        "https://fcm.googleapis.com:8443/x",
        "https://fcm.googleapis.com:/x",
        "https://fcm.googleapis.com:00000443443/x",
        "https://push.cellkey.test:444/x",
        # user, fragment
        "https://fcm.googleapis.com@evil.example/x",
        "https://user:password@fcm.googleapis.com/x",
        "https://fcm.googleapis.com/x#fragment",
        # not in the list
        "https://evil.example/x",
        "https://fcm.googleapis.com.evil.example/x",
        "https://evilfcm.googleapis.com/x",
        "https://push.apple.com/x",
        "https://evilpush.apple.com/x",
        "https://fcm.googleapis.com./x",
        "https://.push.apple.com/x",
        "https://FCM.googleapis.com/x",
        "https://fcm.googleapis.com%2eevil.example/x",
        "https://localhost/x",
        # two parsers, two hosts
        "https://evil.example\\@fcm.googleapis.com/x",
        "https://fcm.googleapis.com\\.evil.example/x",
        "https://fcm.googleapis.com/x\n",
        "https://fcm.googleapis.com/x y",
        "https://fcm.googleapis.com/\r\nHost: evil.example",
        "https://fcm.googleapis.com?x",
        "https://fcm.googleapis.com",
        "https://fcm.googleapis.com\t/x",
        "https://fcm\u3002googleapis.com/x",
        "https://\uff46cm.googleapis.com/x",
        # too long
        "https://fcm.googleapis.com/" + "x" * 2022,
    ],
)
def test_any_other_endpoint_is_refused(url: str) -> None:
    """T-19."""
    with pytest.raises(EndpointRefused):
        check_endpoint(url, ALLOWED)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "169.254.169.254",
        "10.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[fe80::1%25eth0]",
        "web.push.apple.0x1",
        "web.push.apple.1",
    ],
)
def test_an_address_in_any_notation_is_no_host(host: str) -> None:
    """T-19: not even where a careless list would allow it."""
    with pytest.raises(EndpointRefused):
        check_endpoint(f"https://{host}/x", ALLOWED)
    with pytest.raises(SettingsInvalid):
        parse_push_hosts([host])
    with pytest.raises(SettingsInvalid):
        parse_push_hosts([f"*.{host}"])


def test_the_longest_endpoint_is_allowed() -> None:
    check_endpoint("https://fcm.googleapis.com/" + "x" * 2021, ALLOWED)


@given(st.text(max_size=60))
def test_whatever_is_allowed_reads_the_same_to_another_parser(rest: str) -> None:
    """T-19: the host that was checked is the host that a URL parser finds."""
    url = f"https://fcm.googleapis.com{rest}"
    try:
        endpoint = check_endpoint(url, ALLOWED)
    except EndpointRefused:
        return
    parts = urlsplit(url)
    assert (parts.hostname, parts.port or 443) == (endpoint.host, endpoint.port)
    assert (parts.username, parts.password, parts.fragment) == (None, None, "")
    assert url.startswith(endpoint.origin + "/")


@pytest.mark.parametrize(
    ("entry", "address", "port"),
    [
        ("push.example.org=192.0.2.7:8443;/etc/ca.pem", "192.0.2.7", 8443),
        ("push.example.org=[2001:db8::7]:443;/etc/ca.pem", "2001:db8::7", 443),
    ],
)
def test_a_pin_names_one_address_and_one_ca(entry: str, address: str, port: int) -> None:
    (host,) = parse_push_hosts([entry])
    assert host.pin == Pin(address=ip_address(address), port=port, ca_file=Path("/etc/ca.pem"))
    assert host.name == "push.example.org"


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "*",
        "*.",
        "localhost",
        "*.com.",
        "a..example",
        "Push.example.org",
        "push.example.org/",
        "https://push.example.org",
        "push.*.example.org",
        "-push.example.org",
        "x" * 64 + ".example.org",
        ".".join(["x" * 60] * 5),
        "push.example.org=",
        "push.example.org=192.0.2.7;/ca.pem",
        "push.example.org=192.0.2.7:443",
        "push.example.org=192.0.2.7:443;",
        "push.example.org=192.0.2.7:0;/ca.pem",
        "push.example.org=192.0.2.7:65536;/ca.pem",
        "push.example.org=192.0.2.777:443;/ca.pem",
        "push.example.org=other.example:443;/ca.pem",
        "push.example.org=2001:db8::7:443;/ca.pem",
        "*.example.org=192.0.2.7:443;/ca.pem",
    ],
)
def test_a_bad_entry_of_the_list_stops_the_start(entry: str) -> None:
    with pytest.raises(SettingsInvalid, match="push_hosts"):
        parse_push_hosts(["fcm.googleapis.com", entry])
