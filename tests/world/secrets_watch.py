"""Watches everything that a browser sends and keeps, for bytes that must stay in the page.

1. Sent is every request of the pages and of the service worker that arrives at our servers, to the
   byte; of requests elsewhere, what the browser tells; and every message by WebSocket.
2. Kept is what lies in IndexedDB, local and session storage, caches, cookies, the history's state
   and the address.
3. A secret is looked for raw, as hexadecimal, base64 at each alignment, a list of numbers, escaped
   for addresses, as a string of such characters, and in the letters of our codes.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote_to_bytes, urlsplit

from playwright.sync_api import BrowserContext, Page, Request, WebSocket

from backend.protocol.encoding import secret_text
from tests.world.wire_tap import WireTap

STORES: Final = Path(__file__).with_name("stores.js").read_text("utf-8")
CODE_BYTES: Final = 16


@dataclass(frozen=True)
class Seen:
    """Bytes, and where they were."""

    where: str
    content: bytes


class Watch:
    """Watches one context from now on."""

    def __init__(self, context: BrowserContext, tap: WireTap) -> None:
        self.requests: list[Request] = []
        self._sent: list[Seen] = []
        self._tap = tap
        self._tapped_before = len(tap.tapped)
        context.on("request", self._note_request)
        context.on("page", lambda page: page.on("websocket", self._note_socket))

    @property
    def origins(self) -> set[str]:
        """Where requests went; what a page made itself (``blob:``, ``data:``) is no request."""
        addresses = [urlsplit(request.url) for request in self.requests]
        return {f"{at.scheme}://{at.netloc}" for at in addresses if at.netloc}

    @property
    def sent(self) -> list[Seen]:
        """What went out so far."""
        tapped = self._tap.tapped[self._tapped_before :]
        return [*self._sent, *(Seen(each.where, each.content) for each in tapped)]

    def leaks(self, *pages: Page, **secrets: bytes) -> list[str]:
        """Name each secret that was sent, or that these pages' origin keeps, and where."""
        seen = [*self.sent, *(kept for page in pages for kept in stored(page))]
        forms = [(name, form) for name, value in secrets.items() for form in writings(value)]
        return [
            f"{name}: {each.where}"
            for each in seen
            for name, form in forms
            if form in each.content or form in unquote_to_bytes(each.content)
        ]

    def _note_request(self, request: Request) -> None:
        self.requests.append(request)
        where = f"{request.method} {request.url}"
        headers = "\n".join(f"{name}: {value}" for name, value in request.headers.items())
        self._sent.append(Seen(where, f"{request.url}\n{headers}\n".encode()))
        if (body := request.post_data_buffer) is not None:
            self._sent.append(Seen(f"{where} (body)", body))

    def _note_socket(self, socket: WebSocket) -> None:
        def note(frame: str | bytes) -> None:
            content = frame.encode() if isinstance(frame, str) else frame
            self._sent.append(Seen(f"WebSocket {socket.url}", content))

        socket.on("framesent", note)


def stored(page: Page) -> list[Seen]:
    """What the page's origin keeps in this browser. Keys that are extractable count as kept."""
    found: list[dict[str, Any]] = page.evaluate(STORES)
    cookies = page.context.cookies()
    return [
        *(Seen(each["where"], _content(each)) for each in found),
        *(Seen(f"cookie {each.get('name')}", json.dumps(each).encode()) for each in cookies),
    ]


def extractable_keys(page: Page) -> list[str]:
    """Where the page's origin keeps private or secret keys that scripts may read."""
    return [kept.where for kept in stored(page) if kept.content == b"extractable key"]


def _content(found: dict[str, Any]) -> bytes:
    text: str = found["text"]
    return bytes.fromhex(text) if found["hex"] else text.encode("utf-8", "surrogatepass")


def writings(secret: bytes) -> set[bytes]:
    """The forms in which a secret might be written down."""
    numbers = [str(byte) for byte in secret]
    forms = {
        secret,
        secret.hex().encode(),
        secret.hex().upper().encode(),
        secret.decode("latin-1").encode(),
        ",".join(numbers).encode(),
        ", ".join(numbers).encode(),
        *_base64s(secret),
    }
    if len(secret) == CODE_BYTES:
        code = secret_text(secret)
        forms |= {code.encode(), code.lower().encode()}
    return forms


def _base64s(secret: bytes) -> Iterator[bytes]:
    """Base64 of anything that has the secret in it: what does not depend on its neighbours."""
    for offset in range(3):
        shifted = bytes(offset) + secret
        whole = len(shifted) // 3 * 3
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(shifted[:whole])[4 if offset else 0 :]
