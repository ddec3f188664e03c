"""The application for phones, which all the internet may reach. It cannot load SAM or HSM code.

What a WSGI server loads is ``wsgi.py``.
"""

import os
import sys
from importlib.metadata import version
from threading import Event, Thread

from flask import Flask

from backend.access.browsers import admit_app, harden_answers
from backend.access.json_body import limit_bodies
from backend.access.problems import answer_with_problems
from backend.garbage import keep_what_is_loaded
from backend.settings import Settings, read_settings
from backend.wiring import (
    configure_logging,
    connect_database,
    db,
    health,
    make_session_factory,
    trust_proxies,
    watch_requests,
)
from mobile_api import (
    devices,
    documentation,
    further_phone,
    info,
    pairing,
    relying_parties,
    transactions,
)
from mobile_api.blueprint import Api
from mobile_api.services import Services, keep_services, open_services

CHALLENGES = {"/": 'DPoP algs="ES256"', "/pairing": "Bearer"}
ROOMS = (info, pairing, further_phone, transactions, relying_parties, devices)


def create_app(services: Services) -> Flask:
    """Make the application."""
    app = Flask(__name__, static_folder=None)
    connect_database(app, services.settings.database)
    keep_services(app, services)
    watch_requests(app)
    trust_proxies(app, services.settings)
    limit_bodies(app)
    harden_answers(app, address=services.settings.mobile_api_url)
    admit_app(app, services.settings)
    answer_with_problems(app, challenges=CHALLENGES)
    app.register_blueprint(health({}))
    api = _make_api(app)
    for room in ROOMS:
        api.register_blueprint(room.blueprint)
    app.register_blueprint(documentation.create_blueprint(api))
    return app


def create_app_from_settings(settings: Settings, *, stop: Event) -> Flask:
    """Make the application as the settings say; ``stop`` ends what waits and works in it."""
    here = open_services(settings, stop=stop)
    app = create_app(here)
    with app.app_context():
        sessions = make_session_factory(db.engine)
    Thread(
        target=here.sightings.keep_writing,
        args=(sessions,),
        kwargs={"clock": here.clock, "stop": stop},
        name="sightings",
        daemon=True,
    ).start()
    return app


def create_app_from_environment() -> Flask:
    """Make the application as the environment's settings say; for WSGI servers."""
    configure_logging(sys.stderr)
    app = create_app_from_settings(read_settings(os.environ), stop=Event())
    keep_what_is_loaded()
    return app


def _make_api(app: Flask) -> Api:
    app.config.update(
        API_TITLE="Cellkey mobile API",
        API_VERSION=version("cellkey"),
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/",
        OPENAPI_JSON_PATH="openapi.json",
    )
    api = Api(app)
    api.spec.components.security_scheme(
        "proof",
        {
            "type": "http",
            "scheme": "DPoP",
            "description": "A dpop+jwt by the phone's request key, docs/phone-protocol.md, 2.",
        },
    )
    api.spec.components.security_scheme(
        "ticket",
        {
            "type": "http",
            "scheme": "bearer",
            "description": "The pairing ticket of the authorisation server.",
        },
    )
    return api
