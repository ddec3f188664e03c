"""The token endpoint of relying parties: OAuth 2.0 ``client_credentials``, by Authlib.

Errors are those of RFC 6749, 5.2. Parameters come in the body alone, each once: Authlib's payload
hides repeated ones, and two readers could see two requests.
"""

from http import HTTPStatus
from typing import Final

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import OAuth2Request
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from flask import Blueprint, jsonify, request
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue

from backend.access.browsers import harden_answers
from backend.access.tokens import LIFE, keep_token, new_token
from backend.oauth.clients import METHODS, Client, find_client
from backend.oauth.uses import OauthUses

PATH: Final = "/oauth2"
FORM: Final = "application/x-www-form-urlencoded"


class ClientCredentials(ClientCredentialsGrant):  # type: ignore[misc]  # Authlib has no types
    """RFC 6749, 4.4, with the secret in the header or in the body."""

    TOKEN_ENDPOINT_AUTH_METHODS = METHODS


def create_blueprint(uses: OauthUses) -> Blueprint:
    """Make the token endpoint."""
    blueprint = Blueprint("oauth2", __name__, url_prefix=PATH)
    harden_answers(blueprint, address=uses.settings.authorization_server_url)
    server = AuthorizationServer(
        query_client=lambda client_id: find_client(uses.session(), client_id),
        save_token=lambda token, asked: _keep(uses, token, asked),
    )
    server.register_grant(ClientCredentials)

    @blueprint.record_once
    def start(state: BlueprintSetupState) -> None:
        server.init_app(state.app)
        server.register_token_generator("default", _generator())

    @blueprint.post("/token")
    def token() -> ResponseReturnValue:
        if request.mimetype != FORM or request.query_string or _repeated():
            problem = "parameters stand in the form body, each once"
            return jsonify(error="invalid_request", error_description=problem), (
                HTTPStatus.BAD_REQUEST
            )
        answer: ResponseReturnValue = server.create_token_response()
        return answer

    return blueprint


def _generator() -> BearerTokenGenerator:
    return BearerTokenGenerator(
        lambda **_kwargs: new_token(),
        expires_generator=lambda *_args: int(LIFE.total_seconds()),
    )


def _keep(uses: OauthUses, token: dict[str, str], asked: OAuth2Request) -> None:
    client: Client = asked.client
    if client.relying_party is None:
        raise RuntimeError("a token for nobody")
    keep_token(
        uses.session(),
        token["access_token"],
        relying_party=client.relying_party,
        now=uses.clock(),
    )


def _repeated() -> bool:
    return any(len(values) != 1 for _, values in request.form.lists())
