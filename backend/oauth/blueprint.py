"""Tokens of relying parties: OAuth 2.0 ``client_credentials`` and their revocation, by Authlib.

Errors are those of RFC 6749, 5.2. Parameters come in the form body alone, each once, and the secret
in one place: two readers could otherwise see two requests (and Authlib hides repeated parameters).
"""

import logging
from http import HTTPStatus
from typing import Final

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Request
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7009 import RevocationEndpoint
from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from backend.access.tokens import LIFE, keep_token, new_token, revoke_token
from backend.oauth.clients import METHODS, client_by_body, client_by_header
from backend.oauth.errors import answer_with_oauth_errors, oauth_error
from backend.oauth.uses import OauthUses

log = logging.getLogger(__name__)

PATH: Final = "/oauth2"
HINTS: Final = ("access_token", "refresh_token")
FORM: Final = "application/x-www-form-urlencoded"


class ClientCredentials(ClientCredentialsGrant):  # type: ignore[misc]  # Authlib has no types
    """RFC 6749, 4.4, with the secret in the header or in the body."""

    TOKEN_ENDPOINT_AUTH_METHODS = METHODS


class Revocation(RevocationEndpoint):  # type: ignore[misc]  # Authlib has no types
    """RFC 7009; CSC API 2.0, 8.4.5 has 204 where the RFC has 200."""

    CLIENT_AUTH_METHODS = METHODS

    def __init__(self, uses: OauthUses) -> None:
        """Keep what it works with."""
        super().__init__()
        self._uses = uses

    def create_endpoint_response(self, asked: OAuth2Request) -> tuple[int, str, list[str]]:
        """Revoke the client's own token; what is none is no error."""
        client = self.authenticate_endpoint_client(asked)
        if not request.form.get("token"):
            raise InvalidRequestError("Missing parameter token")
        if request.form.get("token_type_hint", HINTS[0]) not in HINTS:
            raise InvalidRequestError("Invalid parameter token_type_hint")
        uses = self._uses
        revoke_token(
            uses.session(),
            request.form["token"],
            relying_party=client.relying_party,
            now=uses.clock(),
        )
        return HTTPStatus.NO_CONTENT, "", []


class Server(AuthorizationServer):  # type: ignore[misc]  # Authlib has no types
    """Says in the log what it refuses."""

    def handle_error_response(self, request: OAuth2Request, error: OAuth2Error) -> Response:
        """Answer as RFC 6749, 5.2 has it."""
        log.info("a relying party's sign-in was refused", extra={"reason": error.error})
        answer: Response = super().handle_error_response(request, error)
        return answer


def create_blueprint(uses: OauthUses) -> Blueprint:
    """Make the two endpoints."""
    blueprint = Blueprint("oauth2", __name__, url_prefix=PATH)
    answer_with_oauth_errors(blueprint)
    server = _server(uses)

    @blueprint.before_request
    def check_form() -> ResponseReturnValue | None:
        problem = _problem()
        if problem is None:
            return None
        return oauth_error("invalid_request", problem, HTTPStatus.BAD_REQUEST)

    @blueprint.post("/token")
    def token() -> ResponseReturnValue:
        answer: ResponseReturnValue = server.create_token_response()
        return answer

    @blueprint.post("/revoke")
    def revoke() -> ResponseReturnValue:
        answer: ResponseReturnValue = server.create_endpoint_response(Revocation.ENDPOINT_NAME)
        return answer

    return blueprint


def _server(uses: OauthUses) -> Server:
    def keep(token: dict[str, str], asked: OAuth2Request) -> None:
        party = asked.client.relying_party
        uses.tokens.take(party, now=uses.clock())
        keep_token(uses.session(), token["access_token"], relying_party=party, now=uses.clock())

    server = Server(save_token=keep)
    server.register_client_auth_method(METHODS[0], lambda *_: client_by_header(uses))
    server.register_client_auth_method(METHODS[1], lambda *_: client_by_body(uses))
    server.register_grant(ClientCredentials)
    server.register_endpoint(Revocation(uses))
    seconds = int(LIFE.total_seconds())
    generator = BearerTokenGenerator(lambda **_: new_token(), expires_generator=seconds)
    server.register_token_generator("default", generator)
    return server


def _problem() -> str | None:
    """Say what is wrong with the form of a request, if anything is."""
    if request.mimetype != FORM:
        return f"the body is {FORM}"
    if request.query_string:
        return "parameters stand in the body, not in the address"
    if any(len(values) != 1 for _, values in request.form.lists()):
        return "a parameter stands twice"
    if "Authorization" in request.headers and "client_secret" in request.form:
        return "the secret stands in the header or in the body, not in both"
    return None
