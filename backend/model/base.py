"""The declarative base and the column types all tables share."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import ClassVar, final
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, Dialect, FetchedValue, MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


@final
class Instant(TypeDecorator[datetime]):
    """A UTC instant. SQLite forgets the zone; this gives it back and refuses naive values."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002  # SQLAlchemy's signature
    ) -> datetime | None:
        """Refuse a time without a zone before it is stored."""
        if value is not None and value.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        return value if value is None else value.astimezone(UTC)

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002  # SQLAlchemy's signature
    ) -> datetime | None:
        """Give back UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Base of all tables. Names of constraints are fixed, so that migrations can name them."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map: ClassVar = {datetime: Instant}


class Waitable:
    """A row that somebody may wait for."""

    __mapper_args__: ClassVar = {"eager_defaults": False}  # SQLite's trigger comes after RETURNING

    wait_id: Mapped[UUID] = mapped_column(server_default=FetchedValue())
    """Random, made by the database: all that ``cellkey wait`` knows. No query looks for it."""


def one_of(column: str, states: type[StrEnum]) -> CheckConstraint:
    """Say in the schema that a column holds one of an enumeration's values."""
    values = ", ".join(f"'{state.value}'" for state in states)
    return CheckConstraint(f"{column} IN ({values})", name=column)
