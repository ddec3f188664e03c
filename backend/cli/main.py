"""The command `cellkey`.

Rules: a command's module is loaded only when that command is called, so that `cellkey worker` and
`cellkey phone` never load the SAM; an error of ours is one line and exit code 1, never a traceback.
"""

import sys
from importlib import import_module
from typing import NamedTuple

import click

from backend.errors import CellkeyError
from backend.garbage import loading


class Lazy(NamedTuple):
    """A command that is not loaded yet."""

    module: str
    name: str
    help: str


COMMANDS = {
    "serve": Lazy("backend.cli.serve", "serve", "Run the whole service in one process."),
    "worker": Lazy("backend.cli.worker", "worker", "Send push messages and SMS; expire requests."),
    "clerk": Lazy("backend.cli.clerk", "clerk", "Do what follows from phones' answers."),
    "wait": Lazy("backend.cli.wait", "wait", "Hold who waits for something to change."),
    "sam": Lazy("backend.cli.sam", "sam", "Run the signature activation module on its socket."),
    "hsm": Lazy("backend.cli.hsm", "hsm", "Make the keys of an HSM ready."),
    "authenticator": Lazy(
        "backend.cli.authenticator", "authenticator", "The phone app's files, for a web server."
    ),
    "db": Lazy("backend.cli.db", "db", "Bring the database to this version."),
    "relying-party": Lazy("backend.cli.relying_party", "relying_party", "Who may ask."),
    "signer": Lazy("backend.cli.signer", "signer", "Register signers, confirm phones, freeze."),
    "transaction": Lazy("backend.cli.transaction", "transaction", "Look at requests, cancel them."),
    "phone": Lazy("backend.cli.phone", "phone", "A virtual phone, for integrators."),
    "demo": Lazy("backend.cli.demo", "demo", "Show a whole transaction with real parts."),
    "doctor": Lazy("backend.cli.doctor", "doctor", "Check everything and say what to do."),
}


class LazyGroup(click.Group):
    """A group whose commands are loaded when they are called."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """Name the commands."""
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """Load one command."""
        lazy = COMMANDS.get(name)
        if lazy is None:
            return None
        if lazy.module not in sys.modules:
            with loading():
                import_module(lazy.module)
        command: click.Command = getattr(sys.modules[lazy.module], lazy.name)
        return command

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.help) for name, lazy in COMMANDS.items()])

    def invoke(self, context: click.Context) -> object:
        """Run, and say an error of ours in one line."""
        try:
            return super().invoke(context)
        except CellkeyError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=LazyGroup)
@click.version_option(package_name="cellkey")
def main() -> None:
    """Cellkey: the signing key stays in an HSM cell, the signer's phone opens it."""
