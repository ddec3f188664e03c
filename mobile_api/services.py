"""What the phones' application stands on: settings, public keys, the clock. No SAM, no HSM."""

from threading import Event
from typing import Final, cast, final

import msgspec
from flask import Flask, current_app

from backend.access.buckets import Buckets
from backend.access.doorman import Doorman
from backend.access.seats import Seats
from backend.delivery.endpoints import AllowedHost, parse_push_hosts
from backend.delivery.worker_keys import read_push_key
from backend.model.changes import Watching, watch_changes
from backend.protocol.public_keys import PublicKeys
from backend.public_keys_file import read_public_keys_file
from backend.settings import Settings
from backend.signing.sightings import Sightings
from backend.wiring import Clock, make_engine, utc_now

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
    sightings: Sightings = msgspec.field(default_factory=Sightings)
    doorman: Doorman
    """Looks less often at who fails to prove who it is."""
    calls: Buckets
    """How often each phone may call this process."""
    strangers: Buckets
    """How often an address may call what needs no proof."""


def make_services(
    settings: Settings,
    *,
    public_keys: PublicKeys,
    push_key: str,
    clock: Clock,
    watching: Watching,
) -> Services:
    """Put together what the settings and files name.

    Raises:
        SettingsInvalid: the list of push hosts is wrong.
    """
    return Services(
        settings=settings,
        public_keys=public_keys,
        push_key=push_key,
        push_hosts=parse_push_hosts(settings.push_hosts),
        clock=clock,
        watching=watching,
        doorman=Doorman(failures_per_minute=settings.failures_per_minute),
        calls=Buckets(per_minute=settings.phone_calls_per_minute, what="calls"),
        strangers=Buckets(per_minute=settings.calls_per_minute, what="calls"),
    )


def open_services(settings: Settings, *, stop: Event) -> Services:
    """Open what the settings name; ``stop`` ends what waits.

    Raises:
        HsmNotReady: the file of ``cellkey hsm init`` is missing.
        SettingsInvalid: the worker's public keys are missing, or the list of push hosts is wrong.
    """
    return make_services(
        settings,
        public_keys=read_public_keys_file(settings),
        push_key=read_push_key(settings),
        clock=utc_now,
        watching=watch_changes(make_engine(settings.database), stop=stop),
    )


def keep_services(app: Flask, services: Services) -> None:
    """Let an application's routes find what they stand on."""
    app.extensions[_NAME] = services


def services() -> Services:
    """What the application that answers now stands on."""
    return cast("Services", current_app.extensions[_NAME])
