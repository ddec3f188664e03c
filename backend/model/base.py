"""The declarative base and the column types all tables share."""

from datetime import UTC, datetime
from typing import ClassVar, final

from sqlalchemy import DateTime, Dialect, LargeBinary, MetaData, String, Uuid
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator, TypeEngine
from uuid import UUID

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

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a time without a zone before it is stored."""
        if value is not None and value.tzinfo is None:
            msg = "an instant needs a time zone"
            raise ValueError(msg)
        return value if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give back UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Base of all tables. Names of constraints are fixed, so that migrations can name them."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map: ClassVar[dict[type, TypeEngine[object] | type[TypeEngine[object]]]] = {
        datetime: Instant,  # type: ignore[dict-item]  # a TypeDecorator is a TypeEngine at run time
        UUID: Uuid,  # type: ignore[dict-item]
        bytes: LargeBinary,  # type: ignore[dict-item]
        str: String,  # type: ignore[dict-item]
    }
