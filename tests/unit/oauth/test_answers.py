"""backend/oauth/answers.py: what a browser is told where it goes no further"""

import pytest
from flask import Blueprint, Flask
from werkzeug.exceptions import NotFound
from werkzeug.test import TestResponse

from backend.access.outages import OUTAGES
from backend.errors import AuthorizationInvalid, CellkeyError, SessionOver
from backend.oauth.answers import error_page
from backend.pages.look import create_blueprint
from backend.settings import Settings


def answer(error: Exception) -> TestResponse:
    """What a page says that fails in this way."""
    app = Flask("backend.oauth.pages")
    app.register_blueprint(create_blueprint(Settings()))
    blueprint = Blueprint("pages", "backend.oauth.pages")
    blueprint.register_error_handler(Exception, error_page)

    @blueprint.get("/")
    def fails() -> str:
        raise error

    app.register_blueprint(blueprint)
    return app.test_client().get("/", headers={"Accept-Language": "en"})


@pytest.mark.parametrize("kind", OUTAGES)
def test_what_may_be_up_again_says_to_come_back(kind: type[Exception]) -> None:
    told = answer(kind.__new__(kind))

    assert told.status_code == 503
    assert told.headers["Retry-After"] == "2"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SessionOver("secret"), 403),
        (AuthorizationInvalid("secret"), 403),
        (NotFound("secret"), 404),
        (CellkeyError("secret"), 500),
        (ValueError("secret"), 500),
    ],
)
def test_why_it_goes_no_further_is_not_told(error: Exception, status: int) -> None:
    told = answer(error)

    assert told.status_code == status
    assert b"secret" not in told.data
    assert "default-src 'none'" in told.headers["Content-Security-Policy"]
