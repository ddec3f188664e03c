"""Both editions of the CSC API, side by side under ``/csc/v1/`` and ``/csc/v2/``; logo, schemas.

A credential, a handle, a SAD count in both: an edition is a way to say it, nothing else (CSC-131).
"""

from collections.abc import Callable
from typing import Final

from flask import Blueprint, Response, abort, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import MethodNotAllowed

from backend.csc.errors import answer_with_csc_errors
from backend.csc.published import add_logo, add_schemas
from backend.csc.uses import CscUses
from backend.csc.v1 import add_v1
from backend.csc.v2 import add_v2

EVERY_METHOD: Final = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def create_blueprints(uses: CscUses) -> list[Blueprint]:
    """Make them."""
    about = Blueprint("csc", __name__, url_prefix="/csc")
    add_logo(about)
    add_schemas(about, uses.settings)
    return [_edition("v1", add_v1, uses), _edition("v2", add_v2, uses), about]


def _edition(name: str, add: Callable[[Blueprint, CscUses], None], uses: CscUses) -> Blueprint:
    blueprint = Blueprint(f"csc_{name}", __name__, url_prefix=f"/csc/{name}")
    answer_with_csc_errors(blueprint)
    add(blueprint, uses)

    @blueprint.route("/<path:_method>", methods=EVERY_METHOD)
    def unknown(_method: str) -> ResponseReturnValue:
        """Whatever else the specification has (CSC-08), and every other HTTP method (CSC-01)."""
        if request.method != "POST":
            raise MethodNotAllowed(valid_methods=["POST"])
        abort(501)

    @blueprint.after_request
    def name_charset(response: Response) -> Response:
        """CSC API 7.2: ``application/json``, in UTF-8 (CSC-02)."""
        response.headers["Content-Type"] = "application/json; charset=UTF-8"
        return response

    return blueprint
