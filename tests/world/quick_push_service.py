"""A push service for measuring, in a process of its own: cheap, and 100 ms away.

It checks the form of each message (TTL, urgency, topic, encrypted body; RFC 8030 and 8291) and each
VAPID token in full when it sees it for the first time (RFC 8292). It decrypts nothing and keeps no
subscription. What it accepted, and when, it writes as JSON lines when it is told to end. Beside it
stands a host that is dead: connections are taken by the kernel and never answered.
"""

import argparse
import asyncio
import json
import signal
import socket
import time
from pathlib import Path

from aiohttp import web

from tests.world.push_certificates import make_server_context
from tests.world.push_rules import Refused, check_body, check_vapid, read_topic, read_ttl

HOST = "quick.cellkey.test"
DEAD = "dead.cellkey.test"


class QuickPushService:
    """Accepts after ``seconds``."""

    def __init__(self, *, seconds: float, key: str) -> None:
        self._seconds = seconds
        self._key = key
        self._known: set[str] = set()
        self.accepted: list[tuple[str, float]] = []
        self.refused: list[str] = []

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        began = time.time()
        try:
            topic = self._check(request, body)
        except Refused as refused:
            self.refused.append(str(refused))
            return web.Response(status=refused.status)
        await asyncio.sleep(max(0.0, self._seconds - (time.time() - began)))
        self.accepted.append((topic, time.time()))
        return web.Response(status=201, headers={"Location": f"https://{HOST}/message/{topic}"})

    def _check(self, request: web.BaseRequest, body: bytes) -> str:
        if request.method != "POST" or request.host != HOST:
            raise Refused(421, "this is not that host")
        token = request.headers.get("Authorization", "")
        if token not in self._known:
            check_vapid(token, audience=f"https://{HOST}", expected_key=self._key, now=time.time())
            self._known.add(token)
        read_ttl(request.headers)
        check_body(request.headers, body)
        topic = read_topic(request.headers)
        if topic is None:
            raise Refused(400, "no topic")
        return topic


async def serve(service: QuickPushService, *, ca_out: Path, told: Path) -> None:
    """Serve until told to end."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    tls = make_server_context(host=HOST, ca_out=ca_out)
    runner = web.ServerRunner(web.Server(service.answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls, backlog=1024).start()
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as dead:
        hosts = [
            f"{HOST}=127.0.0.1:{runner.addresses[0][1]};{ca_out}",
            f"{DEAD}=127.0.0.1:{dead.getsockname()[1]};{ca_out}",
        ]
        beside = told.with_suffix(".new")
        beside.write_text(json.dumps(hosts))
        beside.replace(told)
        await stopping.wait()


def main() -> None:
    """Run as a process until it is told to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.1, help="how far away it is")
    parser.add_argument("--key", required=True, help="the VAPID public key that it knows")
    parser.add_argument("--ca-out", type=Path, required=True)
    parser.add_argument("--ready-file", type=Path, required=True, help="its push hosts")
    parser.add_argument("--report", type=Path, required=True)
    options = parser.parse_args()
    service = QuickPushService(seconds=options.seconds, key=options.key)
    asyncio.run(serve(service, ca_out=options.ca_out, told=options.ready_file))
    told = {"accepted": service.accepted, "refused": service.refused}
    options.report.write_text(json.dumps(told))


if __name__ == "__main__":
    main()
