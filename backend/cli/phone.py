"""`cellkey phone`: a virtual phone, for those who build a phone app or test an installation.

Rules: what is approved is printed first, even with --yes; with --json each event is one line of
JSON on standard output, and prompts go to standard error.
"""

from pathlib import Path

import click

from backend.cli.context import answer, json_option
from backend.cli.phone_further import add, further, recovery_code
from backend.cli.phone_pair import EXISTING_FILE, pair, phone_option
from backend.cli.phone_security_key import security_key
from backend.virtual_phone.calls import PendingList
from backend.virtual_phone.errors import PhoneError
from backend.virtual_phone.following import Event, events, lists
from backend.virtual_phone.phone import VirtualPhone
from backend.virtual_phone.push import PushMessage, PushService
from backend.virtual_phone.screen import transaction_screen, visible
from backend.virtual_phone.transactions import Consent, Shown
from backend.virtual_phone.transport import Caller, Clock, RequestsHttp


class PhoneGroup(click.Group):
    """Says an error of the phone's in one line."""

    def invoke(self, context: click.Context) -> object:
        """Run a command of the phone."""
        try:
            return super().invoke(context)
        except PhoneError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=PhoneGroup)
def phone() -> None:
    """Be a phone: pair with an envelope, see what is asked, approve or reject it."""


for command in (pair, further, add, recovery_code, security_key):
    phone.add_command(command)


@phone.command(name="list")
@phone_option
@click.option("--follow", is_flag=True, help="Print the list again whenever it changes.")
@json_option
def list_pending(phone_: VirtualPhone, *, follow: bool, as_json: bool) -> None:
    """List what waits for an answer."""
    for pending in lists(phone_):
        answer(pending, _listed(pending), as_json=as_json)
        if not follow:
            return


@phone.command()
@phone_option
@click.argument("transaction", required=False)
@click.option("--follow", is_flag=True, help="Wait for the next transaction.")
@click.option("--yes", is_flag=True, help="Approve without asking; it is printed all the same.")
@click.option("--number", help="The two digits that the other screen shows, where they are asked.")
@click.option("--further-phone", help="QR code of the phone to be added, from its screen.")
@click.option("--security-key", "by_key", help="Id of the security key that answers.")
@json_option
def approve(  # an option is a parameter
    phone_: VirtualPhone,
    *,
    transaction: str | None,
    follow: bool,
    yes: bool,
    number: str | None,
    further_phone: str | None,
    by_key: str | None,
    as_json: bool,
) -> None:
    """Show a transaction and approve it."""
    shown = _chosen(phone_, transaction, follow=follow)
    _show(shown, as_json=as_json)
    if not yes:
        click.confirm("Approve?", abort=True, err=True)
    if shown.checked.ask.number_asked and number is None and not yes:
        number = click.prompt("Number on the other screen", err=True)
    consent = Consent(number=number, further_phone=further_phone, security_key=by_key)
    _answered(shown, phone_.approve(shown, consent=consent), as_json=as_json)


@phone.command()
@phone_option
@click.argument("transaction", required=False)
@click.option("--follow", is_flag=True, help="Wait for the next transaction.")
@click.option("--not-me", is_flag=True, help="Say that somebody else began this.")
@json_option
def reject(
    phone_: VirtualPhone, *, transaction: str | None, follow: bool, not_me: bool, as_json: bool
) -> None:
    """Show a transaction and reject it; also after an approval, until all is signed."""
    shown = _chosen(phone_, transaction, follow=follow)
    _show(shown, as_json=as_json)
    state = phone_.reject(shown, decision="not_me" if not_me else "reject")
    _answered(shown, state, as_json=as_json)


@phone.command()
@phone_option
@json_option
def stopped(phone_: VirtualPhone, *, as_json: bool) -> None:
    """List the relying parties that may not ask any more, after a "not me"."""
    found = phone_.calls().stopped()
    lines = [
        visible(f"{party.id}  since {party.stopped_at}  {party.name}")
        for party in found.relying_parties
    ]
    answer(found, "\n".join(lines) or "Nobody is stopped.", as_json=as_json)


@phone.command()
@phone_option
@click.argument("relying_party")
@json_option
def allow(phone_: VirtualPhone, relying_party: str, *, as_json: bool) -> None:
    """Let RELYING_PARTY, by its id, ask again."""
    phone_.calls().allow(relying_party)
    answer({"allowed": relying_party}, f"{visible(relying_party)} may ask again.", as_json=as_json)


@phone.command()
@phone_option
@click.option("--push-service", help="Subscribe at the push service of this address.")
@click.option("--push-ca", type=EXISTING_FILE, help="Authority that certifies the push service.")
@click.option("--once", is_flag=True, help="End after the first transaction.")
@json_option
def follow(
    phone_: VirtualPhone,
    *,
    push_service: str | None,
    push_ca: Path | None,
    once: bool,
    as_json: bool,
) -> None:
    """Show each transaction as it comes; with a push service, be woken by it."""
    service = None
    if push_service is not None:
        caller = Caller(RequestsHttp(certificates=push_ca), clock=Clock())
        service = PushService(caller, url=push_service)
        phone_.subscribe(service)
        answer({"event": "subscribed"}, "Subscribed to push messages.", as_json=as_json)
    for event in events(phone_, service):
        tell(event, as_json=as_json)
        if once and isinstance(event, Shown):
            return


def _chosen(virtual: VirtualPhone, transaction: str | None, *, follow: bool) -> Shown:
    if transaction is not None:
        return virtual.show(transaction)
    if not follow:
        raise click.UsageError("name a transaction, or --follow to wait for the next one")
    return next(event for event in events(virtual) if isinstance(event, Shown))


def _listed(pending: PendingList) -> str:
    lines = [
        visible(f"{transaction.id}  {transaction.kind}  until {transaction.expires_at}")
        for transaction in pending.transactions
    ]
    return "\n".join(lines) or "Nothing waits."


def tell(event: Event, *, as_json: bool) -> None:
    """Print what happened at the phone."""
    if isinstance(event, Shown):
        _show(event, as_json=as_json)
    elif isinstance(event, PushMessage):
        told = event.notification
        value = {"event": "push", "id": told.data.id, "title": told.title, "body": told.body}
        answer(value, f"Push: {visible(told.title)}. {visible(told.body)}", as_json=as_json)
    else:
        value = {"event": "not_shown", "id": event.id, "reason": event.reason}
        answer(value, f"Not shown: {event.id}: {visible(event.reason)}", as_json=as_json)


def _show(shown: Shown, *, as_json: bool) -> None:
    ask = shown.checked.ask
    value = {
        "event": "transaction",
        "id": shown.id,
        "state": shown.state,
        "kind": ask.kind,
        "relying_party": ask.rp,
        "text": ask.text,
        "documents": shown.checked.items,
        "exp": ask.exp,
        "number_asked": ask.number_asked,
    }
    answer(value, transaction_screen(shown), as_json=as_json)


def _answered(shown: Shown, state: str, *, as_json: bool) -> None:
    answer(
        {"event": "answered", "id": shown.id, "state": state},
        f"{shown.id} is {visible(state)}.",
        as_json=as_json,
    )
