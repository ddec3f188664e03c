"""What relying parties call without a browser: token, revocation, pushed requests (RFC 9126).

1. Errors are those of RFC 6749, 5.2. Parameters come in the form body alone.
2. Revocation has two addresses: CSC fixes ``/oauth2/revoke`` and 204 (CSC API 2.0, 8.4.5); who goes
   by the metadata is answered 200, as RFC 7009, 2.2 has it. There are clients that take no other.
"""

import logging
from http import HTTPStatus
from typing import Final

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Request
from authlib.oauth2.rfc7009 import RevocationEndpoint
from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from backend.access.dpop import DpopRequest, jkt, verify_dpop
from backend.access.families import revoke_token
from backend.oauth.authorizations import PUSHED_SECONDS, push
from backend.oauth.clients import METHODS, count_call
from backend.oauth.errors import answer_with_oauth_errors, oauth_error
from backend.oauth.server import PATH, OurRequest, Server
from backend.oauth.uses import OauthUses

log = logging.getLogger(__name__)

HINTS: Final = ("access_token", "refresh_token")
FORM: Final = "application/x-www-form-urlencoded"
PUSH: Final = "pushed_authorize"
REVOCATION: Final = "revocation"
LONGEST_PUSHED: Final = 4 * 1024 * 1024
"""As many hashes as one approval may cover, with labels (CSC-43)."""


class Revocation(RevocationEndpoint):  # type: ignore[misc]  # Authlib has no types
    """RFC 7009."""

    CLIENT_AUTH_METHODS = METHODS

    def __init__(self, uses: OauthUses) -> None:
        """Keep what it works with."""
        super().__init__()
        self._uses = uses

    def create_endpoint_response(self, asked: OAuth2Request) -> tuple[int, str, list[str]]:
        """Revoke the client's own token; what is none is no error."""
        client = self.authenticate_endpoint_client(asked)
        count_call(self._uses, client)
        if not request.form.get("token"):
            raise InvalidRequestError("Missing parameter token")
        if request.form.get("token_type_hint", HINTS[0]) not in HINTS:
            raise InvalidRequestError("Invalid parameter token_type_hint")
        uses = self._uses
        revoke_token(
            uses.session(),
            request.form["token"],
            relying_party=client.registration.id,
            now=uses.clock(),
        )
        return HTTPStatus.OK, "", []

    def create_endpoint_request(self, asked: object) -> OAuth2Request:
        """Take the form that came."""
        return self.server.create_oauth2_request(asked)


def create_blueprint(uses: OauthUses, server: Server) -> Blueprint:
    """Make the endpoints."""
    blueprint = Blueprint("oauth2", __name__, url_prefix=PATH)
    answer_with_oauth_errors(blueprint)
    _add_revocation(blueprint, uses, server)

    @blueprint.before_request
    def check_form() -> ResponseReturnValue | None:
        if request.path == f"{PATH}/{PUSH}":
            request.max_content_length = request.max_form_memory_size = LONGEST_PUSHED
        problem = _problem()
        if problem is None:
            return None
        return oauth_error("invalid_request", problem, HTTPStatus.BAD_REQUEST)

    @blueprint.post("/token")
    def token() -> ResponseReturnValue:
        answer: ResponseReturnValue = server.create_token_response()
        return answer

    @blueprint.post(f"/{PUSH}")
    def pushed_authorize() -> ResponseReturnValue:
        asked = OurRequest(uses, request.form)
        try:
            request_uri = _push(uses, server, asked)
        except OAuth2Error as error:
            error.redirect_uri = error.state = None  # the client hears it, no browser
            return server.handle_error_response(asked, error)
        told = jsonify(request_uri=request_uri, expires_in=PUSHED_SECONDS)
        return told, HTTPStatus.CREATED

    return blueprint


def _add_revocation(blueprint: Blueprint, uses: OauthUses, server: Server) -> None:
    server.register_endpoint(Revocation(uses))

    @blueprint.post(f"/{REVOCATION}")
    def revocation() -> Response:
        answer: Response = server.create_endpoint_response(Revocation.ENDPOINT_NAME)
        return answer

    @blueprint.post("/revoke")
    def revoke() -> Response:
        answer = revocation()
        if answer.status_code == HTTPStatus.OK:
            answer.status_code = HTTPStatus.NO_CONTENT
        return answer


def _push(uses: OauthUses, server: Server, asked: OurRequest) -> str:
    client = server.authenticate_client(asked, METHODS, PUSH)
    count_call(uses, client)
    form = request.form.to_dict()
    if "request_uri" in form:
        raise InvalidRequestError("request_uri stands in no pushed request")  # RFC 9126, 2.1
    form["client_id"] = client.get_client_id()
    proof = request.headers.get("DPoP")
    if proof is not None:
        form["dpop_jkt"] = _proven_key(uses, proof, named=form.get("dpop_jkt"))
    _, wanted = server.read_authorization(form)
    return push(
        uses.session(),
        relying_party=client.registration.id,
        request=wanted,
        now=uses.clock(),
    )


def _proven_key(uses: OauthUses, proof: str, *, named: str | None) -> str:
    """RFC 9449, 10.1: a proof in place of ``dpop_jkt``, or the same."""
    here = uses.settings.authorization_server_url.rstrip("/") + request.path
    expected = DpopRequest(method="POST", address=here, token=None)
    session = uses.session()
    shown = jkt(verify_dpop(session, proof, expected, now=uses.clock())).removeprefix("jkt:")
    session.commit()
    if named not in {None, shown}:
        raise InvalidRequestError("dpop_jkt is of another key than the proof")
    return shown


def _problem() -> str | None:
    """Say what is wrong with the form of a request, if anything is."""
    if request.mimetype != FORM:
        return f"the body is {FORM}"
    if request.query_string:
        return "parameters stand in the body, not in the address"
    if any(len(values) != 1 for _, values in request.form.lists()):
        return "a parameter stands twice"
    ways = ("Authorization" in request.headers, "client_secret" in request.form)
    if sum((*ways, "client_assertion" in request.form)) > 1:
        return "the client proves who it is in one way: header, secret or assertion"
    return None
