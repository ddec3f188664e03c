"""`cellkey doctor`: looks at everything, one line each, and says what to do.

One check that fails stops no other; the exit code is 1 then.
"""

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from stat import S_IMODE
from typing import Final, final
from urllib.parse import urlsplit

import click
import msgspec
import requests
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from backend.algorithms import KeyAlgorithm
from backend.cli.context import answer, json_option, settings_from_environment
from backend.database import make_engine
from backend.delivery.endpoints import parse_push_hosts, parse_webhook_pins
from backend.delivery.gateways import probe_gateway
from backend.delivery.web_push import vapid_identity
from backend.delivery.webhook_registration import dead_letters
from backend.delivery.worker_keys import (
    push_key_of,
    read_push_key,
    read_sms_key,
    read_vapid_key,
    read_worker_public_key,
)
from backend.errors import CellkeyError
from backend.model import schema, version
from backend.model.tables import OutboxMessage
from backend.protocol.jose import PublicJwk
from backend.public_keys_file import read_public_keys_file
from backend.sam.connect import connect
from backend.settings import Settings

LATE: Final = timedelta(minutes=2)
"""An outbox message that is due for so long shows that no worker runs."""
LATELY: Final = timedelta(days=1)
"""How long a webhook's dead letter is worth a line here."""
SOON: Final = timedelta(days=90)
OTHERS: Final = 0o077
ANSWER_SECONDS: Final = 3.0


class NotWell(CellkeyError):
    """A check failed; the text says what to do."""


@final
class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one check found."""

    check: str
    ok: bool
    text: str


Check = Callable[[Settings], str]
"""Gives a fact, or raises an error of ours that says what to do."""


@click.command()
@json_option
def doctor(*, as_json: bool) -> None:
    """Check everything and say what to do."""
    found = list(examine(settings_from_environment()))
    lines = [f"{'ok  ' if one.ok else 'FAIL'} {one.check}: {one.text}" for one in found]
    answer({"findings": found}, "\n".join(lines), as_json=as_json)
    if not all(one.ok for one in found):
        raise click.exceptions.Exit(1)


def examine(settings: Settings) -> Iterator[Finding]:
    """Run every check; one that fails stops no other."""
    for name, check in CHECKS.items():
        try:
            yield Finding(check=name, ok=True, text=check(settings))
        except (CellkeyError, OSError) as error:
            yield Finding(check=name, ok=False, text=str(error))
        except SQLAlchemyError as error:
            text = f"{type(error).__name__}: see CELLKEY_DATABASE_URL, and run `cellkey db upgrade`"
            yield Finding(check=name, ok=False, text=text)


# --- keys and files ---------------------------------------------------------------


def _sam(settings: Settings) -> str:
    health = connect(settings).health()
    now = datetime.now(UTC).timestamp()
    if any((hour + 1) * 3600 + 300 < now for hour in health.hours):
        raise NotWell("keys of hours that are over are still there: restart the SAM")
    where = settings.sam_socket or "this process"
    return f"in {where}; " + ", ".join(f"{name} {value}" for name, value in health.hsm.items())


def _cells(settings: Settings) -> str:
    offered = connect(settings).health().algorithms
    missing = [algorithm for algorithm in KeyAlgorithm if algorithm not in offered]
    keeps = f"the HSM keeps keys of {', '.join(offered)}"
    return f"{keeps}; it cannot keep {', '.join(missing)}" if missing else keeps


def _public_keys(settings: Settings) -> str:
    health, believed = connect(settings).health(), read_public_keys_file(settings)
    if (health.ks, health.ka) != (believed.ks, believed.ka):
        raise NotWell(f"{settings.public_keys_path} is not of the SAM's keys: `cellkey hsm init`")
    return "those of the SAM"


def _root(settings: Settings) -> str:
    health = connect(settings).health()
    root = x509.load_pem_x509_certificate(settings.root_certificate_path.read_bytes())
    if root.public_bytes(Encoding.DER) != health.root:
        raise NotWell(f"{settings.root_certificate_path} is not the SAM's root certificate")
    if root.not_valid_after_utc < datetime.now(UTC) + SOON:
        raise NotWell(f"it ends on {root.not_valid_after_utc:%Y-%m-%d}")
    return f"{root.subject.rfc4514_string()}, until {root.not_valid_after_utc:%Y-%m-%d}"


def _worker_keys(settings: Settings) -> str:
    if PublicJwk.of(read_sms_key(settings).public_key()) != read_worker_public_key(settings):
        raise NotWell("the SMS key's halves differ: `cellkey worker keys --if-missing`")
    vapid = read_vapid_key(settings)
    vapid_identity(vapid, subject=settings.vapid_subject)
    if push_key_of(vapid) != read_push_key(settings):
        raise NotWell("the VAPID key's halves differ: `cellkey worker keys --if-missing`")
    return "both halves of both fit"


def _secret_files(settings: Settings) -> str:
    secret = [
        settings.worker_key_path,
        settings.vapid_key_path,
        settings.pkcs11_pin_file,
        settings.sms_secret_file,
    ]
    if settings.software_vault_path.exists():
        secret += [settings.software_vault_path, *settings.software_vault_path.iterdir()]
    there = [path for path in secret if path is not None and path.exists()]
    open_ones = [path for path in there if S_IMODE(path.stat().st_mode) & OTHERS]
    if open_ones:
        raise NotWell("others may read: chmod go= " + " ".join(str(path) for path in open_ones))
    return f"{len(there)}, of which none is open to others"


def _push_hosts(settings: Settings) -> str:
    hosts = parse_push_hosts(settings.push_hosts)
    missing = [host.pin.ca_file for host in hosts if host.pin and not host.pin.ca_file.is_file()]
    if missing:
        raise NotWell(f"no CA file at {missing[0]}: see CELLKEY_PUSH_HOSTS")
    return f"{len(hosts)} entries"


# --- database ---------------------------------------------------------------------


def _database(settings: Settings) -> str:
    with _engine(settings) as engine, engine.connect() as connection:
        version.check_version(connection)
        found = schema.differences(connection)
    if found:
        raise NotWell("it differs from this program: `cellkey db check`")
    return f"{engine.dialect.name}, version {version.newest_version()}"


def _outbox(settings: Settings) -> str:
    with _engine(settings) as engine, Session(engine) as session:
        oldest = session.scalar(
            select(func.min(OutboxMessage.due_at)).where(
                OutboxMessage.sent_at.is_(None), OutboxMessage.dead_at.is_(None)
            )
        )
    if oldest is not None and oldest < datetime.now(UTC) - LATE:
        raise NotWell(f"a message is due since {oldest:%Y-%m-%d %H:%M} UTC: is a worker running?")
    return "nothing is late"


def _webhooks(settings: Settings) -> str:
    pinned = parse_webhook_pins(settings.webhook_pins)
    missing = [host.pin.ca_file for host in pinned if host.pin and not host.pin.ca_file.is_file()]
    if missing:
        raise NotWell(f"no CA file at {missing[0]}: see CELLKEY_WEBHOOK_PINS")
    with _engine(settings) as engine, Session(engine) as session:
        dead = dead_letters(session, since=datetime.now(UTC) - LATELY)
    if dead:
        told = ", ".join(f"{one.client_id} ({one.count})" for one in dead)
        raise NotWell(f"not told within a day: {told}; `cellkey transaction show` says why")
    return "everybody was told what there was to tell"


# --- addresses --------------------------------------------------------------------


def _address(url: str) -> str:
    """Ask whatever answers at an address whether it is ours; nothing there is no failure."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((str(parts.hostname), port), timeout=ANSWER_SECONDS).close()
    except OSError:
        return f"nothing listens at {url}; `cellkey serve` does"
    with suppress(requests.RequestException, ValueError):
        response = requests.get(f"{url.rstrip('/')}/readyz", timeout=ANSWER_SECONDS)
        body = response.json()
        if isinstance(body, Mapping) and "ready" in body:
            if body["ready"]:
                return f"ready at {url}"
            raise NotWell(f"{url} is not ready: {body['checks']}; its log says why")
    raise NotWell(f"what answers at {url} is not Cellkey")


@contextmanager
def _engine(settings: Settings) -> Iterator[Engine]:
    engine = make_engine(settings.database)
    try:
        yield engine
    finally:
        engine.dispose()


CHECKS: Final[Mapping[str, Check]] = {
    "settings": lambda settings: f"{settings.environment}, for {settings.ca_name}",
    "SAM and HSM": _sam,
    "cells": _cells,
    "public keys": _public_keys,
    "root certificate": _root,
    "worker's keys": _worker_keys,
    "secret files": _secret_files,
    "push hosts": _push_hosts,
    "SMS gateway": probe_gateway,
    "database": _database,
    "outbox": _outbox,
    "webhooks": _webhooks,
    "authorisation server": lambda settings: _address(settings.authorization_server_url),
    "mobile API": lambda settings: _address(settings.mobile_api_url),
    "those who wait": lambda settings: (
        _address(settings.wait_url) if settings.wait_url else "wait at the mobile API"
    ),
}
