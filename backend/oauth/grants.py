"""The grants, on Authlib's: what it checks by RFC 6749 and 7636, and what CSC adds.

Authlib's own way to tokens is three steps (save, delete the code, answer); here one use case does
them in one commit, so what :meth:`create_token_response` answers is ours.
"""

import logging
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from authlib.consts import default_json_headers
from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidRequestError, InvalidScopeError
from authlib.oauth2.rfc6749.grants import (
    AuthorizationCodeGrant,
    ClientCredentialsGrant,
    RefreshTokenGrant,
)
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from flask import request

from backend.access.client_certificates import certificate_thumbprint, x5t
from backend.access.dpop import DpopRequest, jkt, verify_dpop
from backend.access.registrations import CERTIFICATE_METHODS, REFRESH
from backend.access.tokens import LIFE, SCOPE, keep_token, new_token
from backend.errors import AuthorizationInvalid, RequestRefused
from backend.oauth.asking import ascii_words
from backend.oauth.clients import METHODS
from backend.oauth.details import same
from backend.oauth.redemption import StoredCode, find_code, redeem_code
from backend.oauth.refreshing import Tokens, find_refresh, redeem_refresh
from backend.oauth.request import AuthorizationRequest, read_request
from backend.oauth.uses import OauthUses
from backend.signing.authorization import PHONE

log = logging.getLogger(__name__)

LONGEST_SECRET: Final = 512
"""Of a code, refresh token or verifier before anything looks at it."""

Answer = tuple[int, dict[str, Any], list[tuple[str, str]]]


def take_turn(uses: OauthUses, relying_party: UUID) -> None:
    """Count a token, before a proof, a code or a refresh token is used up for it (T-39).

    Raises:
        TooManyRequests: one too many; nothing was used up.
    """
    session = uses.session()
    session.commit()  # which ends the read of who asks for what
    uses.tokens.take(session, relying_party, now=uses.clock())


def bound_to(uses: OauthUses, auth_method: str | None) -> str | None:
    """What the new token is bound to: the key of a DPoP proof, or the certificate of mutual TLS.

    Does not commit: the proof is used up in the commit that makes the token.

    Raises:
        DpopRefused: the proof is not valid.
    """
    proof = request.headers.get("DPoP")
    if proof is not None:
        here = uses.settings.authorization_server_url.rstrip("/") + request.path
        expected = DpopRequest(method="POST", address=here, token=None)
        return jkt(verify_dpop(uses.session(), proof, expected, now=uses.clock()))
    if auth_method in CERTIFICATE_METHODS:
        thumbprint = certificate_thumbprint(request, uses.settings)
        return None if thumbprint is None else x5t(thumbprint)
    return None


def answer(tokens: Tokens, bound: str | None) -> Answer:
    """Write a token response (RFC 6749, 5.1; CSC API 2.0, 8.4.4).

    A signer's approval by code is labelled, as in the answers of CSC (design, invariant 7).
    """
    is_dpop = bound is not None and bound.startswith("jkt:")
    told: dict[str, Any] = {
        "access_token": tokens.access_token,
        "token_type": "DPoP" if is_dpop else "Bearer",
        "expires_in": tokens.expires_in,
        "scope": tokens.scope,
    }
    if tokens.refresh_token is not None:
        told["refresh_token"] = tokens.refresh_token
    if tokens.method != PHONE:
        told["method"] = tokens.method
    wish = None if tokens.request is None else tokens.request.wish
    if wish is not None:
        told["credentialID"] = str(tokens.credential)
        if wish.is_v1 and not is_dpop:
            told["token_type"] = "SAD"  # noqa: S105  # a type's name
        if wish.details is not None:
            given = {"numSignatures": len(wish.hashes), **wish.details}
            told["authorization_details"] = [given]
    return HTTPStatus.OK, told, default_json_headers


class Credentials(ClientCredentialsGrant):  # type: ignore[misc]  # Authlib has no types
    """RFC 6749, 4.4: a relying party by itself, which authorises no credential (CSC-37)."""

    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    def create_token_response(self) -> Answer:
        """Make a token of scope ``service``."""
        if self.request.payload.scope not in {None, "", SCOPE}:
            raise InvalidScopeError
        if self.client.get_allowed_scope(SCOPE) is None:
            raise InvalidScopeError
        uses: OauthUses = self.server.uses
        party = self.client.registration.id
        take_turn(uses, party)
        bound = bound_to(uses, self.request.auth_method)
        token, session = new_token(), uses.session()
        keep_token(session, token, relying_party=party, now=uses.clock(), bound_to=bound)
        made = Tokens(
            access_token=token,
            scope=SCOPE,
            expires_in=int(LIFE.total_seconds()),
        )
        return answer(made, bound)


class Code(AuthorizationCodeGrant):  # type: ignore[misc]  # Authlib has no types
    """RFC 6749, 4.1, with S256 always (RFC 7636) and CSC's parameters."""

    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    def __init__(self, *given: Any) -> None:  # noqa: ANN401  # Authlib's signature
        """Check what CSC adds once client, address and scope are known to be good."""
        super().__init__(*given)
        self.asked: AuthorizationRequest | None = None
        self.register_hook("after_validate_authorization_request_payload", self._read)
        self.register_hook("after_validate_token_request", self._check_token_request)

    def _read(self, grant: object, result: object) -> None:  # noqa: ARG002  # Authlib's signature
        data = self.request.payload.data
        if self.request.scope == SCOPE and data.get("authorization_details"):
            raise InvalidRequestError("authorization_details are of the scope credential")
        address = self.request.payload.redirect_uri
        try:
            self.asked = read_request(
                data,
                redirect_uri=address or self.request.client.get_default_redirect_uri(),
                scope=self.request.scope,
            )
        except RequestRefused as error:
            raise InvalidRequestError(ascii_words(error)) from error

    def query_authorization_code(self, code: str, client: Any) -> StoredCode | None:  # noqa: ANN401  # a Client
        """Find the code, of this client."""
        if not code:
            raise InvalidRequestError("Missing parameter code")
        uses: OauthUses = self.server.uses
        if len(code) > LONGEST_SECRET:
            return None
        party = client.registration.id
        return find_code(uses.session(), code, relying_party=party, now=uses.clock())

    def _check_token_request(self, grant: object, result: object) -> None:  # noqa: ARG002  # Authlib's signature
        """RFC 7636, 4.6, and CSC-54: the same details, if they come again."""
        asked = self.request.authorization_code.request
        form = self.request.form
        verifier = form.get("code_verifier", "")[:LONGEST_SECRET]
        if create_s256_code_challenge(verifier) != asked.code_challenge:
            raise InvalidGrantError("Invalid parameter code_verifier")
        again = form.get("authorization_details")
        entry = None if asked.wish is None else asked.wish.details
        if again and (entry is None or not same(entry, again)):
            raise InvalidGrantError("authorization_details are others than were authorised")

    def create_token_response(self) -> Answer:
        """Consume the code and make the tokens, in one commit."""
        uses: OauthUses = self.server.uses
        stored: StoredCode = self.request.authorization_code
        take_turn(uses, self.client.registration.id)
        bound = bound_to(uses, self.request.auth_method)
        expected = stored.request.dpop_jkt
        if expected is not None and bound != f"jkt:{expected}":
            raise InvalidGrantError("the code is bound to another key")
        try:
            tokens = redeem_code(
                uses.session(),
                stored,
                bound_to=bound,
                refreshable=self.client.check_grant_type(REFRESH),
                now=uses.clock(),
            )
        except AuthorizationInvalid as error:
            raise InvalidGrantError from error
        return answer(tokens, bound)


class Refresh(RefreshTokenGrant):  # type: ignore[misc]  # Authlib has no types
    """RFC 6749, 6, with a new refresh token each time (RFC 9700, 4.14)."""

    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    def validate_token_request(self) -> None:
        """Find the refresh token, of this client."""
        client = self._validate_request_client()
        self.request.client = client
        token = self.request.form.get("refresh_token")
        if not token:
            raise InvalidRequestError("Missing parameter refresh_token")
        if self.request.payload.scope not in {None, "", SCOPE}:
            raise InvalidScopeError
        uses: OauthUses = self.server.uses
        found = None
        if len(token) <= LONGEST_SECRET:
            party = client.registration.id
            found = find_refresh(uses.session(), token, relying_party=party, now=uses.clock())
        if found is None:
            raise InvalidGrantError
        self.request.refresh_token = found

    def create_token_response(self) -> Answer:
        """Use it up and make the next tokens, in one commit."""
        uses: OauthUses = self.server.uses
        take_turn(uses, self.request.client.registration.id)
        bound = bound_to(uses, self.request.auth_method)
        stored = self.request.refresh_token
        try:
            tokens = redeem_refresh(uses.session(), stored, bound_to=bound, now=uses.clock())
        except AuthorizationInvalid as error:
            raise InvalidGrantError from error
        return answer(tokens, bound)
