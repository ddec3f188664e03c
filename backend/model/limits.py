"""What slows an initiator down, and whom a signer has stopped. Few rows, written over again."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from backend.model.base import Base


class AskingRate(Base):
    """How far ahead of its rates a relying party is.

    Its requests in shards (``access/turns.py``); its calls and its tokens in a row each, beside
    them (``access/allotments.py``).
    """

    __tablename__ = "asking_rates"

    relying_party_id: Mapped[UUID] = mapped_column(
        ForeignKey("relying_parties.id"), primary_key=True
    )
    shard: Mapped[int] = mapped_column(primary_key=True)
    spent_until: Mapped[int] = mapped_column(BigInteger)
    """Microseconds since 1970: when all that was taken is given back. No index: it changes with
    each request, and the table has a few rows for each relying party."""


class WakePace(Base):
    """Pushes to a signer for a relying party since the last one that led to an approval (T-01)."""

    __tablename__ = "wake_paces"

    signer_id: Mapped[UUID] = mapped_column(ForeignKey("signers.id"), primary_key=True)
    relying_party_id: Mapped[UUID] = mapped_column(
        ForeignKey("relying_parties.id"), primary_key=True
    )
    pushes: Mapped[int]
    transaction_id: Mapped[UUID]
    """What the last of them was for. No reference: its row may be gone."""
    next_at: Mapped[datetime] = mapped_column(index=True)
    """When the next one may be sent."""


class StoppedParty(Base):
    """A signer said "not me": this relying party asks that signer no more (T-01)."""

    __tablename__ = "stopped_parties"

    signer_id: Mapped[UUID] = mapped_column(ForeignKey("signers.id"), primary_key=True)
    relying_party_id: Mapped[UUID] = mapped_column(
        ForeignKey("relying_parties.id"), primary_key=True
    )
    stopped_at: Mapped[datetime]
