"""SMS gateways that speak HTTP, strict: Kannel's `sendsms` as its user guide has it, and our JSON.

Signatures are held to those of the library ``standardwebhooks``, which is not ours.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl

from cheroot.wsgi import Server
from standardwebhooks import Webhook

USER, PASSWORD = "cellkey", "pass & word"
SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSBTTVMgZ2F0ZXdheQ=="
KANNEL_NEEDS = {
    "username",
    "password",
    "from",
    "to",
    "text",
    "charset",
    "coding",
    "validity",
    "dlr-mask",
    "dlr-url",
}
BODY_HAS = {"id", "to", "from", "text", "expires_at", "report_url"}
TOLERANCE_SECONDS = 300


class Wrong(Exception):
    """The request is not what it must be."""


@dataclass
class HttpPeer:
    """What it got, and what it answers instead of taking it."""

    clock: Callable[[], datetime]
    base: str = ""
    parts: list[dict[str, str]] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    answers: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Statuses, with headers, of the next requests; those are not taken. ``200`` takes."""

    @property
    def kannel_url(self) -> str:
        return f"{self.base}/cgi-bin/sendsms"

    @property
    def json_url(self) -> str:
        return f"{self.base}/texts"

    def answer(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        status, headers = self.answers.pop(0) if self.answers else ("200 OK", {})
        if status.startswith("200"):
            try:
                status = self._take(environ)
            except Wrong as wrong:
                self.wrong.append(str(wrong))
                status = "400 Bad Request"
        start_response(status, [("Content-Length", "0"), *headers.items()])
        return []

    def _take(self, environ: dict[str, Any]) -> str:
        what = (environ["REQUEST_METHOD"], environ["PATH_INFO"])
        if what == ("GET", "/cgi-bin/sendsms"):
            return self._take_part(environ["QUERY_STRING"])
        if what == ("POST", "/texts"):
            return self._take_body(environ)
        raise Wrong(f"nothing is at {what}")

    def _take_part(self, query: str) -> str:
        pairs = parse_qsl(query, strict_parsing=True, encoding="latin-1", errors="strict")
        asked = dict(pairs)
        if len(asked) != len(pairs) or asked.keys() - {"udh"} != KANNEL_NEEDS:
            raise Wrong(f"another set of names: {sorted(asked)}")
        if (asked["username"], asked["password"]) != (USER, PASSWORD):
            return "403 Forbidden"
        if asked["charset"] != "UTF-8" or asked["coding"] not in {"0", "2"}:
            raise Wrong("charset or coding")
        asked["text"] = asked["text"].encode("latin-1").decode()
        asked["header"] = asked.pop("udh", "").encode("latin-1").hex()
        self.parts.append(asked)
        return "202 Accepted"

    def _take_body(self, environ: dict[str, Any]) -> str:
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        if environ["CONTENT_TYPE"] != "application/json":
            raise Wrong("not JSON")
        name = environ["HTTP_WEBHOOK_ID"]
        at = datetime.fromtimestamp(int(environ["HTTP_WEBHOOK_TIMESTAMP"]), UTC)
        if abs((at - self.clock()).total_seconds()) > TOLERANCE_SECONDS:
            raise Wrong("too old, or too new")
        if environ["HTTP_WEBHOOK_SIGNATURE"] != Webhook(SECRET).sign(name, at, body.decode()):
            raise Wrong("no signature of ours")
        read = json.loads(body)
        if read.keys() != BODY_HAS:
            raise Wrong("other members")
        self.bodies.append(read | {"webhook-id": name})
        return "200 OK"


@contextmanager
def running_http_peer(clock: Callable[[], datetime]) -> Iterator[HttpPeer]:
    """Run it until the block ends."""
    peer = HttpPeer(clock)
    server = Server(("127.0.0.1", 0), peer.answer, numthreads=4)
    server.prepare()
    peer.base = f"http://127.0.0.1:{server.bind_addr[1]}"
    thread = Thread(target=server.serve)
    thread.start()
    try:
        yield peer
    finally:
        server.stop()
        thread.join()
