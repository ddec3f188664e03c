"""Which addresses we may have, or speak of: plain http never leaves the machine (CSC-12)."""

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit
from uuid import UUID

from backend.errors import SettingsInvalid


def check_address(setting: str, url: str) -> None:
    """Check an address that a setting names.

    Raises:
        SettingsInvalid: it is neither https, nor http on this machine.
    """
    if not is_safe(urlsplit(url)):
        raise SettingsInvalid(f"{setting} must be https outside this machine, not {url!r}")


def is_safe(parts: SplitResult) -> bool:
    """Whether an address has a host, by https or on this machine."""
    host = parts.hostname or ""
    return (parts.scheme == "https" and host != "") or (parts.scheme == "http" and _is_here(host))


def origin(url: str) -> str:
    """Scheme, host and port of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def wait_address(wait_url: str, wait_id: UUID) -> str | None:
    """Where to wait for a change; ``None`` where there is no ``cellkey wait``."""
    return f"{wait_url.rstrip('/')}/wait/{wait_id}" if wait_url else None


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
