"""Signers' keys: cells, what the SAM said of them, and the locks that keep their secrets."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.model.base import Base, Waitable


class Cell(Waitable, Base):
    """A signer's key: wrapped by the HSM, encrypted again under the cell's secret."""

    __tablename__ = "cells"
    __table_args__ = (
        Index(
            "ix_cells_uncertified",
            "created_at",
            sqlite_where=text("certificate IS NULL"),
            postgresql_where=text("certificate IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    signer_id: Mapped[UUID] = mapped_column(ForeignKey("signers.id"), index=True)
    algorithm: Mapped[str]
    spki: Mapped[bytes]
    blob: Mapped[bytes]
    epoch: Mapped[int]
    """Newest epoch; the row (cell, epoch) of ``records`` is the record."""
    methods: Mapped[str] = mapped_column(server_default="app")
    """How the record lets its signer approve, words with spaces between; a view, nothing more."""
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
