"""The phone app's files as they are served: what is in ``static``, and six that this service adds.

1. An installation adds its name, its colour and its addresses; nothing in ``static`` knows them.
2. ``/hashes.txt`` names the SHA-256 of every other file, in the form that ``sha256sum --check``
   reads in the folder of an export. The service worker keeps nothing that does not stand there.
3. The worker's script names the hash of all the others, so that a browser sees each new version.
4. The three libraries are, to the byte, those that ``vendor.sha256`` names; else nothing is served.
"""

import gzip
import struct
import zlib
from collections.abc import Iterator, Mapping
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Final, final

import msgspec

from backend.errors import SettingsInvalid
from backend.settings import Settings

HERE: Final = Path(__file__).parent
STATIC: Final = HERE / "static"
VENDOR_HASHES: Final = HERE / "vendor.sha256"
MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
}
HASHES: Final = "/hashes.txt"
ICONS: Final = ("/icons/icon-192.png", "/icons/icon-512.png")
LARGEST_LOGO: Final = 48 * 1024
LOGO_HEAD: Final = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 512, 512)
"""Signature, and the beginning of the header (PNG, 11.2.1)."""
INDEX: Final = "/"
PROFILE: Final = "/profile.json"
MANIFEST: Final = "/manifest.webmanifest"
WORKER: Final = "/sw.js"
LIGHT: Final = b"\xff\xff\xff"


@final
class File(msgspec.Struct, frozen=True, kw_only=True):
    """One file as a browser gets it."""

    body: bytes
    media_type: str
    sha256: str
    """Hexadecimal."""
    zipped: bytes | None
    """The same by gzip, where that is shorter."""


@final
class _Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What the app knows of its authority, from its own origin alone."""

    ca: str
    color: str
    authorization_server: str
    mobile_api: str
    wait: str | None
    rp_id: str
    software_unlock: bool


def served_files(settings: Settings) -> Mapping[str, File]:
    """Every file of the app by its path.

    Raises:
        SettingsInvalid: a library is missing, or is another than ``vendor.sha256`` says; the
            logo is not what it must be.
    """
    bodies = dict(_static_files())
    _check_vendor(bodies)
    bodies[INDEX] = _index(bodies.pop("/index.html"), settings)
    for path in ICONS:
        bodies[path] = _icon(bodies[path], settings)
    bodies[PROFILE] = msgspec.json.encode(_profile(settings))
    bodies[MANIFEST] = msgspec.json.encode(_manifest(settings))
    bodies[WORKER] = bodies[WORKER].replace(b"@version@", _version(bodies).encode())
    bodies[HASHES] = "".join(
        f"{sha256(body).hexdigest()}  {file_name(path)}\n" for path, body in sorted(bodies.items())
    ).encode()
    return {path: _file(path, body) for path, body in sorted(bodies.items())}


def file_name(path: str) -> str:
    """Give the name in a folder of what is served at ``path``."""
    return path.removeprefix("/") or "index.html"


def colored(png: bytes, *, ink: bytes) -> bytes:
    """Give the drawing of shades ``png`` a colour: only its palette changes (PNG, 11.2.2)."""
    start = png.index(b"PLTE")
    palette = bytes(
        round(paper + (dark - paper) * shade / 255)
        for shade in range(256)
        for dark, paper in zip(ink, LIGHT, strict=True)
    )
    chunk = b"PLTE" + palette
    end = start + len(chunk) + 4
    return png[:start] + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[end:]


def _icon(drawing: bytes, settings: Settings) -> bytes:
    """The authority's own picture, which browsers scale, or the drawing in its colour."""
    if settings.app_logo_file is None:
        return colored(drawing, ink=bytes.fromhex(settings.app_color.removeprefix("#")))
    try:
        logo = settings.app_logo_file.read_bytes()
    except OSError as error:
        raise SettingsInvalid(f"the app's logo cannot be read: {error}") from error
    if len(logo) > LARGEST_LOGO or not logo.startswith(LOGO_HEAD):
        raise SettingsInvalid("the app's logo must be a PNG of 512 by 512, at most 48 KiB")
    return logo


def _static_files() -> Iterator[tuple[str, bytes]]:
    for path in sorted(STATIC.rglob("*")):
        if path.is_file() and path.suffix in MEDIA_TYPES:
            yield f"/{path.relative_to(STATIC).as_posix()}", path.read_bytes()


def _check_vendor(bodies: Mapping[str, bytes]) -> None:
    expected = dict(
        line.split("  ")[::-1] for line in VENDOR_HASHES.read_text("utf-8").splitlines()
    )
    present = {
        path.removeprefix("/"): sha256(body).hexdigest()
        for path, body in bodies.items()
        if path.startswith("/vendor/")
    }
    if present != expected:
        raise SettingsInvalid(
            "the phone app's libraries are missing, or are others than its lock names; "
            "`.ci/authenticator` brings them, `make serve` calls it"
        )


def _index(template: bytes, settings: Settings) -> bytes:
    page = template.decode()
    for name, value in {"@ca@": settings.ca_name, "@color@": settings.app_color}.items():
        page = page.replace(name, escape(value))
    return page.encode()


def _profile(settings: Settings) -> _Profile:
    return _Profile(
        ca=settings.ca_name,
        color=settings.app_color,
        authorization_server=settings.authorization_server_url.rstrip("/"),
        mobile_api=settings.mobile_api_url.rstrip("/"),
        wait=settings.wait_url.rstrip("/") or None,
        rp_id=settings.rp_id,
        software_unlock=settings.app_software_unlock,
    )


def _manifest(settings: Settings) -> dict[str, object]:
    icons = [
        {"src": f"/icons/icon-{size}.png", "sizes": f"{size}x{size}", "purpose": purpose}
        for size in (192, 512)
        for purpose in ("any", "maskable")
    ]
    return {
        "id": "/",
        "start_url": "/",
        "scope": "/",
        "name": settings.ca_name,
        "short_name": settings.ca_name,
        "display": "standalone",
        "background_color": "#ffffff",
        "theme_color": settings.app_color,
        "icons": [{"type": "image/png", **icon} for icon in icons],
    }


def _version(bodies: Mapping[str, bytes]) -> str:
    """The name of this set of files."""
    whole = sha256()
    for path, body in sorted(bodies.items()):
        whole.update(f"{path}\0".encode() + sha256(body).digest())
    return whole.hexdigest()[:16]


def _file(path: str, body: bytes) -> File:
    suffix = ".html" if path == INDEX else Path(path).suffix
    zipped = gzip.compress(body, mtime=0)
    return File(
        body=body,
        media_type=MEDIA_TYPES[suffix],
        sha256=sha256(body).hexdigest(),
        zipped=zipped if len(zipped) < len(body) else None,
    )
