"""What commands about people share: who does it, and the database without a SAM."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy.orm import Session

from backend.cli.context import settings_from_environment
from backend.model.version import check_version
from backend.wiring import make_engine, make_session_factory

operator_option = click.option("--operator", required=True, help="Name of who does this.")


@contextmanager
def people() -> Iterator[Session]:
    """Give a session without a SAM: access can be locked whatever else is down."""
    engine = make_engine(settings_from_environment().database)
    try:
        with engine.connect() as connection:
            check_version(connection)
        with make_session_factory(engine)() as session:
            yield session
    finally:
        engine.dispose()
