"""Asks, answers and signatures: the life of a transaction and its evidence."""

from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
    literal_column,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from backend.model.base import Base, Waitable, one_of


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


FURTHER: Final = "further"
"""``kind`` of the row, where a paired phone has to approve an ask to enrol; phones see ``enrol``.

An ask to enrol by an envelope is shown to no paired phone.
"""


CERTIFICATE_REQUEST: Final[ColumnElement[str]] = literal_column("'certificate_request'", String)
"""``kind`` of the row, in words of SQL: so a partial index is found that a parameter would hide."""


class Transaction(Waitable, Base):
    """One ask and how far it is. ``state`` is a convenience; evidence decides."""

    __tablename__ = "transactions"
    __table_args__ = (
        one_of("state", TransactionState),
        CheckConstraint("use_by >= expires_at", name="use_by"),
        Index("ix_transactions_cell_id_state", "cell_id", "state"),
        Index(
            "ix_transactions_certificate_requests",
            "cell_id",
            sqlite_where=text("kind = 'certificate_request'"),
            postgresql_where=text("kind = 'certificate_request'"),
        ),
        Index(
            "ix_transactions_open",
            "expires_at",
            sqlite_where=text("state IN ('pending', 'approved')"),
            postgresql_where=text("state IN ('pending', 'approved')"),
        ),
        Index(
            "uq_transactions_slot",
            "signer_id",
            "relying_party_id",
            "slot",
            unique=True,
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    """The ask's ``jti``."""
    kind: Mapped[str]
    """The ask's, or ``FURTHER``."""
    cell_id: Mapped[UUID] = mapped_column(ForeignKey("cells.id"))
    signer_id: Mapped[UUID] = mapped_column(ForeignKey("signers.id"))
    relying_party_id: Mapped[UUID | None] = mapped_column(ForeignKey("relying_parties.id"))
    epoch: Mapped[int]
    state: Mapped[str]
    ask: Mapped[str]
    tx_hash: Mapped[bytes] = mapped_column(unique=True)
    hash_alg: Mapped[str | None]
    slot: Mapped[int | None]
    """Its place among what one relying party asks one signer at a time, free once answered."""
    number: Mapped[str | None]
    """Two digits for the other screen, where the ask wants them; told to no phone, nor by CSC."""
    handle_hash: Mapped[bytes | None] = mapped_column(unique=True)
    csc_sad_hash: Mapped[bytes | None] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    use_by: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    seen_at: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]
    method: Mapped[str | None]
    """How the signer approved: ``app``, or by password and a code, which is the service's word."""
    sms_due_at: Mapped[datetime | None]
    """When its last SMS was, or will be, due; without one there is no way by SMS."""
    sms_valid_until: Mapped[datetime | None]
    """Until then the code is good, as that SMS says."""
    sms_asked: Mapped[int] = mapped_column(server_default="0")
    """How often the signer let it be sent (T-14)."""
    code_tries: Mapped[int] = mapped_column(server_default="0")
    """Codes that were typed; each is counted before it is checked (T-15)."""
    ended_because: Mapped[str | None]
    document_count: Mapped[int] = mapped_column(server_default="0")
    signed_count: Mapped[int] = mapped_column(server_default="0")
    """So many of its documents have their signature."""
    reserved_until: Mapped[datetime | None]
    """The lease of who collects now (``reserved_by``)."""
    reserved_by: Mapped[UUID | None]


class AuthorisedHash(Base):
    """One item of an ask's list.

    It is added by the statement that adds its transaction, and stands for nothing without one: no
    foreign key says so, for a batch has 10 000 and each would cost 5 us.
    """

    __tablename__ = "authorised_hashes"
    __table_args__ = (UniqueConstraint("transaction_id", "hash"),)

    transaction_id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    item: Mapped[str]
    """The exact JSON text; the leaf of the ask's tree."""
    hash: Mapped[bytes]


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
    """What left the HSM: at most one for an authorised hash, none without receipt and approval.

    The receipt is of the same transaction and has its approval: one key of two columns says both.
    Each further one would cost as much as the whole row without them.
    """

    __tablename__ = "signatures"
    __table_args__ = (
        ForeignKeyConstraint(
            ["transaction_id", "position"],
            ["authorised_hashes.transaction_id", "authorised_hashes.position"],
        ),
        ForeignKeyConstraint(
            ["transaction_id", "receipt_id"], ["receipts.transaction_id", "receipts.id"]
        ),
    )

    transaction_id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    signature: Mapped[bytes] = mapped_column(LargeBinary)
    receipt_id: Mapped[UUID]


class Receipt(Base):
    """The SAM's word of what it signed in one call (``cell-receipt+jwt``)."""

    __tablename__ = "receipts"
    __table_args__ = (UniqueConstraint("transaction_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    transaction_id: Mapped[UUID] = mapped_column(ForeignKey("approvals.transaction_id"))
    receipt: Mapped[str]
    signed_at: Mapped[datetime]
