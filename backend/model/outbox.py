"""What is to be sent."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
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
    attempts: Mapped[int]
    due_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    """Afterwards it is not sent: with the transaction, or a day after it."""
    lease_until: Mapped[datetime | None]
    leased_by: Mapped[UUID | None]
    sent_at: Mapped[datetime | None]
    dead_at: Mapped[datetime | None]
    last_error: Mapped[str | None]
