"""A push service, as strict as the real ones, and the place where a phone picks its messages up.

For applications (RFC 8030, 8291, 8292; rules in ``push_rules.py``):

* ``POST https://HOST/wpush/v2/<token>``

For phones, at ``https://127.0.0.1:PORT``, with the same certificate:

* ``POST /subscribe`` ``{"key": VAPID public key}`` → 201 ``{"endpoint", "inbox"}``
* ``GET <inbox>?wait=25`` → 200, the encrypted message and ``X-Message-Id``; 204 when there is none
* ``DELETE <inbox>/<id>`` → 204

For browsers, the WebSocket of ``push_socket.py`` at ``ws://127.0.0.1:PORT/``, without TLS.

HOST is made up: it is reached through a pinned entry of the allow-list (:attr:`allow_list_entry`).
Runs in a thread of pytest (:func:`running_push_service`) or as a process
(``python -m tests.world.push_service``), for people who try things out.
"""

import argparse
import asyncio
import json
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_urlsafe
from threading import Event, Thread
from weakref import WeakSet

from aiohttp import web

from tests.world.push_certificates import make_server_context
from tests.world.push_faults import Faults, close
from tests.world.push_inbox import Message, Received, Subscription
from tests.world.push_rules import (
    Refused,
    check_body,
    check_vapid,
    read_key,
    read_topic,
    read_ttl,
)
from tests.world.push_socket import PushSocket

HOST = "push.cellkey.test"
LONGEST_WAIT_SECONDS = 25
LONGEST_REQUEST = 64 * 1024
START_SECONDS = 120
HANG_UP_SECONDS = 0.02
AT_ONCE_SECONDS = 30


class PushService:
    """The service. ``base`` and ``socket_url`` are known once it runs."""

    def __init__(
        self, *, ca_out: Path, host: str = HOST, clock: Callable[[], float] = time.time
    ) -> None:
        self.host = host
        self.ca_file = ca_out
        self.base = ""
        self.socket_url = ""
        self.loop: asyncio.AbstractEventLoop | None = None
        self.received: list[Received] = []
        self._clock = clock
        self._tls = make_server_context(host=host, ca_out=ca_out)
        self._by_token: dict[str, Subscription] = {}
        self._by_secret: dict[str, Subscription] = {}
        self._stopping = asyncio.Event()
        self._transports: WeakSet[asyncio.WriteTransport] = WeakSet()
        self.faults = Faults(self._stopping)
        self.browsers = PushSocket(subscribed=self._keep, clock=clock)

    @property
    def allow_list_entry(self) -> str:
        """The entry of ``CELLKEY_PUSH_HOSTS`` by which this service is reached."""
        return f"{self.host}={self.base.removeprefix('https://')};{self.ca_file}"

    # --- what tests may do; safe from any thread ------------------------------

    def expire(self, endpoint: str) -> None:
        """Let a subscription be gone: 410 from now on."""
        self._by_token[endpoint.rpartition("/")[2]].gone = True

    def lose_browsers(self) -> None:
        """Lose all that is known of browsers, and hang up on them."""
        assert self.loop is not None
        asyncio.run_coroutine_threadsafe(self.browsers.lose(), self.loop).result()

    def is_awaited(self, endpoint: str) -> bool:
        """Say whether a phone waits at its inbox now."""
        return self._by_token[endpoint.rpartition("/")[2]].waiting > 0

    def is_gone(self, endpoint: str) -> bool:
        """Say whether a subscription has ended."""
        return self._by_token[endpoint.rpartition("/")[2]].gone

    def waiting(self, endpoint: str) -> list[Message]:
        """What was accepted and has not been picked up."""
        return list(self._by_token[endpoint.rpartition("/")[2]].messages)

    # --- running --------------------------------------------------------------

    async def serve(self, *, port: int, ready: Callable[[], None]) -> None:
        """Serve until :meth:`stop`."""
        self.loop = asyncio.get_running_loop()
        app = web.Application(client_max_size=LONGEST_REQUEST, middlewares=[self._say_refusals])
        app.router.add_post("/subscribe", self._subscribe)
        app.router.add_post("/wpush/v2/{token}", self._accept)
        app.router.add_get("/inbox/{secret}", self._pick_up)
        app.router.add_delete("/inbox/{secret}/{id}", self._acknowledge)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        for_browsers = web.Application()
        for_browsers.router.add_get("/", self.browsers.talk)
        sockets = web.AppRunner(for_browsers, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        await sockets.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port, ssl_context=self._tls).start()
            self.base = f"https://127.0.0.1:{runner.addresses[0][1]}"
            await web.TCPSite(sockets, "127.0.0.1", 0).start()
            self.socket_url = f"ws://127.0.0.1:{sockets.addresses[0][1]}/"
            ready()
            await self._stopping.wait()
        finally:
            await self.browsers.hang_up()
            await sockets.cleanup()
            await runner.cleanup()
            await self._hang_up()

    async def _hang_up(self) -> None:
        """Close connections at once; TLS would wait for a farewell that may never come."""
        for transport in self._transports:
            transport.abort()
        await asyncio.sleep(HANG_UP_SECONDS)

    def stop(self) -> None:
        """End :meth:`serve`; to be called in its loop."""
        self._stopping.set()
        for subscription in self._by_token.values():
            subscription.changed.set()

    @web.middleware
    async def _say_refusals(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        if isinstance(request.transport, asyncio.WriteTransport):
            self._transports.add(request.transport)
        try:
            return await handler(request)
        except Refused as refused:
            return web.Response(status=refused.status, text=str(refused))

    # --- for applications -----------------------------------------------------

    async def _accept(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        token = request.match_info["token"]
        headers = {name.lower(): value for name, value in request.headers.items()}
        peer = request.transport and request.transport.get_extra_info("peername")
        self.received.append(Received(token, headers, body, peer))
        fault = self.faults.take()
        if fault is not None:
            return await fault(request)
        if request.host != self.host:
            raise Refused(421, "this is not that host")
        subscription = self._by_token.get(token)
        if subscription is None:
            raise Refused(404, "no such subscription")
        if subscription.gone:
            raise Refused(410, "the subscription is gone")
        check_vapid(
            request.headers.get("Authorization"),
            audience=f"https://{self.host}",
            expected_key=subscription.key,
            now=self._clock(),
        )
        ttl = read_ttl(request.headers)
        topic = read_topic(request.headers)
        check_body(request.headers, body)
        message_id = token_urlsafe(16)
        if ttl or subscription.waiting:
            expires_at = self._clock() + (ttl or AT_ONCE_SECONDS)
            subscription.keep(Message(message_id, body, topic, expires_at))
        if self.faults.take_loss():
            return await close(request)
        location = f"https://{self.host}/message/{message_id}"
        return web.Response(status=201, headers={"Location": location, "TTL": str(ttl)})

    # --- for phones -----------------------------------------------------------

    async def _subscribe(self, request: web.Request) -> web.StreamResponse:
        try:
            key = (await request.json())["key"]
        except (ValueError, TypeError, KeyError) as error:
            raise Refused(400, 'the body is not {"key": …}') from error
        read_key(str(key))
        subscription = Subscription(token_urlsafe(32), token_urlsafe(32), key)
        self._by_secret[subscription.secret] = subscription
        answer = {
            "endpoint": self._keep(subscription),
            "inbox": f"{self.base}/inbox/{subscription.secret}",
        }
        return web.json_response(answer, status=201)

    def _keep(self, subscription: Subscription) -> str:
        """Keep a subscription; gives its endpoint."""
        self._by_token[subscription.token] = subscription
        return f"https://{self.host}/wpush/v2/{subscription.token}"

    async def _pick_up(self, request: web.Request) -> web.StreamResponse:
        subscription = self._inbox(request)
        wait = request.query.get("wait", "0")
        if not wait.isdecimal():
            raise Refused(400, "wait is a number of seconds")
        subscription.waiting += 1
        try:
            async with asyncio.timeout(min(int(wait), LONGEST_WAIT_SECONDS)):
                while not subscription.fresh(self._clock()) and not self._stopping.is_set():
                    subscription.changed.clear()
                    await subscription.changed.wait()
        except TimeoutError:
            return web.Response(status=204)
        finally:
            subscription.waiting -= 1
        if not subscription.messages:
            return web.Response(status=204)
        message = subscription.messages[0]
        headers = {"Content-Encoding": "aes128gcm", "X-Message-Id": message.id}
        return web.Response(body=message.body, headers=headers)

    async def _acknowledge(self, request: web.Request) -> web.StreamResponse:
        subscription = self._inbox(request)
        done = request.match_info["id"]
        subscription.messages = [kept for kept in subscription.messages if kept.id != done]
        return web.Response(status=204)

    def _inbox(self, request: web.Request) -> Subscription:
        subscription = self._by_secret.get(request.match_info["secret"])
        if subscription is None:
            raise Refused(404, "no such inbox")
        return subscription


@contextmanager
def running_push_service(
    *, ca_out: Path, host: str = HOST, clock: Callable[[], float] = time.time
) -> Iterator[PushService]:
    """Run the service in a thread of its own."""
    service = PushService(ca_out=ca_out, host=host, clock=clock)
    loop = asyncio.new_event_loop()
    ready = Event()
    thread = Thread(
        target=lambda: loop.run_until_complete(service.serve(port=0, ready=ready.set)),
        name="push-service",
    )
    thread.start()
    if not ready.wait(START_SECONDS):
        raise RuntimeError("the push service did not start")
    try:
        yield service
    finally:
        loop.call_soon_threadsafe(service.stop)
        thread.join()
        loop.close()


def main() -> None:
    """Run as a process until it is told to end."""
    parser = argparse.ArgumentParser(description="A push service on this machine.")
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--ca-out", type=Path, required=True, help="where its CA is written")
    parser.add_argument("--ready-file", type=Path, required=True, help="written when it serves")
    options = parser.parse_args()
    service = PushService(ca_out=options.ca_out.absolute())

    def ready() -> None:
        told = {"base": service.base, "push_hosts": [service.allow_list_entry]}
        beside = options.ready_file.with_suffix(".new")
        beside.write_text(json.dumps(told))
        beside.replace(options.ready_file)

    async def run() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, service.stop)
        await service.serve(port=options.port, ready=ready)

    asyncio.run(run())


if __name__ == "__main__":
    main()
