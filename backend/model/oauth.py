"""What OAuth remembers: authorisations, browsers' sessions, refresh tokens, ids that count once.

Of every secret only the SHA-256 is kept: whoever reads these rows can go on with nothing.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from backend.model.base import Base


class Authorization(Base):
    """One request for an authorisation, from where it is pushed or opened to its tokens.

    It is also the family of these tokens: what follows from it ends with it.
    """

    __tablename__ = "authorizations"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    relying_party_id: Mapped[UUID] = mapped_column(ForeignKey("relying_parties.id"))
    request: Mapped[str]
    """What was asked, checked: JSON of ``backend.oauth.request.AuthorizationRequest``."""
    request_uri_hash: Mapped[bytes | None] = mapped_column(unique=True)
    """Until the pushed request is opened, once (RFC 9126)."""
    signer_id: Mapped[UUID | None] = mapped_column(ForeignKey("signers.id"), index=True)
    """Who signed in."""
    transaction_id: Mapped[UUID | None] = mapped_column(ForeignKey("transactions.id"), unique=True)
    """Scope ``credential``: what the signer was asked."""
    code_hash: Mapped[bytes | None] = mapped_column(unique=True)
    code_expires_at: Mapped[datetime | None]
    code_used_at: Mapped[datetime | None]
    """A code that comes again after this ends the family (RFC 6749, 4.1.2)."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    """From then on nothing of it counts, and it is deleted."""


class BrowserSession(Base):
    """A browser in which one authorisation goes on, by the SHA-256 of its cookie."""

    __tablename__ = "browser_sessions"

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    authorization_id: Mapped[UUID] = mapped_column(ForeignKey("authorizations.id"), index=True)
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class KnownBrowser(Base):
    """A browser in which a signer has signed in, by the SHA-256 of its cookie (T-21)."""

    __tablename__ = "known_browsers"

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    signer_id: Mapped[UUID] = mapped_column(ForeignKey("signers.id"), primary_key=True, index=True)
    tries: Mapped[int] = mapped_column(default=0)
    """Tries there since the last right password; each is counted before it is checked (T-16)."""
    tried_at: Mapped[datetime | None]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    """From then on it is as unknown as any."""


class RefreshToken(Base):
    """Good for one new pair of tokens; what comes a second time ends the family (RFC 9700)."""

    __tablename__ = "refresh_tokens"

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    authorization_id: Mapped[UUID] = mapped_column(ForeignKey("authorizations.id"), index=True)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class UsedId(Base):
    """The ``jti`` of a message that counts once, by SHA-256; kept while it could be accepted."""

    __tablename__ = "used_ids"

    id_hash: Mapped[bytes] = mapped_column(primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
