"""What commands need: the settings, a way to speak to people or to programs, and when to stop."""

import os
import signal
from queue import SimpleQueue
from threading import Event, Thread

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
    """Give an event that SIGTERM and SIGINT set, however often and whenever they come.

    Not in the handler: it interrupts whoever waits for the event, who may hold its lock.
    """
    stop, told = Event(), SimpleQueue[int]()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: told.put(number))  # which needs no lock

    def set_when_told() -> None:
        told.get()
        stop.set()

    Thread(target=set_when_told, name="told-to-stop", daemon=True).start()
    return stop
