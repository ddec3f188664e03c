"""`cellkey authenticator`: the phone app's files, where a web server serves them itself.

The application is loaded by name: ``backend`` does not know it.
"""

from importlib import import_module
from pathlib import Path
from typing import Final

import click

from backend.cli.context import settings_from_environment

EXPORT: Final = "mobile_api.authenticator.export"


@click.group()
def authenticator() -> None:
    """Group what is done with the app's files."""


@authenticator.command("export")
@click.option("--to", "folder", type=click.Path(path_type=Path, file_okay=False), required=True)
def export(*, folder: Path) -> None:
    """Write the files into a folder, and the headers for nginx beside it."""
    written: Path = import_module(EXPORT).export(settings_from_environment(), folder)
    click.echo(f"the app is in {folder}, what nginx says with each file in {written}")


@authenticator.command("hashes")
def hashes() -> None:
    """Print the SHA-256 of each file, as this installation serves it."""
    click.echo(import_module(EXPORT).hashes(settings_from_environment()), nl=False)
