"""Authlib's server with our clients, grants and addresses.

1. Parameters stand where they belong, each once: two readers could otherwise see two requests (and
   Authlib hides repeated parameters).
2. A client proves itself in one way at a time; a ``client_id`` that it names too is its own.
3. Our address is the one of the settings: behind a proxy the request's own is another.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Final

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidClientError, InvalidRequestError, OAuth2Request
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from flask import Response, request

from backend.oauth.assertions import client_by_assertion
from backend.oauth.clients import (
    METHODS,
    Client,
    client_by_body,
    client_by_certificate,
    client_by_header,
    find_client,
)
from backend.oauth.grants import Code, Credentials, Refresh
from backend.oauth.request import CREDENTIAL, AuthorizationRequest
from backend.oauth.uses import OauthUses

log = logging.getLogger(__name__)

PATH: Final = "/oauth2"
QUOTED: Final = ("client_id", "redirect_uri", "response_type", "scope")
"""What Authlib repeats in the description of an error, where other characters are a fault."""
SPEAKABLE: Final = frozenset(map(chr, range(0x20, 0x7F))) - {'"', "\\"}
"""RFC 6749, 4.1.2.1."""


class OurRequest(OAuth2Request):  # type: ignore[misc]  # Authlib has no types
    """The web request at our public address, with parameters that were read already."""

    def __init__(self, uses: OauthUses, parameters: Mapping[str, str]) -> None:
        """Take parameters that stand once each."""
        address = uses.settings.authorization_server_url.rstrip("/") + request.path
        super().__init__(request.method, address, headers=request.headers)
        self.payload = BasicOAuth2Payload(dict(parameters))

    @property
    def form(self) -> dict[str, str]:
        """The same, as Authlib asks at the token end point."""
        form: dict[str, str] = self.payload.data
        return form


class Server(AuthorizationServer):  # type: ignore[misc]  # Authlib has no types
    """Says in the log what it refuses."""

    def __init__(self, uses: OauthUses) -> None:
        """Register grants and ways to prove who one is."""
        super().__init__(query_client=lambda name: find_client(uses.session(), name))
        self.uses = uses
        ways = (
            client_by_header,
            client_by_body,
            client_by_assertion,
            client_by_certificate,
            client_by_certificate,
        )
        for name, way in zip(METHODS, ways, strict=True):
            self.register_client_auth_method(name, lambda *_, way=way: way(uses))
        for grant in (Credentials, Code, Refresh):
            self.register_grant(grant)

    def create_oauth2_request(self, given: object) -> OAuth2Request:
        """Take ours as it is; else the form that came."""
        if isinstance(given, OAuth2Request):
            return given
        return OurRequest(self.uses, request.form.to_dict())

    def authenticate_client(
        self, asked: OAuth2Request, methods: Sequence[str], endpoint: str = "token"
    ) -> Client:
        """Find who asks; a ``client_id`` beside that must be the same."""
        client: Client = super().authenticate_client(asked, methods, endpoint)
        if request.form.get("client_id", client.get_client_id()) != client.get_client_id():
            raise InvalidClientError(status_code=401, description="client_id is another client's")
        return client

    def handle_error_response(self, asked: OAuth2Request, error: OAuth2Error) -> Response:
        """Answer as RFC 6749, 5.2 has it."""
        log.info("a relying party's sign-in was refused", extra={"reason": error.error})
        answer: Response = super().handle_error_response(asked, error)
        return answer

    def read_authorization(
        self, parameters: Mapping[str, str]
    ) -> tuple[Client, AuthorizationRequest]:
        """Check a request for an authorisation.

        Raises:
            OAuth2Error: it is refused; where ``redirect_uri`` is set in it, the client is told.
        """
        given = dict(parameters)
        for name in QUOTED:
            if not set(given.get(name, "")) <= SPEAKABLE:
                raise InvalidRequestError(f"Invalid parameter {name}")
        if given.get("authorization_details") and not given.get("scope"):
            given["scope"] = CREDENTIAL  # CSC-55
        asked = OurRequest(self.uses, given)
        try:
            grant = self.get_authorization_grant(asked)
            grant.validate_consent_request()
        except OAuth2Error as error:
            error.state = given.get("state")
            raise
        return asked.client, grant.asked
