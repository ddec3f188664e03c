"""The schema's version: what it is, what it should be, and the way there.

Rules: an upgrade is one transaction and only one runs at a time; whoever needs the tables refuses a
database that is not at the newest version, rather than meet a missing column later.
"""

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from backend.errors import DatabaseOutdated
from backend.model import tables

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"

_UPGRADE_LOCK = 0x63656C6C
"""Number of PostgreSQL's advisory lock for upgrades. SQLite locks the whole database anyway."""


def newest_version() -> str:
    """Give the version that this code is written for."""
    heads = ScriptDirectory(str(MIGRATIONS)).get_heads()
    return ",".join(heads)


def current_version(connection: Connection) -> str | None:
    """Give the version of the database; ``None`` before the first upgrade."""
    return MigrationContext.configure(connection).get_current_revision()


def check_version(connection: Connection) -> None:
    """Refuse a database of another version than this code's.

    Raises:
        DatabaseOutdated: it is older or newer.
    """
    current, newest = current_version(connection), newest_version()
    if current != newest:
        raise DatabaseOutdated(
            f"the database is at version {current or 'none'}, this program needs {newest}; "
            "run `cellkey db upgrade`"
        )


def upgrade(engine: Engine) -> str:
    """Bring the database to the newest version and name it; does nothing if it is there."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _UPGRADE_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return newest_version()


def differences(connection: Connection) -> tuple[str, ...]:
    """Say where the database differs from the tables in the code; empty is well.

    CHECK constraints are not compared: Alembic does not see them, a test inserts forbidden rows.
    """
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return tuple(str(found) for found in compare_metadata(context, tables.Signer.metadata))
