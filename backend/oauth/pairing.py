"""Pairing at the authorisation server: step 1, the sign-in, and step 3, the code (8.2).

Here alone passwords arrive. Only the phone app's origin may call (CORS), the ticket is a bearer
token of 15 minutes, and errors are the problem documents that phones know.
"""

from http import HTTPStatus
from typing import Final

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from backend.access.browsers import admit_app
from backend.access.json_body import load_body
from backend.access.problems import answer_with_problems
from backend.access.tickets import ticket_of
from backend.devices.enrolment.ticket import SignIn
from backend.oauth.schemas import (
    CodeBody,
    CodeSentAnswer,
    EmptyBody,
    SignInBody,
    TicketAnswer,
)
from backend.oauth.uses import OauthUses

PATH: Final = "/pairing"


def create_blueprint(uses: OauthUses) -> Blueprint:
    """Make the three routes, on these use cases."""
    blueprint = Blueprint("pairing", __name__, url_prefix=PATH)
    admit_app(blueprint, uses.settings)
    answer_with_problems(blueprint, challenges={"/": "Bearer"})

    @blueprint.post("/tickets")
    def open_ticket() -> ResponseReturnValue:
        sign_in = SignIn(**load_body(request, SignInBody()))
        ticket = uses.open_ticket(uses.session(), sign_in)
        return jsonify(TicketAnswer().dump(ticket)), HTTPStatus.CREATED

    @blueprint.post("/code")
    def send_code() -> ResponseReturnValue:
        ticket = ticket_of(request.headers.get("Authorization"))
        load_body(request, EmptyBody())
        sent = uses.send_code(uses.session(), ticket)
        return jsonify(CodeSentAnswer().dump(sent)), HTTPStatus.ACCEPTED

    @blueprint.post("/confirmation")
    def confirm() -> ResponseReturnValue:
        ticket = ticket_of(request.headers.get("Authorization"))
        code: str = load_body(request, CodeBody())["code"]
        return jsonify(state=uses.confirm_by_code(uses.session(), ticket, code))

    return blueprint
