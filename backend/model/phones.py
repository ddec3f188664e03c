"""Envelopes, and the phones that came of them."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, false
from sqlalchemy.orm import Mapped, mapped_column

from backend.model.base import Base, one_of


class PairingState(StrEnum):
    """``printed → enrolled → confirmed``, or ``frozen`` when another phone's keys came first."""

    PRINTED = "printed"
    ENROLLED = "enrolled"
    CONFIRMED = "confirmed"
    FROZEN = "frozen"


class Pairing(Base):
    """An envelope and what became of it. ``id`` is derived from the secret in QR 2."""

    __tablename__ = "pairings"
    __table_args__ = (one_of("state", PairingState),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    cell_id: Mapped[UUID] = mapped_column(ForeignKey("cells.id"), index=True)
    signer_id: Mapped[UUID] = mapped_column(ForeignKey("signers.id"), index=True)
    printed_by: Mapped[str]
    printed_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    state: Mapped[str]
    for_existing: Mapped[bool] = mapped_column(server_default=false())
    """Whether the cell had a phone before: then the envelope has no lock of its own."""
    ticket_hash: Mapped[bytes | None] = mapped_column(unique=True)
    ticket_expires_at: Mapped[datetime | None]
    transaction_id: Mapped[UUID | None] = mapped_column(ForeignKey("transactions.id"))
    """The enrol ask that the ticket belongs to."""
    password_proof: Mapped[str | None]
    codes_sent: Mapped[int] = mapped_column(default=0)
    """Codes sent for this ask (T-14)."""
    code_tries: Mapped[int]
    code_sent_at: Mapped[datetime | None]


class Enrolment(Base):
    """What a new phone sent; the first for an ask stands."""

    __tablename__ = "enrolments"

    transaction_id: Mapped[UUID] = mapped_column(ForeignKey("transactions.id"), primary_key=True)
    pairing_id: Mapped[UUID] = mapped_column(ForeignKey("pairings.id"), index=True)
    enrolment: Mapped[str]
    sealed: Mapped[str | None]
    """Erased when the phone is confirmed: evidence holds no ciphertext of the cell's secret."""
    kid: Mapped[bytes]
    received_at: Mapped[datetime]


class FurtherPhone(Base):
    """A phone that a paired one wants to add, by the thumbprints that it read from its screen."""

    __tablename__ = "further_phones"

    transaction_id: Mapped[UUID] = mapped_column(ForeignKey("transactions.id"), primary_key=True)
    request_kid: Mapped[bytes] = mapped_column(index=True)
    """By its request key the new phone is found."""
    asked_at: Mapped[datetime]
    enrolment: Mapped[str | None]
    """The first for the ask stands."""
    kid: Mapped[bytes | None]
    """Thumbprint of the approval key, once it is a phone of the cell."""
    pin: Mapped[bytes | None]
    """Tells it which KS to believe, once it has opened its lock."""


class Device(Base):
    """A view of the records for look-ups; whoever believes a key reads it from a signed record."""

    __tablename__ = "devices"

    kid: Mapped[bytes] = mapped_column(primary_key=True)
    """Thumbprint of the approval key."""
    cell_id: Mapped[UUID] = mapped_column(ForeignKey("cells.id"), index=True)
    request_kid: Mapped[bytes] = mapped_column(unique=True)
    kind: Mapped[str]
    paired_at: Mapped[datetime]
    removal_asked_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]


class PushSubscription(Base):
    """Where a phone is woken (RFC 8030, RFC 8291); one a phone."""

    __tablename__ = "push_subscriptions"

    kid: Mapped[bytes] = mapped_column(ForeignKey("devices.kid"), primary_key=True)
    endpoint: Mapped[str]
    p256dh: Mapped[str]
    auth: Mapped[str]
    created_at: Mapped[datetime]


class RequestProof(Base):
    """``jti`` of phones' request proofs, until they are too old to be accepted (T-04)."""

    __tablename__ = "request_proofs"

    jti: Mapped[UUID] = mapped_column(primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
