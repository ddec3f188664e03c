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
    """``phone``, or the operator's name."""
    lifted_at: Mapped[datetime | None]
    lifted_by: Mapped[str | None]
    """Both names: lifting takes two people (R-048)."""


class RelyingParty(Base):
    """Who may ask for signatures, and by which secret (SHA-256, of 256 random bits) it is known."""

    __tablename__ = "relying_parties"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    client_id: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    secret_hash: Mapped[bytes]
    asks_number: Mapped[bool] = mapped_column(server_default=false())
    """Its asks want the number that our page shows (number matching, T-01)."""
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]


class AccessToken(Base):
    """A relying party's bearer token, by its SHA-256."""

    __tablename__ = "access_tokens"

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    relying_party_id: Mapped[UUID] = mapped_column(ForeignKey("relying_parties.id"))
    scope: Mapped[str]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    revoked_at: Mapped[datetime | None]
