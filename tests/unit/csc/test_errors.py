"""backend/csc/errors.py: one place that maps, and what it never says"""

import logging

import pytest
from flask import Blueprint, Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException

from backend import errors
from backend.csc.errors import answer_with_csc_errors
from backend.model.tables import TransactionState

INVALID = (400, "invalid_request")
DENIED = (400, "access_denied")


def client(error: Exception) -> FlaskClient:
    """Calls a method that fails in this way."""
    app, blueprint = Flask(__name__), Blueprint("csc", __name__)
    answer_with_csc_errors(blueprint)

    @blueprint.post("/")
    def fails() -> str:
        raise error

    app.register_blueprint(blueprint)
    return app.test_client()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.TokenMissing("why"), INVALID),
        (errors.TokenInvalid("why"), (401, "invalid_token")),
        (errors.RequestRefused("why"), INVALID),
        (errors.SummaryRefused("field", "why"), INVALID),
        (errors.RecordRefused("why"), INVALID),
        (errors.NotFound("why"), INVALID),
        (errors.HandleInvalid("why"), INVALID),
        (errors.AuthorizationExpired("why"), INVALID),
        (errors.HashNotAuthorized("why"), INVALID),
        (errors.AuthorizationInvalid("why"), INVALID),
        (errors.NotApproved("why"), INVALID),
        (errors.AuthDataRefused("why"), (400, "invalid_authentication_data")),
        (errors.SignerFrozen("why"), DENIED),
        (errors.PartyStopped("why"), DENIED),
        (errors.TooManyRequests("why", retry_after_seconds=7), (429, "too_many_requests")),
        (errors.TransactionOver(TransactionState.REJECTED), DENIED),
        (errors.TransactionOver(TransactionState.EXPIRED), DENIED),
        (errors.TransactionOver(TransactionState.CANCELLED), DENIED),
        (errors.TransactionOver(TransactionState.FAILED), DENIED),
        (errors.TransactionOver(TransactionState.REDEEMED), INVALID),
        (errors.SamUnavailable("why"), (503, "temporarily_unavailable")),
        (errors.HsmNotReady("why"), (503, "temporarily_unavailable")),
        (errors.Overloaded("why"), (503, "temporarily_unavailable")),
        (OperationalError("why", None, Exception()), (503, "temporarily_unavailable")),
        (errors.MalformedMessage("why"), (500, "server_error")),
        (errors.SettingsInvalid("why"), (500, "server_error")),
        (ValueError("why"), (500, "server_error")),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_csc_09_every_error_has_its_status_and_identifier(
    error: Exception, expected: tuple[int, str]
) -> None:
    answer = client(error).post("/")

    assert answer.json is not None
    assert (answer.status_code, answer.json["error"]) == expected
    assert answer.json["error_description"]
    assert ("Retry-After" in answer.headers) is (answer.status_code in {429, 503})


def test_a_signer_who_stopped_one_party_looks_like_one_who_stopped_all() -> None:
    """Whom a signer mistrusts is told to nobody."""
    answers = [client(kind("why")).post("/") for kind in (errors.SignerFrozen, errors.PartyStopped)]

    assert answers[0].json == answers[1].json


@pytest.mark.parametrize("error", [ValueError("secret"), errors.SamUnavailable("secret"), KeyError])
def test_csc_03_what_broke_here_is_not_told(error: Exception) -> None:
    assert b"secret" not in client(error).post("/").data


def test_a_refusal_stands_in_the_log_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    """Where the specification's words say less, both."""
    caplog.set_level(logging.INFO)

    client(errors.HashNotAuthorized("a hash that was not approved")).post("/")

    (line,) = [vars(record) for record in caplog.records if "refused" in record.message]
    assert line["reason"] == "Hash is not authorized by the SAD (a hash that was not approved)"
    assert line["status"] == 400


def test_headers_of_http_errors_stay() -> None:
    """RFC 9110, 15.5.6."""
    answer = client(HTTPException()).get("/")

    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
