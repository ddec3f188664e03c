"""`cellkey transaction`: how far transactions are; one can be cancelled, none can be approved."""

import getpass
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

import click
import msgspec
from sqlalchemy.orm import Session

from backend.cli.context import answer, json_option, settings_from_environment
from backend.clock import utc_now
from backend.database import make_engine, make_session_factory
from backend.delivery.overview import MessageSummary, messages_of
from backend.signing.cancellation import cancel as cancel_transaction
from backend.signing.overview import TransactionSummary, list_transactions, show_transaction


@click.group()
def transaction() -> None:
    """Look at transactions, and cancel one."""


@transaction.command(name="list")
@json_option
def list_command(*, as_json: bool) -> None:
    """List the newest transactions."""
    with _session() as session:
        listed = list_transactions(session, now=utc_now())
    answer({"transactions": listed}, "\n".join(map(_line, listed)) or "None.", as_json=as_json)


@transaction.command()
@click.argument("transaction_id", metavar="ID", type=click.UUID)
@json_option
def show(transaction_id: UUID, *, as_json: bool) -> None:
    """Show how far a transaction is, and what became of its messages."""
    with _session() as session:
        shown = show_transaction(session, transaction=transaction_id, now=utc_now())
        messages = messages_of(session, transaction=transaction_id)
    told = msgspec.structs.asdict(shown) | {"messages": messages}
    answer(told, _page(shown, messages), as_json=as_json)


@transaction.command()
@click.argument("transaction_id", metavar="ID", type=click.UUID)
@click.option("--because", default="", help="A reason, for the record.")
@json_option
def cancel(transaction_id: UUID, *, because: str, as_json: bool) -> None:
    """Cancel a transaction that is not all signed yet."""
    operator = getpass.getuser()
    reason = f"cancelled by {operator}" + (f": {because}" if because else "")
    with _session() as session:
        cancel_transaction(session, transaction=transaction_id, because=reason, now=utc_now())
    answer(
        {"id": transaction_id, "state": "cancelled"},
        f"{transaction_id} is cancelled.",
        as_json=as_json,
    )


@contextmanager
def _session() -> Iterator[Session]:
    engine = make_engine(settings_from_environment().database)
    try:
        with make_session_factory(engine)() as session:
            yield session
    finally:
        engine.dispose()


def _line(listed: TransactionSummary) -> str:
    return (
        f"{listed.id}  {listed.created_at:%Y-%m-%d %H:%M:%S}  {listed.state:<9}  "
        f"{listed.kind:<19}  {listed.signed}/{listed.hashes}  {listed.signer}"
        f"  {listed.relying_party or '-'}"
    )


def _page(shown: TransactionSummary, messages: Sequence[MessageSummary]) -> str:
    rows = {
        "id": shown.id,
        "kind": shown.kind,
        "state": shown.state,
        "signer": shown.signer,
        "asked by": shown.relying_party or "the authority",
        "asked at": shown.created_at,
        "to approve until": shown.expires_at,
        "to collect until": shown.use_by,
        "delivered at": shown.delivered_at,
        "opened at": shown.seen_at,
        "answered at": shown.answered_at,
        "signed": f"{shown.signed} of {shown.hashes}",
        "approved by": f"{shown.method} ({shown.phone})" if shown.phone else shown.method,
        "ended because": shown.ended_because,
    }
    lines = [f"{name:<17} {value}" for name, value in rows.items() if value is not None]
    lines += [f"{'message':<17} {message.told()}" for message in messages]
    return "\n".join(lines)
