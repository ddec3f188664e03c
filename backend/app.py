"""The application for relying parties and signers: authorisation server and CSC API.

Here, and nowhere below, the SAM is handed out: each room gets use cases with the SAM bound to them.
What a WSGI server loads is ``wsgi.py``.
"""

import os
import sys
from typing import final

import msgspec
from flask import Flask
from sqlalchemy.orm import Session, sessionmaker

from backend import page_uses, sms_reports
from backend.access.allotments import Allotments, Counted
from backend.access.browsers import harden_answers
from backend.access.buckets import Buckets
from backend.access.doorman import Doorman
from backend.access.json_body import limit_bodies
from backend.access.phones import ProvenCall
from backend.access.problems import answer_with_problems
from backend.csc import blueprint as csc
from backend.csc.uses import CscUses
from backend.devices.enrolment.confirmation import confirm_by_code
from backend.devices.enrolment.further import AskedFurther, ask_further
from backend.devices.enrolment.sms_code import CodeSent, send_code
from backend.devices.enrolment.ticket import SignIn, Ticket, open_ticket
from backend.errors import HsmNotReady
from backend.garbage import keep_what_is_loaded
from backend.model.changes import watch_changes
from backend.model.tables import PairingState
from backend.oauth import blueprint as oauth
from backend.oauth import further, metadata, pages, pairing, security_keys
from backend.oauth.account import blueprint as account
from backend.oauth.server import Server
from backend.oauth.uses import OauthUses
from backend.pages import look
from backend.protocol.ask import KeyThumbprints
from backend.services import Services, open_services
from backend.settings import Settings, read_settings
from backend.signers.sign_in import SignedIn, sign_in
from backend.signers.sign_in import SignIn as PasswordSignIn
from backend.signing.release import Collection, release
from backend.signing.request import RequestedTransaction, SignatureOrder, request_signatures
from backend.wiring import (
    configure_logging,
    connect_database,
    db,
    health,
    make_session_factory,
    trust_proxies,
    watch_requests,
)


def create_app(services: Services) -> Flask:
    """Make the application."""
    app = Flask(__name__, static_folder=None)
    connect_database(app, services.settings.database)
    watch_requests(app)
    trust_proxies(app, services.settings)
    limit_bodies(app)
    harden_answers(app, address=services.settings.authorization_server_url)
    answer_with_problems(app, challenges={"/": "Bearer"})
    app.register_blueprint(health({"sam": lambda: check_sam(services)}))
    gate = _gate(services.settings)
    oauth_uses = _oauth_uses(services, gate)
    app.register_blueprint(pairing.create_blueprint(oauth_uses))
    app.register_blueprint(further.create_blueprint(oauth_uses))
    app.register_blueprint(security_keys.create_blueprint(oauth_uses))
    server = Server(oauth_uses)
    app.register_blueprint(oauth.create_blueprint(oauth_uses, server))
    app.register_blueprint(look.create_blueprint(services.settings))
    app.register_blueprint(pages.create_blueprint(oauth_uses, server))
    app.register_blueprint(account.create_blueprint(oauth_uses))
    app.register_blueprint(metadata.create_blueprint(services.settings))
    reports = sms_reports.ReportUses(
        session=_session, clock=services.clock, doorman=oauth_uses.doorman
    )
    app.register_blueprint(sms_reports.create_blueprint(reports))
    sessions = _sessions_of(app)
    for edition in csc.create_blueprints(_csc_uses(services, gate, sessions)):
        app.register_blueprint(edition)
    return app


def create_app_from_environment() -> Flask:
    """Make the application as the environment's settings say; for WSGI servers."""
    configure_logging(sys.stderr)
    app = create_app(open_services(read_settings(os.environ)))
    keep_what_is_loaded()
    return app


def check_sam(services: Services) -> None:
    """Ask the SAM how it is.

    Raises:
        HsmNotReady: its keys are not those that phones believe.
        SamUnavailable: it does not answer.
        HsmUnavailable: its HSM does not work.
    """
    health_now = services.sam.health()
    believed = services.public_keys
    if (health_now.ks, health_now.ka) != (believed.ks, believed.ka):
        raise HsmNotReady("the SAM's keys are not those of public-keys.json")


@final
class _Gate(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever calls or gets a token is counted in one place, by whichever way it asks."""

    doorman: Doorman
    calls: Allotments
    tokens: Allotments


def _gate(settings: Settings) -> _Gate:
    return _Gate(
        doorman=Doorman(failures_per_minute=settings.failures_per_minute),
        calls=Allotments(Counted.CALLS, per_minute=settings.calls_per_minute, what="calls"),
        tokens=Allotments(Counted.TOKENS, per_minute=settings.tokens_per_minute, what="tokens"),
    )


def _session() -> Session:
    return db.session()


def _sessions_of(app: Flask) -> sessionmaker[Session]:
    """Sessions beside those of requests, on the same engine."""
    with app.app_context():
        return make_session_factory(db.engine)


def _csc_uses(services: Services, gate: _Gate, sessions: sessionmaker[Session]) -> CscUses:
    sam, settings, clock = services.sam, services.settings, services.clock

    def ask(session: Session, order: SignatureOrder) -> RequestedTransaction:
        return request_signatures(session, sam, order, settings=settings, now=clock())

    def collect(session: Session, collection: Collection) -> tuple[bytes, ...]:
        return release(session, sam, collection, now=clock)

    return CscUses(
        settings=settings,
        clock=clock,
        session=_session,
        sessions=sessions,
        watching=watch_changes(sessions.kw["bind"], stop=services.stop),
        public_keys=services.public_keys,
        request=ask,
        release=collect,
        calls=gate.calls,
        strangers=Buckets(per_minute=settings.calls_per_minute, what="calls"),
        doorman=gate.doorman,
        tokens=gate.tokens,
    )


def _oauth_uses(services: Services, gate: _Gate) -> OauthUses:
    sam, settings, clock = services.sam, services.settings, services.clock

    def ticket(session: Session, sign_in: SignIn) -> Ticket:
        return open_ticket(session, sam, sam, sign_in, settings=settings, now=clock())

    def code(session: Session, ticket: str) -> CodeSent:
        return send_code(session, sam, ticket=ticket, settings=settings, now=clock())

    def confirm(session: Session, ticket: str, code: str, password: str | None) -> PairingState:
        return confirm_by_code(
            session, sam, ticket=ticket, code=code, unverified_password=password, now=clock()
        )

    def ask_phone(session: Session, call: ProvenCall, prints: KeyThumbprints) -> AskedFurther:
        return ask_further(session, sam, call=call, prints=prints, settings=settings, now=clock())

    def sign(session: Session, typed: PasswordSignIn) -> SignedIn:
        return sign_in(session, sam, typed, now=clock())

    def ask(session: Session, order: SignatureOrder) -> RequestedTransaction:
        return request_signatures(session, sam, order, settings=settings, now=clock())

    bound = page_uses.Bound(
        sam=sam, settings=settings, clock=clock, public_keys=services.public_keys
    )
    return OauthUses(
        settings=settings,
        clock=clock,
        session=_session,
        public_keys=services.public_keys,
        sign_in=sign,
        passwords=page_uses.password_uses(bound),
        request=ask,
        codes=page_uses.code_uses(bound),
        forgotten=page_uses.forgotten_uses(bound),
        amending=page_uses.amending_uses(bound),
        open_ticket=ticket,
        send_code=code,
        confirm_by_code=confirm,
        ask_further=ask_phone,
        security_keys=page_uses.security_key_uses(bound),
        doorman=gate.doorman,
        calls=gate.calls,
        tokens=gate.tokens,
        strangers=Buckets(
            per_minute=settings.authorizations_per_minute, what="sign-ins begun from here"
        ),
    )
