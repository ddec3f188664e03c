"""Who signs, and who asks: signers, their freezes, relying parties."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, false, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.model.base import Base


class Signer(Base):
    """A person whose keys we keep; registered by an operator."""

    __tablename__ = "signers"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    login: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    """Registered name as people write it."""
    subject: Mapped[bytes]
    """Registered name as DER Name (RFC 5280); its SHA-256 stands in every record."""
    number: Mapped[str | None]
    """Verified phone number, E.164. The record holds its HMAC: another one here is refused."""
    lang: Mapped[str]
    zone: Mapped[str]
    """By whose clock moments are told to the signer: a time zone by its IANA name."""
    password_salt: Mapped[bytes]
    password_verifier: Mapped[bytes | None]
    password_change_due: Mapped[bool]
    """The first password, from the envelope, opens nothing but its own change."""
    password_tries: Mapped[int] = mapped_column(default=0)
    """Tries since the last right password; each is counted before it is checked (T-16)."""
    password_tried_at: Mapped[datetime | None]
    code_tries: Mapped[int] = mapped_column(server_default="0")
    """Wrong codes in the day that began at ``code_tries_since`` (T-15)."""
    code_tries_since: Mapped[datetime | None]
    registered_by: Mapped[str]
    registered_at: Mapped[datetime]


class Freeze(Base):
    """An access lock: stops everything of a signer at once, in flight too."""

    __tablename__ = "freezes"
    __table_args__ = (
        Index(
            "ix_freezes_active",
            "signer_id",
            sqlite_where=text("lifted_at IS NULL"),
            postgresql_where=text("lifted_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    signer_id: Mapped[UUID] = mapped_column(ForeignKey("signers.id"))
    frozen_at: Mapped[datetime]
    frozen_by: Mapped[str]
    """``phone``, ``password`` (on our page), or the operator's name."""
    lifted_at: Mapped[datetime | None]
    lifted_by: Mapped[str | None]
    """Both names: lifting takes two people (R-048)."""


class ForgottenPassword(Base):
    """Somebody said to have forgotten a password; a row for any login, known or not (T-17)."""

    __tablename__ = "forgotten_passwords"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    signer_id: Mapped[UUID | None] = mapped_column(ForeignKey("signers.id"), index=True)
    """``None``: nobody has that login."""
    secret_hash: Mapped[bytes]
    """SHA-256 of what only the browser has that began it; stands in the ask, too."""
    number: Mapped[str]
    """Two digits for the page."""
    asked_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    transaction_id: Mapped[UUID | None] = mapped_column(ForeignKey("transactions.id"), unique=True)
    """The ask, once the clerk has made it."""


class RelyingParty(Base):
    """Who may ask for signatures, and by which secret (SHA-256, of 256 random bits) it is known."""

    __tablename__ = "relying_parties"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    client_id: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    secret_hash: Mapped[bytes]
    asks_number: Mapped[bool] = mapped_column(server_default=false())
    """Its asks want the number that our page shows (number matching, T-01)."""
    auth_methods: Mapped[str] = mapped_column(
        server_default="client_secret_basic client_secret_post"
    )
    """How it proves who it is; lists are words with spaces between."""
    grants: Mapped[str] = mapped_column(server_default="client_credentials")
    scopes: Mapped[str] = mapped_column(server_default="service")
    redirect_uris: Mapped[str] = mapped_column(server_default="")
    jwks: Mapped[str | None]
    """Its public keys, for ``private_key_jwt``."""
    certificate: Mapped[bytes | None]
    """SHA-256 of its TLS certificate (DER), for mutual TLS."""
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]


class AccessToken(Base):
    """A relying party's access token, by its SHA-256. Who bears it is told by this row alone."""

    __tablename__ = "access_tokens"

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    relying_party_id: Mapped[UUID] = mapped_column(ForeignKey("relying_parties.id"))
    scope: Mapped[str]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    revoked_at: Mapped[datetime | None]
    signer_id: Mapped[UUID | None] = mapped_column(ForeignKey("signers.id"))
    """Who signed in for it; ``None``: the relying party by itself."""
    credential_id: Mapped[UUID | None] = mapped_column(ForeignKey("cells.id"))
    """Scope ``credential``: the one cell that it is for."""
    authorization_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("authorizations.id"), index=True
    )
    """Its family."""
    bound_to: Mapped[str | None]
    """What its bearer must hold: ``jkt:`` or ``x5t#S256:`` and a thumbprint (RFC 7800)."""
