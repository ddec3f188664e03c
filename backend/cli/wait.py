"""`cellkey wait`: holds who waits for something to change, so that nothing else keeps a thread.

It listens to the database, reads no row of it, and holds no key: give it a database role that may
connect and nothing else. It never loads the SAM, an HSM, or what opens or signs anything.
"""

import asyncio
import logging
import resource
import signal
import sys
from socket import socket
from typing import Final, cast, final

import click
import msgspec
from aiohttp import web

from backend.cli.context import settings_from_environment
from backend.errors import SettingsInvalid
from backend.garbage import keep_what_is_loaded
from backend.logs import configure_logging
from backend.settings import Settings
from backend.waiting.connections import QUIET_SECONDS, Connections, open_socket
from backend.waiting.crowd import Bounds
from backend.waiting.garbage import collect
from backend.waiting.listening import Listening
from backend.waiting.server import Pace, WaitServer
from backend.web_addresses import origin

log = logging.getLogger(__name__)

PORT: Final = 8603
SPARE_FILES: Final = 64
"""File descriptors for all else than connections."""
SPARE_CONNECTIONS: Final = 200
"""Beside those that wait: health checks, requests that are answered at once."""
FINISH_SECONDS: Final = 5.0
DEFAULT: Final = Bounds()


@final
class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where it listens, and for whom."""

    host: str
    port: int
    proxies: frozenset[str]


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=PORT, show_default=True, help="Port to listen on.")
@click.option("--most", default=DEFAULT.all, show_default=True, help="How many may wait in all.")
@click.option(
    "--most-of-address", default=DEFAULT.of_address, show_default=True, help="And from one address."
)
@click.option(
    "--proxy",
    "proxies",
    multiple=True,
    default=("127.0.0.1", "::1"),
    show_default=True,
    help="Address of a proxy whose X-Forwarded-For is believed; may be repeated.",
)
def wait(
    *, host: str, port: int, most: int, most_of_address: int, proxies: tuple[str, ...]
) -> None:
    """Hold long polls and event streams, and tell who waits when something has changed."""
    settings = settings_from_environment()
    if settings.database.startswith("sqlite"):
        raise SettingsInvalid("`cellkey wait` needs PostgreSQL: SQLite tells no changes")
    configure_logging(sys.stderr, json=not sys.stderr.isatty())
    bounds = Bounds(all=_affordable(most), of_address=most_of_address)
    place = Place(host=host, port=port, proxies=frozenset(proxies))
    keep_what_is_loaded()
    asyncio.run(serve(settings, place=place, bounds=bounds, pace=Pace()))


async def serve(settings: Settings, *, place: Place, bounds: Bounds, pace: Pace) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        SettingsInvalid: the port is taken.
    """
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    waiting = WaitServer(
        origins=frozenset({origin(settings.app_url), origin(settings.authorization_server_url)}),
        bounds=bounds,
        proxies=place.proxies,
        is_ready=lambda: listening.listens,
        pace=pace,
    )
    listening = Listening(
        settings.database, tell=waiting.tell, tell_everybody=waiting.tell_everybody
    )
    connections = Connections(most=bounds.all + SPARE_CONNECTIONS)
    runner = web.AppRunner(
        waiting.application(connections.middleware()),
        handler_cancellation=True,
        access_log=None,
        keepalive_timeout=QUIET_SECONDS,
        lingering_time=0.0,
        shutdown_timeout=FINISH_SECONDS,
    )
    await runner.setup()
    server = cast("web.Server", runner.server)
    listener = await loop.create_server(connections.protocols(server), sock=_listen(place))
    background = [
        loop.create_task(listening.run()),
        loop.create_task(connections.sweep(server)),
        loop.create_task(collect()),
    ]
    log.info("up to %d may wait", bounds.all)
    try:
        await stop.wait()
    finally:
        listener.close()
        await waiting.stop()
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await runner.cleanup()


def _listen(place: Place) -> socket:
    try:
        return open_socket(place.host, place.port)
    except OSError as error:
        raise SettingsInvalid(f"cannot listen on {place.host}:{place.port}: {error}") from error


def _affordable(most: int) -> int:
    """Give how many may wait with the file descriptors that this process may have.

    Raises:
        SettingsInvalid: that is nobody.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    affordable = hard - SPARE_FILES - SPARE_CONNECTIONS
    if affordable < 1:
        raise SettingsInvalid(f"too few file descriptors: {hard}; see `ulimit -n`")
    if affordable < most:
        log.warning("the limit of file descriptors lets fewer wait", extra={"reason": str(hard)})
    return min(most, affordable)
