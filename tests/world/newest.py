"""A database file at the newest version; all migrations run once a process."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from backend.model import schema
from backend.wiring import make_engine


@cache
def newest_sqlite() -> bytes:
    """What such a file holds, without a row in any table."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "cellkey.sqlite3")
        engine = make_engine(f"sqlite:///{path}")
        schema.upgrade(engine)
        engine.dispose()
        return path.read_bytes()
