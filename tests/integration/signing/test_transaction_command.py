"""``cellkey transaction``: what operators see, and cancel."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import insert
from sqlalchemy.orm import Session, sessionmaker

from backend.cli.main import main
from backend.model.tables import OutboxMessage
from tests.world.clock import SettableClock
from tests.world.sam import SamWorld
from tests.world.signing_world import SigningWorld, hashes, open_signing_world

Command = Callable[..., Result]


@pytest.fixture
def today(
    sam_world: SamWorld, session_factory: sessionmaker[Session], clock: SettableClock
) -> SigningWorld:
    """Commands tell the time by the machine's clock; so does this world."""
    clock.set(datetime.now(UTC))
    return open_signing_world(sam_world, session_factory, clock)


@pytest.fixture
def command(database_url: str) -> Command:
    def run(*arguments: str) -> Result:
        environment = {"CELLKEY_DATABASE_URL": database_url}
        return CliRunner().invoke(main, ["transaction", *arguments], env=environment)

    return run


def answer(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    read: dict[str, Any] = json.loads(result.stdout)
    return read


def test_an_empty_list_says_so(today: SigningWorld, command: Command) -> None:
    assert command("list").stdout == "None.\n"
    assert answer(command("list", "--json")) == {"transactions": []}


def test_the_newest_comes_first_and_nothing_tells_what_is_signed(
    today: SigningWorld, command: Command
) -> None:
    first = today.request(*hashes(2), description="Secret contract")
    today.approve(first.id)
    today.collect(today.csc_sad(first), hashes(2)[0])
    today.clock.advance(seconds=1)
    second = today.request(*hashes(1))

    listed = answer(command("list", "--json"))["transactions"]
    assert [one["id"] for one in listed] == [str(second.id), str(first.id)]
    assert [one["state"] for one in listed] == ["pending", "approved"]
    assert (listed[1]["hashes"], listed[1]["signed"]) == (2, 1)
    assert (listed[1]["signer"], listed[1]["relying_party"]) == ("anna", "shop")

    for arguments in (["list"], ["list", "--json"], ["show", str(first.id)]):
        shown = command(*arguments)
        assert shown.exit_code == 0
        assert "Secret" not in shown.stdout
        assert str(first.id) in shown.stdout


def test_one_is_shown_with_its_times(today: SigningWorld, command: Command) -> None:
    requested = today.request(*hashes(2))
    today.approve(requested.id)
    shown = answer(command("show", str(requested.id), "--json"))
    assert shown["state"] == "approved"
    assert shown["seen_at"] is not None
    page = command("show", str(requested.id)).stdout
    assert "0 of 2" in page
    assert "ended because" not in page


def test_what_became_of_its_messages_is_shown(today: SigningWorld, command: Command) -> None:
    """A dead letter is seen where somebody looks for it."""
    requested = today.request(*hashes(1))
    moments = {"due_at": today.clock(), "happened_at": today.clock()}
    webhook = {"channel": "webhook", "event": "approved", "relying_party_id": today.shop.id}
    dead = {"dead_at": today.clock(), "last_error": "it said 500"}
    ends: tuple[dict[str, Any], ...] = ({"sent_at": today.clock()}, dead, {})
    with today.sessions.begin() as session:
        for end in ends:
            message = {"id": uuid4(), "transaction_id": requested.id, "attempts": 3} | webhook
            message |= moments | {"expires_at": today.clock()} | end
            session.execute(insert(OutboxMessage).values(message))

    shown = answer(command("show", str(requested.id), "--json"))["messages"]
    assert [one["last_error"] for one in shown if one["dead_at"]] == ["it said 500"]
    page = command("show", str(requested.id)).stdout
    lines = sorted(line for line in page.splitlines() if line.startswith("message "))
    assert [
        re.sub(r"20\S+ [^ ,:]+:[^ ,]+:[^ ,:]+", "…", line).split(maxsplit=1)[1] for line in lines
    ] == [
        "push due at …",
        "webhook 'approved' dead since …, 3 attempts: it said 500",
        "webhook 'approved' due at …, 3 attempts",
        "webhook 'approved' taken at …, 3 attempts",
    ]


def test_one_is_cancelled_once(today: SigningWorld, command: Command) -> None:
    requested = today.request(*hashes(1))
    cancelled = answer(command("cancel", str(requested.id), "--because", "a mistake", "--json"))
    assert cancelled == {"id": str(requested.id), "state": "cancelled"}
    assert "a mistake" in command("show", str(requested.id)).stdout

    again = command("cancel", str(requested.id))
    assert again.exit_code == 1
    assert again.stderr == "Error: this request is cancelled\n"

    plain = today.request(*hashes(1))
    assert command("cancel", str(plain.id)).stdout == f"{plain.id} is cancelled.\n"


def test_what_is_not_there_is_said_in_one_line(today: SigningWorld, command: Command) -> None:
    for verb in ("show", "cancel"):
        unknown = command(verb, str(uuid4()))
        assert (unknown.exit_code, unknown.stderr) == (1, "Error: no such transaction\n")
        assert command(verb, "rubbish").exit_code == 2


def test_what_the_authority_asks_has_no_relying_party(
    sam_world: SamWorld,
    session_factory: sessionmaker[Session],
    clock: SettableClock,
    command: Command,
) -> None:
    clock.set(datetime.now(UTC))
    world = open_signing_world(sam_world, session_factory, clock, certified=False)
    transaction = world.request_certificate()
    assert "the authority" in command("show", str(transaction)).stdout
    assert "certificate_request" in command("list").stdout
