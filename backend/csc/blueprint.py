"""Both editions of the CSC API, side by side under ``/csc/v1/`` and ``/csc/v2/``."""

from collections.abc import Callable
from http import HTTPStatus

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from backend.access.browsers import harden_answers
from backend.csc.errors import answer_with_csc_errors, csc_error
from backend.csc.uses import CscUses
from backend.csc.v1 import add_v1
from backend.csc.v2 import add_v2

Add = Callable[[Blueprint, CscUses], None]


def create_blueprints(uses: CscUses) -> list[Blueprint]:
    """Make the two."""
    return [_edition("v1", add_v1, uses), _edition("v2", add_v2, uses)]


def _edition(name: str, add: Add, uses: CscUses) -> Blueprint:
    blueprint = Blueprint(f"csc_{name}", __name__, url_prefix=f"/csc/{name}")
    harden_answers(blueprint, address=uses.settings.authorization_server_url)
    answer_with_csc_errors(blueprint)
    add(blueprint, uses)

    @blueprint.route("/<path:method>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    def unknown(method: str) -> ResponseReturnValue:
        """Whatever else the specification has (CSC-08), and every other HTTP method (CSC-01)."""
        if request.method != "POST":
            words = "CSC methods are called by POST"
            response = csc_error("invalid_request", words, HTTPStatus.METHOD_NOT_ALLOWED)
            response.headers["Allow"] = "POST"
            return response
        words = f"{method[:80]} is not offered; see info"
        return csc_error("invalid_request", words, HTTPStatus.NOT_IMPLEMENTED)

    return blueprint
