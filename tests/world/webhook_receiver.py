"""A relying party's server that is told of its transactions: strict, over HTTPS.

It takes only what Standard Webhooks 1.0.0 allows and docs/relying-party.md says, and holds each
signature to that of the library ``standardwebhooks``, which is not ours. HOST is made up: it is
reached through a pin (:attr:`pin`).
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any
from weakref import WeakSet

from aiohttp import web
from standardwebhooks import Webhook

from tests.world.push_certificates import make_server_context
from tests.world.push_faults import Faults

HOST = "shop.cellkey.test"
TOLERANCE_SECONDS = 300
LONGEST_REQUEST = 20 * 1024
TYPES = {f"transaction.{what}" for what in ("approved", "refused", "expired", "frozen")}
START_SECONDS = 30
HANG_UP_SECONDS = 0.02


@dataclass(frozen=True)
class Delivery:
    """One request, and whether it was taken."""

    id: str
    headers: dict[str, str]
    body: bytes
    refused: str | None

    @property
    def payload(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self.body)
        return read


class Wrong(Exception):
    """The request is not what it must be."""


class WebhookReceiver:
    """The server. ``url``, ``pin`` and the CA's file are known once it runs."""

    def __init__(self, *, ca_out: Path, host: str = HOST, clock: Callable[[], float]) -> None:
        self.host = host
        self.ca_file = ca_out
        self.port = 0
        self.secrets: list[str] = []
        """Those that this server knows; any of them may have signed."""
        self.deliveries: list[Delivery] = []
        self._clock = clock
        self._tls = make_server_context(host=host, ca_out=ca_out)
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._transports: WeakSet[asyncio.WriteTransport] = WeakSet()
        self.faults = Faults(self._stopping)

    @property
    def url(self) -> str:
        return f"https://{self.host}/hooks/cellkey"

    @property
    def pin(self) -> str:
        """The entry of ``CELLKEY_WEBHOOK_PINS`` by which this server is reached."""
        return f"{self.host}=127.0.0.1:{self.port};{self.ca_file}"

    @property
    def taken(self) -> list[Delivery]:
        return [one for one in self.deliveries if one.refused is None]

    async def serve(self, *, ready: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        app = web.Application(client_max_size=LONGEST_REQUEST)
        app.router.add_route("*", "/{path:.*}", self._receive)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self._tls).start()
            self.port = runner.addresses[0][1]
            ready()
            await self._stopping.wait()
        finally:
            await runner.cleanup()
            for transport in self._transports:
                transport.abort()
            await asyncio.sleep(HANG_UP_SECONDS)

    def stop(self) -> None:
        """End :meth:`serve`; to be called in its loop."""
        self._stopping.set()

    def let_go(self) -> None:
        """Answer what hangs, and end. From any thread."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self.stop)

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        if isinstance(request.transport, asyncio.WriteTransport):
            self._transports.add(request.transport)
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        refused = None
        try:
            self._check(request, headers, body)
        except Wrong as wrong:
            refused = str(wrong)
        fault = self.faults.take()
        if fault is not None:
            refused = refused or "as told"
        self.deliveries.append(Delivery(headers.get("webhook-id", ""), headers, body, refused))
        if fault is not None:
            return await fault(request)
        return web.Response(status=400, text=refused) if refused else web.Response(status=204)

    def _check(self, request: web.Request, headers: dict[str, str], body: bytes) -> None:
        if (request.method, request.path, request.host) != ("POST", "/hooks/cellkey", self.host):
            raise Wrong("that is not here")
        if headers.get("content-type") != "application/json":
            raise Wrong("not JSON")
        self._check_signature(headers, body)
        payload = json.loads(body)
        if payload.keys() != {"type", "timestamp", "data"} or payload["type"] not in TYPES:
            raise Wrong("another type")
        if datetime.fromisoformat(payload["timestamp"]).tzinfo != UTC:
            raise Wrong("not in UTC")
        if payload["data"].keys() - {"state"} != {"handleHash", "credentialID"}:
            raise Wrong("other data")

    def _check_signature(self, headers: dict[str, str], body: bytes) -> None:
        name, moment = headers["webhook-id"], int(headers["webhook-timestamp"])
        if "." in name or abs(moment - self._clock()) > TOLERANCE_SECONDS:
            raise Wrong("too old, or too new")
        at = datetime.fromtimestamp(moment, UTC)
        good = {Webhook(one).sign(name, at, body.decode()) for one in self.secrets}
        if not good & set(headers["webhook-signature"].split(" ")):
            raise Wrong("no signature of ours")


@contextmanager
def running_receiver(
    *, ca_out: Path, host: str = HOST, clock: Callable[[], float] = time.time
) -> Iterator[WebhookReceiver]:
    """Run the server in a thread of its own."""
    receiver = WebhookReceiver(ca_out=ca_out, host=host, clock=clock)
    loop = asyncio.new_event_loop()
    ready = Event()
    thread = Thread(
        target=lambda: loop.run_until_complete(receiver.serve(ready=ready.set)), name="receiver"
    )
    thread.start()
    if not ready.wait(START_SECONDS):
        raise RuntimeError("the receiver did not start")
    try:
        yield receiver
    finally:
        loop.call_soon_threadsafe(receiver.stop)
        thread.join()
        loop.close()
