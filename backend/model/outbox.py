"""What is to be sent, what became of a text's parts, and how many were sent in a day."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, false, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.model.base import Base


class OutboxMessage(Base):
    """A message to send, written in the commit that gives it its reason (transactional outbox)."""

    __tablename__ = "outbox"
    __table_args__ = (
        CheckConstraint("channel IN ('push', 'sms', 'webhook')", name="channel"),
        CheckConstraint(
            "(channel = 'webhook') = (event IS NOT NULL AND relying_party_id IS NOT NULL"
            " AND happened_at IS NOT NULL)",
            name="event",
        ),
        Index(
            "ix_outbox_due",
            "due_at",
            sqlite_where=text("sent_at IS NULL AND dead_at IS NULL"),
            postgresql_where=text("sent_at IS NULL AND dead_at IS NULL"),
        ),
        Index(
            "ix_outbox_dead_webhooks",
            "dead_at",
            sqlite_where=text("channel = 'webhook' AND dead_at IS NOT NULL"),
            postgresql_where=text("channel = 'webhook' AND dead_at IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    transaction_id: Mapped[UUID] = mapped_column(ForeignKey("transactions.id"), index=True)
    channel: Mapped[str]
    kid: Mapped[bytes | None]
    """Push: the phone to wake."""
    sealed_sms: Mapped[str | None]
    """SMS: {number, text}, sealed by the SAM to the worker."""
    relying_party_id: Mapped[UUID | None] = mapped_column(ForeignKey("relying_parties.id"))
    """Webhook: whom to tell."""
    event: Mapped[str | None]
    """Webhook: ``approved``, ``refused``, ``expired`` or ``frozen``."""
    happened_at: Mapped[datetime | None]
    """Webhook: when. It stays, while ``due_at`` moves with each attempt."""
    is_counted: Mapped[bool] = mapped_column(server_default=false())
    """SMS: it has its place in the budgets, and is not known to have used it."""
    attempts: Mapped[int]
    due_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    """Afterwards it is not sent: with the transaction, or a day after it."""
    lease_until: Mapped[datetime | None]
    leased_by: Mapped[UUID | None]
    sent_at: Mapped[datetime | None]
    dead_at: Mapped[datetime | None]
    last_error: Mapped[str | None]


class SmsPart(Base):
    """A part of a text of which a report may come. It is written before the text is sent."""

    __tablename__ = "sms_parts"
    __table_args__ = (CheckConstraint("state IN ('delivered', 'failed')", name="state"),)

    message_id: Mapped[UUID] = mapped_column(ForeignKey("outbox.id"), primary_key=True)
    part: Mapped[int] = mapped_column(primary_key=True)
    """From 1."""
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    """Of the token in the address at which an HTTP gateway reports."""
    reference: Mapped[str | None] = mapped_column(index=True)
    """What an SMS centre calls it (``message_id`` of SMPP)."""
    state: Mapped[str | None]
    reason: Mapped[str | None]
    reported_at: Mapped[datetime | None]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    """Then nobody waits for a report any more."""


class SmsBudget(Base):
    """How many parts were sent in a day to, or for, something that has a budget (T-14)."""

    __tablename__ = "sms_budgets"

    day: Mapped[date] = mapped_column(primary_key=True)
    """UTC."""
    payer: Mapped[str] = mapped_column(primary_key=True)
    """Whose budget; of numbers an HMAC (``delivery/sms_budgets.py``)."""
    parts: Mapped[int]
