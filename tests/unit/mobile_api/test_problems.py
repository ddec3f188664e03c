"""Every error of ours has its name on the wire; what we do not know tells nothing."""

import logging
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from backend import errors
from backend.access.problems import answer_with_problems
from backend.wiring import db
from tests.unit.mobile_api.conftest import make_app
from tests.world.raw_calls import problem

SECRET = "number +79161234567"

NAMES: list[tuple[Exception, int, str, dict[str, object]]] = [
    (errors.MalformedMessage("x"), 422, "malformed", {}),
    (errors.EndpointRefused("x"), 422, "malformed", {}),
    (errors.Unauthenticated("x"), 401, "unauthenticated", {}),
    (errors.WrongPassword("x"), 401, "unauthenticated", {}),
    (errors.ProofReplayed("x"), 401, "replayed", {}),
    (errors.PasswordUnfit("x"), 422, "password-unfit", {}),
    (errors.SignerFrozen("x"), 403, "frozen", {}),
    (errors.NotFound("x"), 404, "not-found", {}),
    (errors.TransactionOver("expired"), 409, "over", {"state": "expired"}),
    (errors.PairingOver("x"), 410, "pairing-over", {}),
    (errors.SubscriptionGone("x"), 410, "subscription-gone", {}),
    (errors.PairingConflict("x"), 409, "conflict", {}),
    (errors.NotConfirmed("x"), 409, "not-confirmed", {}),
    (errors.EnrolmentRefused(4, "x"), 422, "refused", {}),
    (errors.DoorRefused(1, "x"), 422, "refused", {}),
    (errors.RecordRefused("x"), 422, "refused", {}),
    (errors.KindRefused("desktop"), 422, "kind-refused", {}),
    (errors.CellUnopened("x"), 422, "refused", {}),
    (errors.WrongCode(2), 422, "wrong-code", {"tries_left": 2}),
    (errors.TooManyTries("x", 30), 429, "too-many-tries", {}),
    (errors.NothingTried("x"), 503, "unavailable", {}),
    (errors.TooManyRequests("x", retry_after_seconds=7), 429, "too-many-requests", {}),
    (errors.Overloaded("x"), 503, "unavailable", {}),
    (errors.SamUnavailable("x"), 503, "unavailable", {}),
    (errors.HsmUnavailable("x"), 503, "unavailable", {}),
    (errors.HsmNotReady("x"), 503, "unavailable", {}),
    (OperationalError(SECRET, None, Exception()), 503, "unavailable", {}),
    (PoolTimeout(SECRET), 503, "unavailable", {}),
]


def app_that_raises(error: Exception) -> Flask:
    app = Flask("raising")
    answer_with_problems(app, challenges={"/": "DPoP", "/pairing": "Bearer"})

    @app.get("/")
    @app.get("/pairing")
    def fail() -> str:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "status", "name", "members"),
    NAMES,
    ids=[type(error).__name__ for error, *_ in NAMES],
)
def test_an_error_has_its_name_and_its_members(
    error: Exception, status: int, name: str, members: dict[str, object]
) -> None:
    answer = app_that_raises(error).test_client().get("/")

    assert problem(answer) == (status, name)
    document = answer.json
    assert document is not None
    assert {key: document[key] for key in document.keys() - _ALWAYS} == members
    assert SECRET not in answer.text


_ALWAYS = {"type", "title", "status", "detail"}


def test_the_names_are_those_of_the_protocol() -> None:
    page = (Path(__file__).parents[3] / "docs" / "phone-protocol.md").read_text(encoding="utf-8")
    table = page[page.index("### 8.1") : page.index("### 8.2")]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    documented = {row[1].strip(" `"): {int(code) for code in row[2].split(",")} for row in rows}

    for _, status, name, _members in NAMES:
        assert status in documented[name]
    assert {name for _, _, name, _ in NAMES} == documented.keys()


@pytest.mark.parametrize("kind", [errors.SamUnavailable, errors.HsmUnavailable])
def test_what_is_down_does_not_say_where_it_is(kind: type[errors.CellkeyError]) -> None:
    answer = app_that_raises(kind("no SAM listens at /run/cellkey/sam.sock")).test_client().get("/")

    assert problem(answer) == (503, "unavailable")
    assert "sam.sock" not in answer.text


def test_a_401_says_how_to_prove_oneself() -> None:
    """RFC 9110, 11.6.1."""
    client = app_that_raises(errors.ProofReplayed("x")).test_client()

    assert client.get("/").headers["WWW-Authenticate"] == "DPoP"
    assert client.get("/pairing").headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (errors.TooManyTries("x", 30), "30"),
        (errors.TooManyTries("x"), None),
        (errors.NothingTried("x"), "1"),
        (errors.TooManyRequests("x", retry_after_seconds=7), "7"),
        (errors.SamUnavailable("x"), "2"),
        (errors.NotFound("x"), None),
    ],
    ids=["later", "never", "another runs", "too many", "unavailable", "other"],
)
def test_retry_after_stands_where_another_attempt_is_heard(
    error: Exception, seconds: str | None
) -> None:
    answer = app_that_raises(error).test_client().get("/")

    assert answer.headers.get("Retry-After") == seconds


@pytest.mark.parametrize(
    "error", [ValueError(SECRET), IntegrityError(SECRET, None, Exception()), KeyError(SECRET)]
)
def test_a_fault_of_ours_tells_nothing_to_the_caller(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = app_that_raises(error).test_client().get("/")

    assert answer.status_code == 500
    assert answer.mimetype == "application/problem+json"
    assert answer.json == {"type": "about:blank", "title": "Internal Server Error", "status": 500}
    assert caplog.records[-1].exc_info is not None


def test_a_database_that_does_not_answer_is_a_503(tmp_path: Path) -> None:
    app = make_app(f"sqlite:///{tmp_path}/no/such/folder.sqlite3", tmp_path)

    answer = app.test_client().get("/pairing", headers={"Authorization": "Bearer ticket"})

    assert problem(answer) == (503, "unavailable")
    assert "folder" not in answer.text
    with app.app_context():
        db.engine.dispose()
