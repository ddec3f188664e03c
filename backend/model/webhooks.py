"""Where relying parties are told what became of their transactions."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from backend.model.base import Base


class Webhook(Base):
    """A relying party's address, and the secrets that sign what is sent there.

    A trigger of the migration adds a message to the outbox for each of these relying parties'
    transactions that moves: in the statement that moves it, whoever does.
    """

    __tablename__ = "webhooks"

    relying_party_id: Mapped[UUID] = mapped_column(
        ForeignKey("relying_parties.id"), primary_key=True
    )
    url: Mapped[str]
    secret: Mapped[str]
    """Sealed to the worker's key: whoever reads the database signs nothing."""
    secret_before: Mapped[str | None]
    """What the newest replaced; signs beside it for a while."""
    replaced_at: Mapped[datetime | None]
