"""What the authorisation server says of itself (RFC 8414), under both names it is looked for."""

from typing import Any, Final

from flask import Blueprint, Response, jsonify

from backend.access.dpop import ALGORITHM
from backend.access.registrations import CERTIFICATE_METHODS, GRANTS, SCOPES
from backend.oauth.assertions import ALGORITHMS
from backend.oauth.clients import METHODS
from backend.oauth.details import TYPES
from backend.settings import Settings

NAMES: Final = ("oauth-authorization-server", "openid-configuration")
"""The second is an alias: some clients ask for it first. There is no OpenID Connect here."""


def create_blueprint(settings: Settings) -> Blueprint:
    """Make the two addresses."""
    blueprint = Blueprint("metadata", __name__, url_prefix="/.well-known")
    told = metadata(settings)
    for name in NAMES:

        @blueprint.get(f"/{name}", endpoint=name)
        def show() -> Response:
            answer = jsonify(told)
            answer.headers["Cache-Control"] = "public, max-age=300"
            return answer

    return blueprint


def metadata(settings: Settings) -> dict[str, Any]:
    """The document; mutual TLS is offered only where a proxy passes certificates on."""
    here = settings.authorization_server_url.rstrip("/")
    has_certificates = bool(settings.client_certificate_header)
    methods = [name for name in METHODS if has_certificates or name not in CERTIFICATE_METHODS]
    return {
        "issuer": here,
        "authorization_endpoint": f"{here}/oauth2/authorize",
        "token_endpoint": f"{here}/oauth2/token",
        "revocation_endpoint": f"{here}/oauth2/revocation",
        "pushed_authorization_request_endpoint": f"{here}/oauth2/pushed_authorize",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(GRANTS),
        "scopes_supported": list(SCOPES),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "authorization_details_types_supported": list(TYPES),
        "authorization_response_iss_parameter_supported": True,
        "dpop_signing_alg_values_supported": [ALGORITHM],
        "tls_client_certificate_bound_access_tokens": has_certificates,
        "request_parameter_supported": False,
        "ui_locales_supported": ["ru", "en"],
    }
