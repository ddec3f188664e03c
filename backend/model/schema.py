"""The way to the newest version of the schema: an upgrade is one transaction, one at a time."""

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, text

from backend.model import tables
from backend.model.version import MIGRATIONS, newest_version

_UPGRADE_LOCK = 0x63656C6C
"""Number of PostgreSQL's advisory lock for upgrades. SQLite locks the whole database anyway."""


def upgrade(engine: Engine) -> str:
    """Bring the database to the newest version and name it; does nothing if it is there."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            # An upgrade beside this one may take longer than anybody else waits for a lock.
            connection.execute(text("SET LOCAL lock_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _UPGRADE_LOCK})
            connection.execute(text("SET LOCAL lock_timeout TO DEFAULT"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return newest_version()


def differences(connection: Connection) -> tuple[str, ...]:
    """Say where the database differs from the tables in the code; empty is well.

    CHECK constraints are not compared: Alembic does not see them, a test inserts forbidden rows.
    """
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return tuple(str(found) for found in compare_metadata(context, tables.Signer.metadata))
