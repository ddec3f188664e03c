"""Log lines: one JSON object each, and no secret, however hard somebody tries."""

import io
import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, Response

from backend.errors import SamUnavailable
from backend.wiring import FIELDS, configure_logging, watch_requests

SECRET = "correct horse battery staple"

log = logging.getLogger("tests.logs")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = list(root.handlers), root.level
    lines = io.StringIO()
    yield lines
    root.handlers[:], level = before
    root.setLevel(level)


@pytest.fixture
def json_log(stream: io.StringIO) -> io.StringIO:
    configure_logging(stream)
    _hear_this_thread_alone()
    return stream


def test_a_line_is_one_object_with_time_level_and_message(json_log: io.StringIO) -> None:
    log.info("sent %s", "push", extra={"channel": "push", "attempts": 2})

    (line,) = _lines(json_log)
    assert line["message"] == "sent push"
    assert (line["level"], line["logger"]) == ("info", "tests.logs")
    assert (line["channel"], line["attempts"]) == ("push", 2)
    assert str(line["at"]).endswith("+00:00")


def test_a_field_that_is_not_allowed_is_dropped(json_log: io.StringIO) -> None:
    log.info("signed in", extra={"password": SECRET, "cs": SECRET, "number": SECRET})

    assert SECRET not in json_log.getvalue()


def test_no_allowed_field_is_named_like_a_secret() -> None:
    secrets = {"password", "secret", "key", "code", "number", "handle", "sad", "ticket", "token"}

    assert not {field for field in FIELDS if secrets & set(field.split("_"))}


def test_the_text_of_a_foreign_error_is_not_written(json_log: io.StringIO) -> None:
    _raise_and_log(ValueError(f"cannot parse {SECRET}"))

    assert SECRET not in json_log.getvalue()
    (line,) = _lines(json_log)
    assert line["error"]["kind"] == "ValueError"
    assert line["error"]["where"][-1].startswith(__file__)


def test_the_text_of_a_foreign_error_behind_one_of_ours_is_not_written(
    json_log: io.StringIO,
) -> None:
    try:
        _raise_from(ValueError(SECRET))
    except SamUnavailable:
        log.exception("release")

    assert SECRET not in json_log.getvalue()
    assert _lines(json_log)[0]["error"]["text"] == "the SAM does not answer"


def test_values_of_variables_are_not_written(json_log: io.StringIO) -> None:
    cell_secret = SECRET
    try:
        int(cell_secret)
    except ValueError:
        log.exception("opened", stack_info=True)

    assert SECRET not in json_log.getvalue()


def test_a_line_break_in_a_value_does_not_make_another_line(json_log: io.StringIO) -> None:
    """Whoever names themselves ``x\\n{"level": …}`` forges nothing."""
    log.warning("unknown client %s", 'x\n{"level":"info"}', extra={"client_id": "a\r\nb\u2028c"})

    (line,) = _lines(json_log)
    assert line["client_id"] == "a\r\nb\u2028c"


def test_a_value_that_json_does_not_know_is_written_as_text(json_log: io.StringIO) -> None:
    log.info("wrote", extra={"reason": OSError, "state": {1, 2}})

    assert _lines(json_log)[0]["reason"] == "<class 'OSError'>"


def test_libraries_write_into_the_same_log(json_log: io.StringIO) -> None:
    logging.getLogger("werkzeug").info("listening")

    assert _lines(json_log)[0]["logger"] == "werkzeug"


def test_for_a_person_the_same_stands_on_one_plain_line(stream: io.StringIO) -> None:
    configure_logging(stream, json=False)
    _hear_this_thread_alone()
    log.info("sent", extra={"channel": "sms", "password": SECRET})
    _raise_and_log(ValueError(SECRET))

    sent, failed = stream.getvalue().splitlines()
    assert sent == "info tests.logs sent channel=sms"
    assert failed.startswith("error tests.logs failed")
    assert SECRET not in stream.getvalue()


def test_a_request_is_one_line_with_its_route_and_without_its_values(
    json_log: io.StringIO,
) -> None:
    app = Flask("cellkey")
    watch_requests(app)

    @app.get("/pairings/<ticket>")
    def pairing(ticket: str) -> Response:
        log.info("looked")
        return Response(ticket)

    answer = app.test_client().get(f"/pairings/{SECRET}?code={SECRET}")

    assert SECRET not in json_log.getvalue()
    looked, request = _lines(json_log)
    assert request["route"] == "/pairings/<ticket>"
    assert (request["method"], request["status"]) == ("GET", 200)
    assert looked["request_id"] == request["request_id"] == answer.headers["X-Request-Id"]


def test_a_request_to_nowhere_does_not_write_its_address(json_log: io.StringIO) -> None:
    app = Flask("cellkey")
    watch_requests(app)

    app.test_client().get(f"/{SECRET}")

    assert SECRET not in json_log.getvalue()
    assert _lines(json_log)[0]["route"] is None


def _hear_this_thread_alone() -> None:
    """A thread that an earlier test left may have something to say, too."""
    here = threading.get_ident()
    for handler in logging.getLogger().handlers:
        handler.addFilter(lambda record: record.thread == here)


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().split("\n") if line]


def _raise_and_log(error: Exception) -> None:
    try:
        raise error
    except type(error):
        log.exception("failed")


def _raise_from(error: Exception) -> None:
    try:
        raise error
    except ValueError as caught:
        raise SamUnavailable("the SAM does not answer") from caught
