"""`cellkey relying-party`: who may ask for signatures; the secret of each is shown once."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy.orm import Session

from backend.access.relying_parties import (
    KnownRelyingParty,
    add_relying_party,
    disable_relying_party,
    edit_relying_party,
    list_relying_parties,
)
from backend.cli.context import answer, json_option, settings_from_environment
from backend.model.version import check_version
from backend.wiring import make_engine, make_session_factory, utc_now


@click.group()
def relying_party() -> None:
    """Say who may ask for signatures."""


@relying_party.command()
@click.argument("name")
@click.option("--client-id", help="Made if it is not given.")
@click.option("--number", is_flag=True, help="Phones must name the number that our page shows.")
@json_option
def add(*, name: str, client_id: str | None, number: bool, as_json: bool) -> None:
    """Let NAME, as signers will read it, ask; print its secret, once."""
    with _session() as session:
        added = add_relying_party(
            session, name=name, client_id=client_id, now=utc_now(), asks_number=number
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
@click.option(
    "--number/--no-number",
    default=None,
    help="Whether phones must name the number that our page shows.",
)
@json_option
def edit(*, client_id: str, number: bool | None, as_json: bool) -> None:
    """Change how it asks, from its next request on."""
    if number is None:
        raise click.UsageError("say what to change: --number or --no-number")
    with _session() as session:
        edit_relying_party(session, client_id=client_id, asks_number=number)
    matched = "by a number" if number else "without a number"
    answer(
        {"client_id": client_id, "asks_number": number},
        f"{client_id} asks {matched} from now on.",
        as_json=as_json,
    )


@relying_party.command()
@click.argument("client_id")
@json_option
def disable(*, client_id: str, as_json: bool) -> None:
    """Let it ask and collect no more; its tokens are void at once."""
    with _session() as session:
        disable_relying_party(session, client_id=client_id, now=utc_now())
    answer({"client_id": client_id}, f"{client_id} may ask no more.", as_json=as_json)


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
