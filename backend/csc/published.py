"""What anybody may read of this service: its logo, and the schemas of our own members.

A schema's address is its ``$id`` and stays; what it says follows from ``backend/summary/kinds``.
"""

from typing import Final, get_args

from flask import Blueprint, Response, abort, jsonify
from flask.typing import ResponseReturnValue

from backend.csc.logo import logo
from backend.protocol.approval import CodeMethod
from backend.settings import Settings
from backend.summary.fields import JsonSchema
from backend.summary.schema import ASKED_FOR, DIALECT, json_schema, transaction_schema

ANY_KIND: Final = "transaction"
APPROVED: Final = "approved"
_METHOD: Final[JsonSchema] = {
    "$schema": DIALECT,
    "title": "Answer that gives a SAD",
    "type": "object",
    "properties": {
        "method": {
            "description": "How the signer approved. Absent: on the phone. Else the service's word",
            "enum": list(get_args(CodeMethod)),
        }
    },
}
_FOR_ALL: Final = {
    "Cache-Control": "public, max-age=86400",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


def add_logo(blueprint: Blueprint) -> None:
    """Add what ``info`` names."""

    @blueprint.get("/logo.png")
    def show_logo() -> ResponseReturnValue:
        """Let any page show it, and keep it for a day."""
        return Response(logo(), mimetype="image/png", headers=_FOR_ALL)


def add_schemas(blueprint: Blueprint, settings: Settings) -> None:
    """Add one for each kind, one for any of them, and one for what an answer adds."""
    here = f"{settings.authorization_server_url.rstrip('/')}/csc/schemas"
    told = {kind: json_schema(kind) for kind in ASKED_FOR} | {
        ANY_KIND: transaction_schema(),
        APPROVED: _METHOD,
    }

    @blueprint.get("/schemas/<name>.json")
    def show_schema(name: str) -> ResponseReturnValue:
        if name not in told:
            abort(404)
        answer = jsonify({"$id": f"{here}/{name}.json"} | told[name])
        answer.headers.update(_FOR_ALL)
        answer.mimetype = "application/schema+json"
        return answer
