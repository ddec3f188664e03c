"""The OpenAPI document as a plain page: no script, and nothing from anywhere else."""

from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from flask import Blueprint, Response, render_template

from mobile_api.blueprint import Api

_STYLE: Final = (Path(__file__).parent / "templates" / "docs.css").read_text(encoding="utf-8")
_STYLE_HASH: Final = b64encode(sha256(_STYLE.encode()).digest()).decode()
_POLICY: Final = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'"


def create_blueprint(api: Api) -> Blueprint:
    """Make ``/docs`` of what the routes declared."""
    blueprint = Blueprint("documentation", __name__, template_folder="templates")

    @blueprint.get("/docs")
    def docs() -> Response:
        document: dict[str, Any] = api.spec.to_dict()
        page = Response(render_template("docs.html", document=document, style=_STYLE))
        page.headers["Content-Security-Policy"] = _POLICY
        return page

    return blueprint
