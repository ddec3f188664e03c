"""`cellkey relying-party`: who may ask for signatures; the secret of each is shown once."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from sqlalchemy.orm import Session

from backend.access.registrations import (
    AUTH_METHODS,
    GRANTS,
    SCOPES,
    Registration,
    RegistrationChange,
    change_registration,
    find_registration,
)
from backend.access.relying_parties import (
    KnownRelyingParty,
    add_relying_party,
    disable_relying_party,
    list_relying_parties,
)
from backend.cli.context import answer, json_option, settings_from_environment
from backend.cli.relying_party_webhook import WebhookChange, change_webhook, webhook_options
from backend.clock import utc_now
from backend.database import make_engine, make_session_factory
from backend.delivery.webhook_registration import find_webhook
from backend.errors import NotFound
from backend.model.version import check_version

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def relying_party() -> None:
    """Say who may ask for signatures."""


def registration_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say how a relying party uses OAuth."""
    for option in (
        click.option("--certificate", type=_FILE, help="Its TLS certificate, PEM, for mutual TLS."),
        click.option("--jwks", type=_FILE, help="JWK Set of its public keys, for private_key_jwt."),
        click.option("--auth-method", multiple=True, type=click.Choice(AUTH_METHODS)),
        click.option("--scope", multiple=True, type=click.Choice(SCOPES)),
        click.option("--grant", multiple=True, type=click.Choice(GRANTS)),
        click.option("--redirect-uri", multiple=True, help="Where browsers are sent back to."),
    ):
        command = option(command)
    return command


@relying_party.command()
@click.argument("name")
@click.option("--client-id", help="Made if it is not given.")
@click.option("--number", is_flag=True, help="Phones must name the number that our page shows.")
@registration_options
@json_option
def add(
    *,
    name: str,
    client_id: str | None,
    number: bool,
    as_json: bool,
    **given: tuple[str, ...] | Path | None,
) -> None:
    """Let NAME, as signers will read it, ask; print its secret, once."""
    change = msgspec.structs.replace(_change(given), asks_number=number)
    with _session() as session:
        added = add_relying_party(
            session,
            name=name,
            client_id=client_id,
            now=utc_now(),
            change=change,
        )
    text = "\n".join(
        [
            f"{added.name} may ask for signatures.",
            f"  client id      {added.client_id}",
            f"  client secret  {added.client_secret}",
            "The secret is shown only now. How to use it: docs/relying-party.md",
        ]
    )
    answer(added, text, as_json=as_json)


@relying_party.command(name="list")
@json_option
def list_command(*, as_json: bool) -> None:
    """List who may ask, and who might once."""
    with _session() as session:
        listed = list_relying_parties(session)
    text = "\n".join(map(_line, listed)) or "None."
    answer({"relying_parties": listed}, text, as_json=as_json)


@relying_party.command()
@click.argument("client_id")
@json_option
def disable(*, client_id: str, as_json: bool) -> None:
    """Let it ask and collect no more; its tokens are void at once."""
    with _session() as session:
        disable_relying_party(session, client_id=client_id, now=utc_now())
    answer({"client_id": client_id}, f"{client_id} may ask no more.", as_json=as_json)


@relying_party.command()
@click.argument("client_id")
@click.option(
    "--number/--no-number",
    default=None,
    help="Whether phones must name the number that our page shows.",
)
@registration_options
@webhook_options
@json_option
def edit(
    *,
    client_id: str,
    number: bool | None,
    webhook_change: WebhookChange | None,
    as_json: bool,
    **given: tuple[str, ...] | Path | None,
) -> None:
    """Change what is registered, from its next request on.

    An option that is given replaces all its values before. What concerns the webhook is changed by
    itself, and prints its secret, once.
    """
    change = msgspec.structs.replace(_change(given), asks_number=number)
    if (change == RegistrationChange()) is (webhook_change is None):
        raise click.UsageError("say what to change: what is registered, or the webhook")
    if webhook_change is not None:
        settings = settings_from_environment()
        with _session() as session:
            told = change_webhook(session, settings, client_id=client_id, change=webhook_change)
        answer(told.value, told.text, as_json=as_json)
        return
    with _session() as session:
        changed = change_registration(session, client_id=client_id, change=change)
        webhook = find_webhook(session, client_id=client_id)
    answer(_value(changed, webhook), _told(changed, webhook), as_json=as_json)


@relying_party.command()
@click.argument("client_id")
@json_option
def show(*, client_id: str, as_json: bool) -> None:
    """Show what is registered of one that may ask."""
    with _session() as session:
        found = find_registration(session, client_id)
        webhook = find_webhook(session, client_id=client_id)
    if found is None:
        raise NotFound("no such relying party, or it is disabled")
    answer(_value(found, webhook), _told(found, webhook), as_json=as_json)


def _change(given: Mapping[str, Any]) -> RegistrationChange:
    files = {
        name: given[name].read_text() if given[name] else None for name in ("jwks", "certificate")
    }
    return RegistrationChange(
        auth_methods=given["auth_method"],
        grants=given["grant"],
        scopes=given["scope"],
        redirect_uris=given["redirect_uri"],
        **files,
    )


def _value(found: Registration, webhook: str | None) -> object:
    return msgspec.structs.asdict(found) | {"webhook": webhook}


def _told(found: Registration, webhook: str | None) -> str:
    certificate = "none" if found.certificate is None else found.certificate.hex()
    return "\n".join(
        [
            f"{found.client_id}: {found.name}",
            f"  grants         {', '.join(found.grants)}",
            f"  scopes         {', '.join(found.scopes)}",
            f"  redirect URIs  {', '.join(found.redirect_uris) or 'none'}",
            f"  proves itself  {', '.join(found.auth_methods)}",
            f"  public keys    {'none' if found.jwks is None else 'registered'}",
            f"  certificate    {certificate}",
            f"  asks           {'by a number' if found.asks_number else 'without a number'}",
            f"  webhook        {webhook or 'none'}",
        ]
    )


@contextmanager
def _session() -> Iterator[Session]:
    engine = make_engine(settings_from_environment().database)
    try:
        with make_session_factory(engine)() as session:
            check_version(session.connection())
            yield session
    finally:
        engine.dispose()


def _line(listed: KnownRelyingParty) -> str:
    state = f"disabled {listed.disabled_at:%Y-%m-%d}" if listed.disabled_at else "may ask"
    matched = "number" if listed.asks_number else ""
    return f"{listed.client_id:<24}  {state:<19}  {matched:<6}  {listed.name}"
