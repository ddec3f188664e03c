"""`cellkey sam`: the signature activation module behind its unix socket, under its own user."""

import sys

import click

from backend.cli.context import settings_from_environment, told_to_stop
from backend.errors import SettingsInvalid
from backend.garbage import keep_what_is_loaded
from backend.logs import configure_logging
from backend.sam.connect import open_sam
from backend.sam.server import SamServer, admitted


@click.command()
def sam() -> None:
    """Run the signature activation module on its socket."""
    settings = settings_from_environment()
    path = settings.sam_socket
    if path is None:
        raise SettingsInvalid("CELLKEY_SAM_SOCKET names no socket to listen on")
    configure_logging(sys.stderr, json=not sys.stderr.isatty())
    opened = open_sam(settings)
    try:
        server = SamServer(path, sam=opened, peers=admitted(settings.sam_peers))
    except OSError as error:
        raise SettingsInvalid(f"cannot listen on {path}: {error.strerror}") from error
    keep_what_is_loaded()
    click.echo(f"The SAM listens on {path}.", err=True)
    server.serve(told_to_stop())
    path.unlink(missing_ok=True)
