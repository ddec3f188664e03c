"""How a signer loosens a cell's policy: what waits for the phone's approval, and sealed seeds."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from backend.model.base import Base


class Amendment(Base):
    """What becomes of the rows once the signer has approved an ask of kind ``amend``."""

    __tablename__ = "amendments"

    transaction_id: Mapped[UUID] = mapped_column(ForeignKey("transactions.id"), primary_key=True)
    lock: Mapped[str]
    """The password lock as it will be: of purpose ``sign``."""
    replaces: Mapped[bytes]
    """SHA-256 of the lock that it was made from: a password changed meanwhile ends it."""


class TotpSeed(Base):
    """The seed of an app that goes by time, sealed by the SAM; a record says which one counts."""

    __tablename__ = "totp_seeds"

    seed_hash: Mapped[bytes] = mapped_column(primary_key=True)
    """SHA-256 of ``sealed``, as the record's ``totp``."""
    cell_id: Mapped[UUID] = mapped_column(ForeignKey("cells.id"), index=True)
    sealed: Mapped[str]
    tries: Mapped[int] = mapped_column(default=0)
    """First codes that were typed to confirm it."""
    used_step: Mapped[int | None]
    """Step of the last code that was accepted; it and every one before it is used up."""
    created_at: Mapped[datetime]


class HotpSeed(Base):
    """The seed of an app that counts its codes, likewise; how far it has, the record says alone."""

    __tablename__ = "hotp_seeds"

    seed_hash: Mapped[bytes] = mapped_column(primary_key=True)
    """SHA-256 of ``sealed``, as the record's ``hotp.seed``."""
    cell_id: Mapped[UUID] = mapped_column(ForeignKey("cells.id"), index=True)
    sealed: Mapped[str]
    tries: Mapped[int] = mapped_column(default=0)
    """First codes that were typed to confirm it."""
    created_at: Mapped[datetime]


SeedRow = type[TotpSeed] | type[HotpSeed]
SEED_ROWS: Final[Mapping[str, SeedRow]] = MappingProxyType(
    {"password+totp": TotpSeed, "password+hotp": HotpSeed}
)
"""Where the seeds of a method are."""
