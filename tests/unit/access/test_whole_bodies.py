"""A body that breaks off, or that the server cannot read, is the caller's fault (T-39)."""

from io import BytesIO

import pytest
from flask import Flask, request

from backend.access.json_body import limit_bodies, read_json


class NoChunk(Exception):
    """As a server has it."""


class Broken:
    """What a server reads a body from, when the body is none."""

    def read(self, _size: int = -1) -> bytes:
        raise NoChunk


@pytest.fixture
def app() -> Flask:
    made = Flask(__name__)
    limit_bodies(made)

    @made.post("/json")
    def json() -> dict[str, object]:
        return {"read": read_json(request)}

    @made.post("/form")
    def form() -> dict[str, str]:
        return dict(request.form)

    return made


def post(app: Flask, path: str, stream: object, **environ: str) -> int:
    kind = {"/json": "application/json", "/form": "application/x-www-form-urlencoded"}[path]
    given = {"wsgi.input": stream, "CONTENT_TYPE": kind, **environ}
    return app.test_client().post(path, environ_overrides=given).status_code


@pytest.mark.parametrize(("path", "body"), [("/json", b"{}"), ("/form", b"a=1")])
def test_a_body_that_is_shorter_than_it_said_is_refused(app: Flask, path: str, body: bytes) -> None:
    """Also where the part that came could be read."""
    assert post(app, path, BytesIO(body), CONTENT_LENGTH=str(len(body))) == 200
    assert post(app, path, BytesIO(body), CONTENT_LENGTH=str(len(body) + 1)) == 400


@pytest.mark.parametrize("path", ["/json", "/form"])
def test_a_body_that_the_server_cannot_read_is_refused(app: Flask, path: str) -> None:
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": "1"}
    assert post(app, path, Broken(), **chunked) == 400


def test_a_body_without_a_length_may_end_anywhere(app: Flask) -> None:
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": "1"}
    assert post(app, "/json", BytesIO(b"{}"), **chunked) == 200
