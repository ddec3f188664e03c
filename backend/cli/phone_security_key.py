"""`cellkey phone security-key`: software tokens beside the software passkey of a browser."""

import click

from backend.cli.context import answer, json_option
from backend.cli.phone_pair import phone_option
from backend.virtual_phone.phone import VirtualPhone


@click.group(name="security-key")
def security_key() -> None:
    """Add a security key to a phone of kind pwa or desktop, or remove one."""


@security_key.command(name="add")
@phone_option
@json_option
def add_key(phone_: VirtualPhone, *, as_json: bool) -> None:
    """Add one; `cellkey phone approve --security-key` approves by it."""
    made = phone_.add_security_key()
    answer({"event": "security_key", "id": made}, f"Added: {made}", as_json=as_json)


@security_key.command(name="list")
@phone_option
@json_option
def list_keys(phone_: VirtualPhone, *, as_json: bool) -> None:
    """List those that count."""
    known = [key.id for key in phone_.calls().security_keys().security_keys]
    answer({"security_keys": known}, "\n".join(known) or "None.", as_json=as_json)


@security_key.command(name="remove")
@phone_option
@click.argument("credential", metavar="ID")
@json_option
def remove_key(phone_: VirtualPhone, *, credential: str, as_json: bool) -> None:
    """Remove one, by its id."""
    phone_.remove_security_key(credential)
    answer({"event": "removed", "id": credential}, "Removed.", as_json=as_json)
