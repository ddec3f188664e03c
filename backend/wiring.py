"""What both applications share: a session on the database, logs of requests, health. Never the SAM.

* ``/healthz`` says that the process lives, ``/readyz`` whether it can work. Why not: in the log.
* Engine, clock and log lines are every process's; they are passed on here.
"""

import logging
from collections.abc import Callable, Mapping
from time import monotonic
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from flask import Blueprint, Flask, Response, g, jsonify, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.middleware.proxy_fix import ProxyFix

from backend.clock import Clock as Clock
from backend.clock import utc_now as utc_now
from backend.database import engine_options, prepare_engine
from backend.database import make_engine as make_engine
from backend.database import make_session_factory as make_session_factory
from backend.errors import CellkeyError
from backend.logs import FIELDS as FIELDS
from backend.logs import configure_logging as configure_logging
from backend.logs import request_id
from backend.model.engines import with_transactions
from backend.model.version import check_version
from backend.settings import Settings

log = logging.getLogger(__name__)

# --- database -----------------------------------------------------------------


class _SQLAlchemy(SQLAlchemy):
    def _make_engine(self, *given: Any, **named: Any) -> Engine:  # noqa: ANN401  # Flask-SQLAlchemy's
        return with_transactions(super()._make_engine(*given, **named))


db = _SQLAlchemy(session_options={"expire_on_commit": False})
"""The session of a web request, for the two Flask applications; its ``Model`` is not used."""


def connect_database(app: Flask, url: str) -> None:
    """Give a Flask application ``db.session`` on this database."""
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(url)
    db.init_app(app)
    with app.app_context():
        prepare_engine(db.engine)


# --- web ----------------------------------------------------------------------

Check = Callable[[], object]
"""Raises when something is not well."""


def watch_requests(app: Flask) -> None:
    """Give each request an id and a line in the log: the route, never the address's values."""
    app.before_request(_begin_request)
    app.after_request(_end_request)


def trust_proxies(app: Flask, settings: Settings) -> None:
    """Take the caller's address from so many proxies as stand before us, and nothing else.

    What further proxies, or the caller, wrote into ``X-Forwarded-For`` is not believed.
    """
    count = settings.proxies
    app.wsgi_app = ProxyFix(  # type: ignore[method-assign]  # Flask's documented way
        app.wsgi_app, x_for=count, x_proto=0, x_host=0, x_port=0, x_prefix=0
    )


def _begin_request() -> None:
    g.began = monotonic()
    request_id.set(uuid4().hex)


def _end_request(response: Response) -> Response:
    response.headers["X-Request-Id"] = request_id.get() or ""
    seen = {
        "method": request.method,
        "route": request.url_rule.rule if request.url_rule else None,
        "status": response.status_code,
        "duration_ms": round((monotonic() - g.began) * 1000),
    }
    log.info("request", extra=seen)
    return response


def health(checks: Mapping[str, Check]) -> Blueprint:
    """Make ``/healthz`` and ``/readyz``; the database and its version are always checked."""
    blueprint = Blueprint("health", __name__)
    every = MappingProxyType({"database": _check_database, **checks})

    @blueprint.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="alive")

    @blueprint.get("/readyz")
    def readyz() -> tuple[Response, int]:
        results = {name: _passes(name, check) for name, check in every.items()}
        return jsonify(ready=all(results.values()), checks=results), (
            200 if all(results.values()) else 503
        )

    return blueprint


def _check_database() -> None:
    try:
        check_version(db.session.connection())
    finally:
        db.session.rollback()  # the next check may wait for somebody


def _passes(name: str, check: Check) -> bool:
    try:
        check()
    except (CellkeyError, SQLAlchemyError, OSError):
        log.warning("not ready: %s", name, exc_info=True)
        return False
    return True
