"""Run by Alembic: for `cellkey db` on the connection it is given, for developers on the settings'.

Rules: migrations go forward only (the way back is a backup: evidence is not dropped), and they name
SQL's types, never the code's, which change after them. SQLite changes a table by building it anew.
"""

import os
from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection

from backend.model import tables
from backend.model.base import Instant
from backend.settings import read_settings
from backend.wiring import make_engine


def render_item(kind: str, item: object, _context: AutogenContext) -> str | Literal[False]:
    """Write our column type as the one that the database has."""
    if kind == "type" and isinstance(item, Instant):
        return "sa.DateTime(timezone=True)"
    return False


def migrate(connection: Connection) -> None:
    """Run what is asked for on this connection."""
    context.configure(
        connection=connection,
        target_metadata=tables.Signer.metadata,
        render_as_batch=True,
        render_item=render_item,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if isinstance(given, Connection):
    migrate(given)
else:
    with make_engine(read_settings(os.environ).database).begin() as own:
        migrate(own)
