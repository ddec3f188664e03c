"""`cellkey serve`: the whole service in one process.

Both applications, the phone app's files, worker and clerk, and the SAM unless
``CELLKEY_SAM_SOCKET`` names one. It listens on this machine alone; who reaches it from outside
comes through a proxy that speaks TLS. If a part ends, all end, and the exit code says so.
"""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from threading import Event, Thread
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import click
from flask import Flask
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from backend.app import check_sam, create_app
from backend.cli.clerk import make_clerk
from backend.cli.context import settings_from_environment, told_to_stop
from backend.cli.http_server import HttpServer
from backend.cli.worker import make_worker
from backend.errors import DatabaseOutdated
from backend.model.telling import tell_changes
from backend.model.version import check_version
from backend.public_keys_file import read_public_keys_file
from backend.sam.connect import Capabilities, connect, open_sam
from backend.sam.housekeeping import keep_house
from backend.services import Services
from backend.settings import Settings
from backend.wiring import (
    configure_logging,
    make_engine,
    make_session_factory,
    utc_now,
)

log = logging.getLogger(__name__)

MOBILE_API: Final = "mobile_api.app"
"""Loaded by name: ``backend`` does not know the phones' application."""
AUTHENTICATOR: Final = "mobile_api.authenticator.app"
"""As above: the phone app's files."""
HERE: Final = "127.0.0.1"

Part = Callable[[], object]


class Place(NamedTuple):
    """Where one application is served."""

    port: int
    """Of this machine, where a proxy stands before it; else the address has the port."""
    threads: int


AUTHORIZATION: Final = Place(port=8600, threads=16)
MOBILE: Final = Place(port=8601, threads=40)
"""More threads than long polls are held (``mobile_api/services.py``)."""
APP: Final = Place(port=8602, threads=4)


@click.command()
@click.option("--host", default=HERE, show_default=True, help="Address to listen on.")
def serve(*, host: str) -> None:
    """Run the whole service in one process."""
    settings = settings_from_environment()
    configure_logging(sys.stderr, json=not sys.stderr.isatty())
    stop = told_to_stop()
    with _database(settings) as engine, ExitStack() as cleaning:
        parts = _parts(settings, engine, host=host, stop=stop, cleaning=cleaning)
        click.echo(_welcome(settings))
        ended = _run(parts, stop=stop)
    if ended:
        raise click.ClickException(f"{', '.join(ended)} ended by itself; the log says why")


def _parts(
    settings: Settings, engine: Engine, *, host: str, stop: Event, cleaning: ExitStack
) -> dict[str, Part]:
    """Make every part, so that what is missing is said before anything runs."""
    sessions = make_session_factory(engine)
    sam, housekeeping = _sam(settings, stop)
    services = Services(
        settings=settings,
        sam=sam,
        public_keys=read_public_keys_file(settings),
        clock=utc_now,
        stop=stop,
    )
    check_sam(services)
    worker = make_worker(settings, sessions)
    clerk = make_clerk(settings, sessions, sam, clock=utc_now)
    mobile_api: Flask = import_module(MOBILE_API).create_app_from_settings(settings, stop=stop)
    here = _listen(
        create_app(services), settings.authorization_server_url, AUTHORIZATION, host=host
    )
    cleaning.callback(here.stop)
    for_phones = _listen(mobile_api, settings.mobile_api_url, MOBILE, host=host)
    cleaning.callback(for_phones.stop)
    phone_app: Flask = import_module(AUTHENTICATOR).create_app(settings)
    of_app = _listen(phone_app, settings.app_url, APP, host=host)
    cleaning.callback(of_app.stop)
    return {
        "worker": lambda: worker.run(stop),
        "telling": lambda: tell_changes(engine, stop=stop),
        "clerk": lambda: clerk.run(stop),
        "authorisation server": lambda: _serve(here, stop),
        "mobile API": lambda: _serve(for_phones, stop),
        "phone app": lambda: _serve(of_app, stop),
        **housekeeping,
    }


def _sam(settings: Settings, stop: Event) -> tuple[Capabilities, dict[str, Part]]:
    """The SAM, and its housekeeping where it lives in this process."""
    if settings.sam_socket is not None:
        return connect(settings), {}
    sam = open_sam(settings)
    return sam, {"SAM": lambda: keep_house(sam, stop)}


def _listen(app: Flask, address: str, place: Place, *, host: str) -> HttpServer:
    parts = urlsplit(address)
    is_direct = parts.scheme == "http"
    port = (parts.port or 80) if is_direct else place.port
    return HttpServer(app, host=host, port=port, threads=place.threads)


def _serve(server: HttpServer, stop: Event) -> None:
    """Serve until told to stop; requests that are under way are finished."""

    def end() -> None:
        stop.wait()
        server.stop()

    ending = Thread(target=end, name="http-end")
    ending.start()
    server.serve()
    ending.join()


def _run(parts: dict[str, Part], *, stop: Event) -> list[str]:
    """Run the parts until told to stop; names those that ended before."""
    ended: list[str] = []

    def run(name: str, part: Part) -> None:
        try:
            part()
        except Exception:  # the outer edge of the process
            log.exception("%s failed", name)
        if not stop.is_set():
            ended.append(name)
            stop.set()

    threads = [Thread(target=run, args=part, name=part[0]) for part in parts.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ended


@contextmanager
def _database(settings: Settings) -> Iterator[Engine]:
    """Give the engine of a database that is at this program's version.

    Raises:
        DatabaseOutdated: it is not, or does not answer.
    """
    engine = make_engine(settings.database)
    try:
        with engine.connect() as connection:
            check_version(connection)
        yield engine
    except OperationalError as error:
        raise DatabaseOutdated(
            f"the database does not answer: {error.orig}; run `cellkey db upgrade`"
        ) from error
    finally:
        engine.dispose()


def _welcome(settings: Settings) -> str:
    return "\n".join(
        [
            f"{settings.ca_name} is served.",
            f"  authorisation server and CSC API: {settings.authorization_server_url}",
            f"  mobile API: {settings.mobile_api_url} (documentation: /docs)",
            f"  phone app: {settings.app_url}",
            "Next: `cellkey signer register` prints an envelope, `cellkey phone pair` is a phone,",
            "`cellkey relying-party add` lets somebody ask. Ctrl-C ends.",
        ]
    )
