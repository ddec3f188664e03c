"""Tells what changed: takes the words that the triggers wrote down, and notifies who listens.

It is no part of the commit that changes something. PostgreSQL holds one lock for all commits that
notify until each is on the disk: with 16 at once they were ten times slower. Here that lock is
held for a moment, because this commit need not be on the disk: what is lost with it is told again.
"""

import logging
from threading import Event
from typing import Final

from sqlalchemy import Column, Engine, Table, Uuid, text
from sqlalchemy.exc import SQLAlchemyError

from backend.model.base import Base
from backend.model.changes import CHANNEL

log = logging.getLogger(__name__)

EVERY_SECONDS: Final = 0.05
PAUSE_SECONDS: Final = 1.0
"""After a failure."""

changes = Table("changes", Base.metadata, Column("wait_id", Uuid, nullable=False))
"""Wait ids whose change has not been told; in no order."""

_TELL: Final = text(
    f"""
    WITH taken AS (DELETE FROM changes RETURNING wait_id)
    SELECT pg_notify('{CHANNEL}', wait_id::text) FROM (SELECT DISTINCT wait_id FROM taken) AS found
    """  # noqa: S608  # a constant of ours
)


def tell_changes(engine: Engine, *, stop: Event) -> None:
    """Tell until ``stop``; several at once share the work. On SQLite there is nothing to do."""
    if engine.dialect.name != "postgresql":
        stop.wait()
    while not stop.wait(EVERY_SECONDS):
        try:
            tell_once(engine)
        except SQLAlchemyError:
            log.warning("changes are not passed on now", exc_info=True)
            stop.wait(PAUSE_SECONDS)


def tell_once(engine: Engine) -> None:
    """Tell what has not been told."""
    with engine.begin() as connection:
        # For this commit alone: what the pool lends next commits to the disk.
        connection.execute(text("SET LOCAL synchronous_commit = off"))
        connection.execute(_TELL)
