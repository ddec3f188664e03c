"""Pairing at the authorisation server: step 1, the sign-in, and step 3, the code (8.2).

Here alone passwords arrive. Only the phone app's origin may call (CORS), the ticket is a bearer
token of 15 minutes, and errors are the problem documents that phones know.
"""

from collections.abc import Iterator
from contextlib import contextmanager
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
        load_body(request, EmptyBody())
        with _ticket(uses) as ticket:
            sent = uses.send_code(uses.session(), ticket)
        return jsonify(CodeSentAnswer().dump(sent)), HTTPStatus.ACCEPTED

    @blueprint.post("/confirmation")
    def confirm() -> ResponseReturnValue:
        body = load_body(request, CodeBody())
        with _ticket(uses) as ticket:
            state = uses.confirm_by_code(uses.session(), ticket, body["code"], body["password"])
        return jsonify(state=state)

    return blueprint


@contextmanager
def _ticket(uses: OauthUses) -> Iterator[str]:
    """Take the caller's ticket, for use cases that look whether it is good.

    Raises:
        Unauthenticated: there is none.
        TooManyRequests: too many were false from there.
    """
    ticket = ticket_of(request.headers.get("Authorization"))
    with uses.doorman.watching(request.remote_addr, ticket, now=uses.clock()):
        yield ticket
