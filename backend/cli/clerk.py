"""`cellkey clerk`: does what follows from phones' answers, with the SAM."""

import sys
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import click
from sqlalchemy.orm import Session, sessionmaker

from backend.clerk import Clerk, Duty, approved_requests, cells_to_certify
from backend.cli.context import settings_from_environment, told_to_stop
from backend.clock import Clock, utc_now
from backend.credentials.amendment import approved_amendments, finish_amendment
from backend.credentials.issue import issue_certificate
from backend.database import make_engine, make_session_factory
from backend.devices.enrolment.further import finish_further
from backend.devices.enrolment.removal import remove
from backend.devices.forgotten_asking import ask_phone, forgotten_to_ask
from backend.devices.further_device import further_to_finish
from backend.devices.removal import asked_removals
from backend.logs import configure_logging
from backend.pki.authority import Authority
from backend.sam.connect import Capabilities, connect
from backend.settings import Settings
from backend.signing.release import release_certificate_request
from backend.signing.request import request_certificate


def make_clerk(
    settings: Settings, sessions: sessionmaker[Session], sam: Capabilities, *, clock: Clock
) -> Clerk:
    """Make a clerk; ``cellkey serve`` runs it in a thread."""

    def ask_for_certificate(session: Session, cell: UUID, now: datetime) -> None:
        request_certificate(session, sam, cell=cell, settings=settings, now=now)

    authority = Authority(sam)

    def issue(session: Session, transaction: UUID, now: datetime) -> None:
        signature = release_certificate_request(session, sam, transaction=transaction, now=clock)
        issue_certificate(session, authority, transaction=transaction, signature=signature, now=now)

    def find_removals(session: Session, _now: datetime) -> Sequence[bytes]:
        return asked_removals(session)

    def remove_phone(session: Session, kid: bytes, now: datetime) -> None:
        remove(session, sam, kid=kid, now=now)

    def add_further_phone(session: Session, transaction: UUID, now: datetime) -> None:
        finish_further(session, sam, transaction=transaction, now=now)

    def ask_for_password(session: Session, asked: UUID, now: datetime) -> None:
        ask_phone(session, sam, asked=asked, settings=settings, now=now)

    def amend(session: Session, transaction: UUID, now: datetime) -> None:
        finish_amendment(session, sam, transaction=transaction, now=now)

    duties = (
        Duty(name="removal of a phone", find=find_removals, do=remove_phone),
        Duty(name="forgotten password", find=forgotten_to_ask, do=ask_for_password),
        Duty(name="further phone", find=further_to_finish, do=add_further_phone),
        Duty(name="request for a certificate", find=cells_to_certify, do=ask_for_certificate),
        Duty(name="certificate", find=approved_requests, do=issue),
        Duty(name="amendment", find=approved_amendments, do=amend),
    )
    return Clerk(sessions=sessions, duties=duties, clock=clock)


@click.command()
@click.option("--once", is_flag=True, help="Do what is left to be done now, then end.")
def clerk(*, once: bool) -> None:
    """Do what follows from phones' answers: certificates, removals."""
    settings = settings_from_environment()
    configure_logging(sys.stderr, json=not sys.stderr.isatty())
    engine = make_engine(settings.database)
    made = make_clerk(settings, make_session_factory(engine), connect(settings), clock=utc_now)
    try:
        if once:
            click.echo(f"{made.run_once()} tasks were done.", err=True)
        else:
            made.run(told_to_stop())
    finally:
        engine.dispose()
