"""Bodies of requests: JSON, UTF-8, bounded, and exactly the members that a schema names."""

from collections.abc import Iterable
from typing import Any, Final, final
from wsgiref.types import InputStream, StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, Request
from marshmallow import Schema, ValidationError
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

from backend.errors import MalformedMessage
from backend.protocol.encoding import parse_json

LONGEST_BODY: Final = 64 * 1024
MEDIA_TYPE: Final = "application/json"


def limit_bodies(app: Flask) -> None:
    """Refuse longer bodies in all of an application.

    Of a body that does not say its length no more is read, and :func:`read_json` sees that it is
    too long. One that breaks off, or cannot be read, is the caller's fault: 400.
    """
    app.config["MAX_CONTENT_LENGTH"] = LONGEST_BODY + 1
    app.wsgi_app = WholeBodies(app.wsgi_app)  # type: ignore[assignment]  # mypy takes it for a method


@final
class WholeBodies:
    """An application that sees bodies whole, or is told by a ``BadRequest`` that they are not."""

    def __init__(self, app: WSGIApplication) -> None:
        """Stand before an application."""
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Pass a request on."""
        length = str(environ.get("CONTENT_LENGTH") or "0")
        body = _Body(environ["wsgi.input"], missing=int(length) if length.isdecimal() else 0)
        return self._app(environ | {"wsgi.input": body}, start)


@final
class _Body:
    """A body as the server reads it."""

    def __init__(self, stream: InputStream, *, missing: int) -> None:
        """``missing``: so many bytes must come."""
        self._stream = stream
        self._missing = missing

    def read(self, size: int = -1) -> bytes:
        """Read so many bytes, or all."""
        try:
            piece = self._stream.read(size)
        except Exception as error:  # each server has its own for chunks that are none
            raise BadRequest from error
        self._missing -= len(piece)
        if not piece and size and self._missing > 0:
            raise BadRequest
        return piece


def read_json(request: Request, *, longest: int = LONGEST_BODY) -> object:
    """Read a body that must be JSON.

    Args:
        request: the web request.
        longest: so many bytes it may have.

    Raises:
        RequestEntityTooLarge: it is too long.
        UnsupportedMediaType: it does not say that it is JSON.
        BadRequest: it is not, or a member stands twice.
    """
    request.max_content_length = longest + 1
    body = request.get_data()
    if len(body) > longest:
        raise RequestEntityTooLarge
    if request.mimetype != MEDIA_TYPE:
        raise UnsupportedMediaType
    try:
        return parse_json(body)
    except MalformedMessage as error:
        raise BadRequest from error


def load_body(request: Request, schema: Schema) -> dict[str, Any]:
    """Read a body by its schema.

    Raises:
        RequestEntityTooLarge: it is too long.
        UnsupportedMediaType: it does not say that it is JSON.
        BadRequest: it is not, or a member stands twice.
        MalformedMessage: it has not the members of the schema.
    """
    try:
        loaded: dict[str, Any] = schema.load(read_json(request))  # type: ignore[arg-type]  # marshmallow refuses what is no object
    except ValidationError as error:
        raise malformed(error) from error
    return loaded


def malformed(error: ValidationError) -> MalformedMessage:
    """Name the members that are wrong; values are not repeated."""
    found = error.messages if isinstance(error.messages, dict) else {"body": error.messages}
    return MalformedMessage(
        "; ".join(f"{str(name)[:40]!a}: {what}" for name, what in found.items())
    )
