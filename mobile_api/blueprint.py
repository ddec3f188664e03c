"""flask-smorest, made strict: bodies as the protocol has them, errors as problem documents."""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Never, TypeVar

import flask
import flask_smorest
from marshmallow import Schema, ValidationError
from webargs.flaskparser import FlaskParser

from backend.access.json_body import malformed, read_json
from backend.access.problems import MEDIA_TYPE
from mobile_api.schemas import Problem

_PROBLEM = "Problem"
"""Name in the document: sixty answers name it, and make no schema each."""

View = TypeVar("View", bound=Callable[..., Any])


class StrictParser(FlaskParser):
    """Reads bodies as all our applications do."""

    def load_json(self, req: flask.Request, schema: Schema) -> Any:  # noqa: ANN401, ARG002  # webargs' signature
        """Read the body; it must be JSON, and say so."""
        return read_json(req)

    def handle_error(self, error: ValidationError, *_: object, **__: object) -> Never:
        """Refuse what its schema does not allow."""
        raise malformed(error) from error


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]  # flask-smorest ships no types
    """Routes that declare what they take and give."""

    ARGUMENTS_PARSER = StrictParser()

    if TYPE_CHECKING:
        # What its decorators leave of a view: the view.

        def get(self, rule: str) -> Callable[[View], View]:
            """Answer GET."""

        def put(self, rule: str) -> Callable[[View], View]:
            """Answer PUT."""

        def post(self, rule: str) -> Callable[[View], View]:
            """Answer POST."""

        def delete(self, rule: str) -> Callable[[View], View]:
            """Answer DELETE."""

        def arguments(self, schema: Schema, *, location: str = "json") -> Callable[[View], View]:
            """Take a body or a query."""

        def response(
            self, status_code: int, schema: type[Schema] | None = None
        ) -> Callable[[View], View]:
            """Give a body."""

        def doc(self, *, security: Sequence[object]) -> Callable[[View], View]:
            """Say who may call."""


class Api(flask_smorest.Api):  # type: ignore[misc]  # flask-smorest ships no types
    """Collects what the routes declare into the OpenAPI document."""

    def _register_error_handlers(self) -> None:
        """Leave errors to :mod:`backend.access.problems`: smorest's handler drops headers."""

    def _register_responses(self) -> None:
        """Say in the document that errors are problem documents."""
        self.spec.components.schema(_PROBLEM, schema=Problem)
        for status in HTTPStatus:
            self._register_problem(status.name, status.phrase)
        self._register_problem("DEFAULT_ERROR", "A problem document")

    def _register_problem(self, name: str, description: str) -> None:
        content = {MEDIA_TYPE: {"schema": _PROBLEM}}
        response = {"description": description, "content": content}
        self.spec.components.response(name, response, lazy=True)
