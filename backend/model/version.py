"""The schema's version: what it is and what it should be.

Whoever needs the tables refuses a database that is not at the newest version, rather than meet a
missing column later. Alembic is not loaded for that: every process asks at its start, and after a
crash somebody waits for it.
"""

import re
from functools import cache
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from backend.errors import DatabaseOutdated

MIGRATIONS: Final = Path(__file__).resolve().parents[2] / "migrations"

_NAMES: Final = re.compile(r'^(revision|down_revision) = "(\w+)"$', re.MULTILINE)


@cache
def newest_version() -> str:
    """Give the version that this code is written for: the migration that none goes on from."""
    files = (path.read_text("utf-8") for path in (MIGRATIONS / "versions").glob("*.py"))
    named = [_NAMES.findall(file) for file in files]
    made = {version for names in named for name, version in names if name == "revision"}
    left = {version for names in named for name, version in names if name == "down_revision"}
    return ",".join(sorted(made - left))


def current_version(connection: Connection) -> str | None:
    """Give the version of the database; ``None`` before the first upgrade."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


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
