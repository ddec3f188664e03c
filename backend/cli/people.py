"""What commands about people share: who does it, and the database without a SAM."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy.orm import Session

from backend.cli.context import settings_from_environment
from backend.database import make_engine, make_session_factory
from backend.model.version import check_version
from backend.settings import Settings

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


def warn_of_number(number: str | None, settings: Settings) -> None:
    """Say at the counter, beside the answer, that no text goes to such a number (T-14)."""
    if number is None or not settings.sends_sms or number.startswith(settings.sms_prefixes):
        return
    click.echo(
        f"Warning: no text is sent to {number}: CELLKEY_SMS_PREFIXES is"
        f" {', '.join(settings.sms_prefixes)}. The code for the phone would not arrive.",
        err=True,
    )
