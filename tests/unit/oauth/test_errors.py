"""backend/oauth/errors.py: RFC 6749, 5.2, also where Authlib has no say"""

import pytest
from flask import Blueprint, Flask
from werkzeug.test import TestResponse

from backend.access.outages import OUTAGES
from backend.errors import HsmUnavailable
from backend.oauth.errors import answer_with_oauth_errors


def answer(error: Exception) -> TestResponse:
    """What an endpoint says that fails in this way."""
    app, blueprint = Flask(__name__), Blueprint("oauth2", __name__)
    answer_with_oauth_errors(blueprint)

    @blueprint.post("/")
    def fails() -> str:
        raise error

    app.register_blueprint(blueprint)
    return app.test_client().post("/")


@pytest.mark.parametrize("kind", OUTAGES)
def test_what_may_be_up_again_says_when_to_repeat(kind: type[Exception]) -> None:
    error = kind.__new__(kind)

    told = answer(error)

    assert told.status_code == 503
    assert told.json is not None
    assert told.json["error"] == "temporarily_unavailable"
    assert told.headers["Retry-After"] == "2"


@pytest.mark.parametrize("error", [ValueError("secret"), HsmUnavailable("secret")])
def test_what_broke_here_is_not_told(error: Exception) -> None:
    told = answer(error)

    assert told.status_code >= 500
    assert b"secret" not in told.data


def test_a_fault_of_ours_is_a_server_error() -> None:
    told = answer(ValueError("secret"))

    assert told.status_code == 500
    assert told.json == {"error": "server_error", "error_description": "the service failed"}
