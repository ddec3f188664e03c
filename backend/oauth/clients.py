"""Relying parties as Authlib knows clients: an id, a secret of 256 random bits, one grant and scope."""

import hmac
from typing import Final, final
from uuid import UUID

from authlib.oauth2.rfc6749 import ClientMixin
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.access.tokens import SCOPE
from backend.model.tables import RelyingParty
from backend.protocol.encoding import sha256

GRANT: Final = "client_credentials"
METHODS: Final = ("client_secret_basic", "client_secret_post")
LONGEST_CLIENT_ID: Final = 200
NOBODYS_SECRET: Final = bytes(32)
"""Compared with where there is no such client, so that both cases do the same work (T-17)."""


@final
class Client(ClientMixin):  # type: ignore[misc]  # Authlib has no types
    """A relying party, or nobody: nobody has no secret that is right."""

    def __init__(self, *, relying_party: UUID | None, client_id: str, secret_hash: bytes) -> None:
        """Keep what it is known by."""
        self.relying_party = relying_party
        self.client_id = client_id
        self._secret_hash = secret_hash

    def check_client_secret(self, client_secret: str) -> bool:
        """Compare in constant time."""
        given = bytes(sha256(client_secret.encode("utf-8", "replace")))
        return hmac.compare_digest(given, self._secret_hash) and self.relying_party is not None

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """RFC 6749, 2.3.1, both forms."""
        return method in METHODS and endpoint == "token"

    def check_grant_type(self, grant_type: str) -> bool:
        """Only its own credentials."""
        return grant_type == GRANT

    def get_allowed_scope(self, scope: str | None) -> str:
        """``service``: a relying party alone authorises no credential (CSC-37)."""
        return SCOPE if not scope or scope == SCOPE else ""


def find_client(session: Session, client_id: str) -> Client:
    """Find a relying party that is not disabled."""
    found = None
    if len(client_id) <= LONGEST_CLIENT_ID:
        found = session.execute(
            select(RelyingParty.id, RelyingParty.secret_hash).where(
                RelyingParty.client_id == client_id, RelyingParty.disabled_at.is_(None)
            )
        ).one_or_none()
    if found is None:
        return Client(relying_party=None, client_id=client_id, secret_hash=NOBODYS_SECRET)
    return Client(relying_party=found.id, client_id=client_id, secret_hash=found.secret_hash)
