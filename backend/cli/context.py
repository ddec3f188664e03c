"""What commands need: the settings, a way to speak to people or to programs, and when to stop."""

import os
import signal
from threading import Event

import click
import msgspec

from backend.settings import Settings, read_settings

json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for programs.")
"""Gives a command the parameter ``as_json``."""


def settings_from_environment() -> Settings:
    """Read the settings of this process.

    Raises:
        backend.errors.SettingsInvalid: they are not complete; ``cellkey`` says so in one line.
    """
    return read_settings(os.environ)


def answer(value: object, text: str, *, as_json: bool) -> None:
    """Print ``text`` for people, or ``value`` as one line of JSON for programs."""
    click.echo(msgspec.json.encode(value).decode() if as_json else text)


def told_to_stop() -> Event:
    """Give an event that SIGTERM and SIGINT set."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
