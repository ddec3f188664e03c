"""Relying parties as Authlib knows clients, and how they prove who they are.

A secret in the header or the body (RFC 6749, 2.3.1), a signed assertion (RFC 7523), or the TLS
certificate that the proxy saw (RFC 8705): each only by the methods that are registered for it, and
one of them at a time.
"""

from contextlib import AbstractContextManager
from typing import Final, final
from urllib.parse import unquote_plus

from authlib.oauth2.rfc6749 import ClientMixin, InvalidClientError
from flask import request
from sqlalchemy.orm import Session

from backend.access.client_certificates import certificate_thumbprint
from backend.access.registrations import (
    CERTIFICATE_METHODS,
    CODE,
    SECRET_METHODS,
    Registration,
    find_registration,
)
from backend.access.relying_parties import relying_party_by_secret
from backend.access.tokens import SCOPE
from backend.errors import Unauthenticated
from backend.oauth.uses import OauthUses

METHODS: Final = (*SECRET_METHODS, "private_key_jwt", *CERTIFICATE_METHODS)
"""In the order in which Authlib tries them."""


@final
class Client(ClientMixin):  # type: ignore[misc]  # Authlib has no types
    """A relying party; what it may do is what is registered."""

    def __init__(self, registration: Registration) -> None:
        """Keep what is registered."""
        self.registration = registration

    def get_client_id(self) -> str:
        """Its id."""
        return self.registration.client_id

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:  # noqa: ARG002  # Authlib's signature
        """The same ways everywhere."""
        return method in self.registration.auth_methods

    def check_grant_type(self, grant_type: str) -> bool:
        """What is registered."""
        return grant_type in self.registration.grants

    def check_response_type(self, response_type: str) -> bool:
        """``code``, where codes are registered."""
        return response_type == "code" and CODE in self.registration.grants

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Character by character (RFC 9700, 2.1)."""
        return redirect_uri in self.registration.redirect_uris

    def get_default_redirect_uri(self) -> str | None:
        """The only one, if there is only one."""
        uris = self.registration.redirect_uris
        return uris[0] if len(uris) == 1 else None

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """One scope, that of CSC API 8.3; two at once are refused (CSC-32)."""
        wanted = scope or SCOPE
        return wanted if wanted in self.registration.scopes else None


def find_client(session: Session, unverified_client_id: str) -> Client | None:
    """Find a client by its id alone: for the authorisation end point."""
    found = find_registration(session, unverified_client_id)
    return None if found is None else Client(found)


def client_by_header(uses: OauthUses) -> Client | None:
    """Read HTTP Basic. Authlib's own reader fails on headers that are not well-formed.

    Raises:
        TooManyRequests: too many failed from there.
    """
    header = request.headers.get("Authorization", "")
    given = request.authorization if header.isascii() else None
    if given is None or given.type != "basic":
        return None
    return _client(uses, unquote_plus(given.username or ""), unquote_plus(given.password or ""))


def client_by_body(uses: OauthUses) -> Client | None:
    """Read ``client_id`` and ``client_secret`` of the form.

    Raises:
        TooManyRequests: too many failed from there.
    """
    form = request.form
    if "client_secret" not in form:
        return None
    return _client(uses, form.get("client_id", ""), form["client_secret"])


def client_by_certificate(uses: OauthUses) -> Client | None:
    """Read ``client_id`` of the form, and believe it of who holds its certificate.

    A secret beside it says that the certificate is not how the client proves itself.

    Raises:
        InvalidClientError: it is no client's, or another's.
        TooManyRequests: too many failed from there.
    """
    form = request.form
    thumbprint = certificate_thumbprint(request, uses.settings)
    if thumbprint is None or "client_id" not in form or "client_secret" in form:
        return None
    if "Authorization" in request.headers:
        return None
    try:
        with watching(uses, form["client_id"]):
            return Client(_holder(uses, form["client_id"], thumbprint))
    except Unauthenticated as error:  # not tried again for the other method, nor counted twice
        words = "The certificate is not the client's"
        raise InvalidClientError(status_code=401, description=words) from error


def watching(uses: OauthUses, unverified_id: str) -> AbstractContextManager[None]:
    """Prove within it who says to be that client; ``Unauthenticated`` is a failure (doorman)."""
    return uses.doorman.watching(request.remote_addr, unverified_id, now=uses.clock())


def count_call(uses: OauthUses, client: Client) -> None:
    """Count a call that gives no token, as those of the CSC API are counted (T-39).

    Raises:
        TooManyRequests: it calls more often than it may.
    """
    session = uses.session()
    session.commit()  # which ends the read of who it is
    uses.calls.take(session, client.registration.id, now=uses.clock())


def _client(uses: OauthUses, unverified_id: str, unverified_secret: str) -> Client | None:
    try:
        with watching(uses, unverified_id):
            return Client(_prove(uses, unverified_id, unverified_secret))
    except Unauthenticated:
        return None


def _holder(uses: OauthUses, unverified_id: str, thumbprint: bytes) -> Registration:
    found = find_registration(uses.session(), unverified_id)
    if found is None or found.certificate != thumbprint:
        raise Unauthenticated("the certificate is not the client's")
    return found


def _prove(uses: OauthUses, unverified_id: str, unverified_secret: str) -> Registration:
    found = relying_party_by_secret(
        uses.session(), unverified_client_id=unverified_id, unverified_secret=unverified_secret
    )
    if found is None:
        raise Unauthenticated("client id or secret is wrong")
    return found
