"""The tables. Rows are a memory, not an authority: no decision to sign trusts any of them.

What the SAM believes comes in signed messages (asks, approvals, records), which these rows only
keep; the constraints here repeat the invariants for whoever writes a wrong query.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from backend.model.base import Base


class TransactionState(StrEnum):
    """``pending → approved → redeemed``, or one of the other ends; forward only."""

    PENDING = "pending"
    APPROVED = "approved"
    REDEEMED = "redeemed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    FAILED = "failed"


MOVES: dict[TransactionState, frozenset[TransactionState]] = {
    TransactionState.PENDING: frozenset(
        {
            TransactionState.APPROVED,
            TransactionState.REJECTED,
            TransactionState.EXPIRED,
            TransactionState.CANCELLED,
            TransactionState.FAILED,
        }
    ),
    TransactionState.APPROVED: frozenset(
        {
            TransactionState.REDEEMED,
            TransactionState.REJECTED,
            TransactionState.EXPIRED,
            TransactionState.CANCELLED,
            TransactionState.FAILED,
        }
    ),
}
"""The moves that are allowed; what is not named here is an end."""


class PairingState(StrEnum):
    """``printed → enrolled → confirmed``, or ``frozen`` when another phone's keys came first."""

    PRINTED = "printed"
    ENROLLED = "enrolled"
    CONFIRMED = "confirmed"
    FROZEN = "frozen"


def _one_of(column: str, states: type[StrEnum]) -> CheckConstraint:
    """Say in the schema that a column holds one of an enumeration's values."""
    values = ", ".join(f"'{state.value}'" for state in states)
    return CheckConstraint(f"{column} IN ({values})", name=column)


# --- who ----------------------------------------------------------------------


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


# --- cells --------------------------------------------------------------------


class Cell(Base):
    """A signer's key: wrapped by the HSM, encrypted again under the cell's secret."""

    __tablename__ = "cells"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    signer_id: Mapped[UUID] = mapped_column(ForeignKey("signers.id"), index=True)
    algorithm: Mapped[str]
    spki: Mapped[bytes]
    blob: Mapped[bytes]
    epoch: Mapped[int]
    """Newest epoch; the row (cell, epoch) of ``records`` is the record."""
    certificate: Mapped[bytes | None]
    certificate_expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class Record(Base):
    """Everything the SAM ever said of a cell, an epoch a row (``cell-record+jwt``)."""

    __tablename__ = "records"

    cell_id: Mapped[UUID] = mapped_column(ForeignKey("cells.id"), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    record: Mapped[str]
    created_at: Mapped[datetime]


class Lock(Base):
    """One way to the cell's secret. ``key_id``: pairing id, kid, signer id, or empty."""

    __tablename__ = "locks"
    __table_args__ = (
        CheckConstraint("kind IN ('envelope', 'device', 'password', 'recovery')", name="kind"),
    )

    cell_id: Mapped[UUID] = mapped_column(ForeignKey("cells.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    key_id: Mapped[bytes] = mapped_column(primary_key=True)
    lock: Mapped[str]
    created_at: Mapped[datetime]


# --- phones -------------------------------------------------------------------


class Pairing(Base):
    """An envelope and what became of it. ``id`` is derived from the secret in QR 2."""

    __tablename__ = "pairings"
    __table_args__ = (_one_of("state", PairingState),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    cell_id: Mapped[UUID] = mapped_column(ForeignKey("cells.id"), index=True)
    signer_id: Mapped[UUID] = mapped_column(ForeignKey("signers.id"), index=True)
    printed_by: Mapped[str]
    printed_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    state: Mapped[str]
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


# --- transactions -------------------------------------------------------------


class Transaction(Base):
    """One ask and how far it is. ``state`` is a convenience; evidence decides."""

    __tablename__ = "transactions"
    __table_args__ = (
        _one_of("state", TransactionState),
        CheckConstraint("use_by >= expires_at", name="use_by"),
        Index("ix_transactions_cell_id_state", "cell_id", "state"),
        Index(
            "ix_transactions_open",
            "expires_at",
            sqlite_where=text("state IN ('pending', 'approved')"),
            postgresql_where=text("state IN ('pending', 'approved')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    """The ask's ``jti``."""
    kind: Mapped[str]
    cell_id: Mapped[UUID] = mapped_column(ForeignKey("cells.id"))
    signer_id: Mapped[UUID] = mapped_column(ForeignKey("signers.id"))
    relying_party_id: Mapped[UUID | None] = mapped_column(ForeignKey("relying_parties.id"))
    epoch: Mapped[int]
    state: Mapped[str]
    ask: Mapped[str]
    tx_hash: Mapped[bytes] = mapped_column(unique=True)
    hash_alg: Mapped[str | None]
    handle_hash: Mapped[bytes | None] = mapped_column(unique=True)
    csc_sad_hash: Mapped[bytes | None] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    use_by: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    seen_at: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]
    ended_because: Mapped[str | None]


class AuthorisedHash(Base):
    """One item of an ask's list. ``reserved_until`` is the lease of who signs it now."""

    __tablename__ = "authorised_hashes"
    __table_args__ = (UniqueConstraint("transaction_id", "hash"),)

    transaction_id: Mapped[UUID] = mapped_column(ForeignKey("transactions.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    item: Mapped[str]
    """The exact JSON text; the leaf of the ask's tree."""
    hash: Mapped[bytes]
    reserved_until: Mapped[datetime | None]
    reserved_by: Mapped[UUID | None]


class Approval(Base):
    """Evidence: what the phone signed. ``sealed`` is erased with the last signature."""

    __tablename__ = "approvals"

    transaction_id: Mapped[UUID] = mapped_column(ForeignKey("transactions.id"), primary_key=True)
    approval: Mapped[str]
    sealed: Mapped[str | None]
    kid: Mapped[bytes]
    received_at: Mapped[datetime]


class Refusal(Base):
    """Evidence: the phone's no."""

    __tablename__ = "refusals"

    transaction_id: Mapped[UUID] = mapped_column(ForeignKey("transactions.id"), primary_key=True)
    refusal: Mapped[str]
    received_at: Mapped[datetime]


class Signature(Base):
    """What left the HSM: at most one for an authorised hash, none without an approval."""

    __tablename__ = "signatures"
    __table_args__ = (
        ForeignKeyConstraint(
            ["transaction_id", "position"],
            ["authorised_hashes.transaction_id", "authorised_hashes.position"],
        ),
        Index("ix_signatures_receipt_id", "receipt_id"),
    )

    transaction_id: Mapped[UUID] = mapped_column(
        ForeignKey("approvals.transaction_id"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True)
    signature: Mapped[bytes] = mapped_column(LargeBinary)
    receipt_id: Mapped[UUID] = mapped_column(ForeignKey("receipts.id"))
    signed_at: Mapped[datetime]


class Receipt(Base):
    """The SAM's word of what it signed (``cell-receipt+jwt``)."""

    __tablename__ = "receipts"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    transaction_id: Mapped[UUID] = mapped_column(ForeignKey("transactions.id"), index=True)
    receipt: Mapped[str]


# --- delivery -----------------------------------------------------------------


class OutboxMessage(Base):
    """A message to send, written in the commit that gives it its reason (transactional outbox)."""

    __tablename__ = "outbox"
    __table_args__ = (
        CheckConstraint("channel IN ('push', 'sms')", name="channel"),
        Index(
            "ix_outbox_due",
            "due_at",
            sqlite_where=text("sent_at IS NULL AND dead_at IS NULL"),
            postgresql_where=text("sent_at IS NULL AND dead_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    transaction_id: Mapped[UUID] = mapped_column(ForeignKey("transactions.id"), index=True)
    channel: Mapped[str]
    kid: Mapped[bytes | None]
    """Push: the phone to wake."""
    sealed_sms: Mapped[str | None]
    """SMS: {number, text}, sealed by the SAM to the worker."""
    attempts: Mapped[int]
    due_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    """With the transaction; afterwards it is not sent."""
    lease_until: Mapped[datetime | None]
    leased_by: Mapped[UUID | None]
    sent_at: Mapped[datetime | None]
    dead_at: Mapped[datetime | None]
    last_error: Mapped[str | None]
