"""`cellkey worker`: sends what lies in the outbox, and lets the clock end what nobody answered.

Beside that it tells who waits what changed. It never loads the SAM or an HSM. As many workers may
run as one likes.
"""

import sys
from threading import Event, Thread

import click
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from backend.access.families import forget_authorizations
from backend.access.phones import forget_proofs
from backend.access.sessions import forget_browsers
from backend.access.stale_requests import forget_forgotten
from backend.access.turns import forget_rates
from backend.access.used_ids import forget_used_ids
from backend.cli.context import answer, json_option, settings_from_environment, told_to_stop
from backend.clock import utc_now
from backend.database import make_engine, make_session_factory
from backend.delivery.desk import PeriodicJob
from backend.delivery.dispatch import Channels
from backend.delivery.endpoints import parse_push_hosts, parse_webhook_pins
from backend.delivery.gateways import make_gateway, rules_of
from backend.delivery.sms_budgets import forget_budgets
from backend.delivery.sms_reports import forget_parts
from backend.delivery.wakes import forget_paces
from backend.delivery.web_push import vapid_identity
from backend.delivery.worker import Worker
from backend.delivery.worker_keys import make_worker_keys, read_sms_key, read_vapid_key
from backend.garbage import keep_what_is_loaded
from backend.logs import configure_logging
from backend.model.telling import tell_changes
from backend.settings import Settings
from backend.signing.expiry import expire_overdue

JOBS = (
    PeriodicJob(name="expiry", every_seconds=1, run=expire_overdue),
    PeriodicJob(name="used proofs", every_seconds=60, run=forget_proofs),
    PeriodicJob(name="used ids", every_seconds=60, run=forget_used_ids),
    PeriodicJob(name="authorisations", every_seconds=60, run=forget_authorizations),
    PeriodicJob(name="known browsers", every_seconds=3600, run=forget_browsers),
    PeriodicJob(name="asking rates", every_seconds=60, run=forget_rates),
    PeriodicJob(name="forgotten passwords", every_seconds=60, run=forget_forgotten),
    PeriodicJob(name="wake paces", every_seconds=60, run=forget_paces),
    PeriodicJob(name="budgets of texts", every_seconds=3600, run=forget_budgets),
    PeriodicJob(name="parts of texts", every_seconds=3600, run=forget_parts),
)


def make_worker(settings: Settings, sessions: sessionmaker[Session]) -> Worker:
    """Make a worker by the settings; ``cellkey serve`` runs it in a thread.

    Raises:
        backend.errors.SettingsInvalid: keys are missing, or a list of hosts or what is said of the
            SMS gateway is wrong.
    """
    sms_key = read_sms_key(settings)
    channels = Channels(
        allowed_hosts=parse_push_hosts(settings.push_hosts),
        identity=vapid_identity(read_vapid_key(settings), subject=settings.vapid_subject),
        app_url=settings.app_url,
        sms_key=sms_key,
        sms_gateway=make_gateway(
            settings, sessions, private_key=sms_key, clock=utc_now, console=sys.stdout
        ),
        sms_rules=rules_of(settings),
        webhook_pins=parse_webhook_pins(settings.webhook_pins),
    )
    return Worker(sessions=sessions, channels=channels, jobs=JOBS, clock=utc_now)


@click.group(invoke_without_command=True)
@click.option("--once", is_flag=True, help="Send what is due now, then end.")
@click.pass_context
def worker(context: click.Context, *, once: bool) -> None:
    """Send push messages and SMS; expire requests that nobody answered."""
    if context.invoked_subcommand is not None:
        return
    settings = settings_from_environment()
    configure_logging(sys.stderr, json=not sys.stderr.isatty())
    engine = make_engine(settings.database)
    made = make_worker(settings, make_session_factory(engine))
    try:
        if once:
            click.echo(f"{made.run_once()} messages were taken up.", err=True)
        else:
            _run(made, engine, stop=told_to_stop())
    finally:
        engine.dispose()


def _run(made: Worker, engine: Engine, *, stop: Event) -> None:
    """Send, and beside that tell who waits what changed."""
    keep_what_is_loaded()
    telling = Thread(target=lambda: tell_changes(engine, stop=stop), name="telling")
    telling.start()
    try:
        made.run(stop)
    finally:
        stop.set()
        telling.join()


@worker.command()
@click.option("--if-missing", is_flag=True, help="Keep private keys that are there.")
@json_option
def keys(*, if_missing: bool, as_json: bool) -> None:
    """Make the key that opens SMS texts and the VAPID key; never replaces a private key."""
    settings = settings_from_environment()
    make_worker_keys(settings, if_missing=if_missing)
    paths = {"sms_key": settings.worker_key_path, "vapid_key": settings.vapid_key_path}
    answer(
        {name: str(path) for name, path in paths.items()},
        "\n".join(
            [
                f"The key that opens SMS texts: {paths['sms_key']}",
                f"The VAPID key: {paths['vapid_key']}",
                "Back up both: another VAPID key ends every push subscription.",
            ]
        ),
        as_json=as_json,
    )
