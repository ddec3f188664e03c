"""`cellkey db`: the schema of the database that the settings name."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from sqlalchemy import Engine, make_url
from sqlalchemy.exc import OperationalError

from backend.cli.context import answer, json_option, settings_from_environment
from backend.database import make_engine
from backend.errors import DatabaseOutdated
from backend.model import schema
from backend.model.version import check_version, current_version, newest_version


@click.group()
def db() -> None:
    """Bring the database to this version, or say where it stands."""


@db.command()
@json_option
def upgrade(*, as_json: bool) -> None:
    """Bring the database to the newest version; make it if there is none."""
    url = make_url(settings_from_environment().database)
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _engine() as engine:
        version = schema.upgrade(engine)
    answer({"version": version}, f"The database is at version {version}.", as_json=as_json)


@db.command()
@json_option
def current(*, as_json: bool) -> None:
    """Name the database's version and the newest one."""
    with _engine() as engine, engine.connect() as connection:
        there, newest = current_version(connection), newest_version()
    answer(
        {"version": there, "newest": newest},
        f"The database is at version {there or 'none'}; the newest is {newest}.",
        as_json=as_json,
    )


@db.command()
@json_option
def check(*, as_json: bool) -> None:
    """Compare the database with this program; exit code 1 when they differ."""
    with _engine() as engine, engine.connect() as connection:
        check_version(connection)
        found = schema.differences(connection)
    if found:
        raise DatabaseOutdated("the database differs from this program: " + "; ".join(found))
    answer({"differences": []}, "The database fits this program.", as_json=as_json)


@contextmanager
def _engine() -> Iterator[Engine]:
    """Give the settings' engine; a database that does not answer is one line.

    Raises:
        click.ClickException: it does not answer.
    """
    engine = make_engine(settings_from_environment().database)
    try:
        yield engine
    except OperationalError as error:
        raise click.ClickException(f"the database does not answer: {error.orig}") from error
    finally:
        engine.dispose()
