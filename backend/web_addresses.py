"""Which addresses we may have, or speak of: plain http never leaves the machine (CSC-12)."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from backend.errors import SettingsInvalid


def check_address(setting: str, url: str) -> None:
    """Check an address that a setting names.

    Raises:
        SettingsInvalid: it is neither https, nor http on this machine.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and parts.hostname and is_loopback(parts.hostname):
        return
    raise SettingsInvalid(f"{setting} must be https outside this machine, not {url!r}")


def is_loopback(host: str) -> bool:
    """Whether that host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
