"""Relying parties as Authlib knows clients, and how they prove who they are (RFC 6749, 2.3.1)."""

from typing import Final, final
from urllib.parse import unquote_plus
from uuid import UUID

from authlib.oauth2.rfc6749 import ClientMixin
from flask import request

from backend.access.relying_parties import relying_party_by_secret
from backend.access.tokens import SCOPE
from backend.errors import Unauthenticated
from backend.oauth.uses import OauthUses

GRANT: Final = "client_credentials"
METHODS: Final = ("client_secret_basic", "client_secret_post")


@final
class Client(ClientMixin):  # type: ignore[misc]  # Authlib has no types
    """A relying party that knew its secret: one grant, one scope, every endpoint."""

    def __init__(self, relying_party: UUID) -> None:
        """Keep who it is."""
        self.relying_party = relying_party

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:  # noqa: ARG002  # Authlib's signature
        """Both ways, everywhere."""
        return method in METHODS

    def check_grant_type(self, grant_type: str) -> bool:
        """Only its own credentials."""
        return grant_type == GRANT

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """``service``; a relying party alone authorises no credential (CSC-37)."""
        return SCOPE if scope in {None, "", SCOPE} else None


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
    if "client_id" not in form:
        return None
    return _client(uses, form["client_id"], form.get("client_secret", ""))


def _client(uses: OauthUses, unverified_id: str, unverified_secret: str) -> Client | None:
    try:
        with uses.doorman.watching(request.remote_addr, unverified_id, now=uses.clock()):
            return Client(_prove(uses, unverified_id, unverified_secret))
    except Unauthenticated:
        return None


def _prove(uses: OauthUses, unverified_id: str, unverified_secret: str) -> UUID:
    found = relying_party_by_secret(
        uses.session(), unverified_client_id=unverified_id, unverified_secret=unverified_secret
    )
    if found is None:
        raise Unauthenticated("client id or secret is wrong")
    return found
