"""What the phones' application stands on: settings, public keys, the clock. No SAM, no HSM."""

from threading import Event
from typing import Final, cast, final

import msgspec
from flask import Flask, current_app

from backend.access.seats import Seats
from backend.delivery.endpoints import AllowedHost, parse_push_hosts
from backend.delivery.worker_keys import read_push_key
from backend.model.changes import Watching, watch_changes
from backend.protocol.public_keys import PublicKeys
from backend.settings import Settings
from backend.wiring import Clock, make_engine, read_public_keys_file, utc_now

MOST_WAITING: Final = 24
"""Long polls that one process holds; each keeps a thread of the WSGI server."""
MOST_WAITING_OF_ONE: Final = 3
"""Of them for one phone: its app, and what is left of connections that broke."""
_NAME: Final = "mobile_api"


@final
class Services(msgspec.Struct, frozen=True, kw_only=True):
    """One application's."""

    settings: Settings
    public_keys: PublicKeys
    """Whose asks and records are believed; from a file, never from a row."""
    push_key: str
    """Our VAPID public key, base64url of the point."""
    push_hosts: tuple[AllowedHost, ...]
    clock: Clock
    watching: Watching
    """What a long poll waits by."""
    seats: Seats = msgspec.field(
        default_factory=lambda: Seats(total=MOST_WAITING, each=MOST_WAITING_OF_ONE)
    )


def open_services(settings: Settings, *, stop: Event) -> Services:
    """Open what the settings name; ``stop`` ends what waits.

    Raises:
        HsmNotReady: the file of ``cellkey hsm init`` is missing.
        SettingsInvalid: the worker's public keys are missing, or the list of push hosts is wrong.
    """
    return Services(
        settings=settings,
        public_keys=read_public_keys_file(settings),
        push_key=read_push_key(settings),
        push_hosts=parse_push_hosts(settings.push_hosts),
        clock=utc_now,
        watching=watch_changes(make_engine(settings.database), stop=stop),
    )


def keep_services(app: Flask, services: Services) -> None:
    """Let an application's routes find what they stand on."""
    app.extensions[_NAME] = services


def services() -> Services:
    """What the application that answers now stands on."""
    return cast("Services", current_app.extensions[_NAME])
