"""`cellkey phone further | add | recovery-code`: more than one way to the key.

Rules: the new phone shows its QR code and the paired one reads it from that screen, by hand here.
A recovery code is printed once, after its lock has arrived.
"""

import click

from backend.cli.context import answer, json_option
from backend.cli.phone_pair import addresses_of, addresses_options, kind_option, phone_option
from backend.cli.qr_code import qr_code
from backend.virtual_phone.answers import PhoneKind
from backend.virtual_phone.phone import VirtualPhone
from backend.virtual_phone.screen import transaction_screen, visible
from backend.virtual_phone.transactions import Consent


@click.command()
@phone_option
@kind_option
@addresses_options
@json_option
def further(
    phone_: VirtualPhone,
    *,
    kind: PhoneKind,
    qr1: str | None,
    authorization_server: str | None,
    api: str | None,
    app: str,
    as_json: bool,
) -> None:
    """Show this phone's QR code until a paired phone has added it.

    Where it takes too long, call it again: the code stays the same.
    """
    addresses = addresses_of(qr1, authorization_server, api, app, kind=kind)
    code = phone_.show_code(addresses, kind=kind)
    answer({"event": "code", "code": code}, f"{qr_code(code)}\n{code}", as_json=as_json)
    if not phone_.wait_to_be_added():
        raise click.ClickException("no paired phone added this one in time; start it again")
    value = {"event": "paired", "kid": phone_.kid(), "cell": phone_.device().cell}
    answer(value, "Paired.", as_json=as_json)


@click.command()
@phone_option
@click.option("--code", required=True, help="Text of the QR code on the new phone's screen.")
@click.option("--yes", is_flag=True, help="Approve without asking; it is printed all the same.")
@json_option
def add(phone_: VirtualPhone, *, code: str, yes: bool, as_json: bool) -> None:
    """Add the phone that shows CODE to this phone's cell."""
    shown = phone_.ask_to_add(code)
    value = {"event": "transaction", "id": shown.id, "text": shown.checked.ask.text}
    answer(value, transaction_screen(shown), as_json=as_json)
    if not yes:
        click.confirm("Approve?", abort=True, err=True)
    state = phone_.approve(shown, consent=Consent(further_phone=code))
    answer(
        {"event": "answered", "id": shown.id, "state": state},
        f"{shown.id} is {visible(state)}.",
        as_json=as_json,
    )


@click.command(name="recovery-code")
@phone_option
@json_option
def recovery_code(phone_: VirtualPhone, *, as_json: bool) -> None:
    """Make a recovery code, shown this once; the one before opens nothing any more."""
    code = phone_.new_recovery_code()
    text = f"Recovery code, shown this once; keep it in a safe: {code}"
    answer({"event": "recovery_code", "recovery_code": code}, text, as_json=as_json)
