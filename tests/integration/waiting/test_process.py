"""`cellkey wait` as it is run: told by real commits, killed, cut off, started again."""

import http.client
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from click.testing import CliRunner

from backend.cli.main import main
from tests.bench_waiting import measure
from tests.world.changing_rows import Connection, add_cells, ask, move, stop_listening
from tests.world.event_stream import event_stream
from tests.world.postgres import Postgres
from tests.world.wait_process import APP_URL, PAGES_URL, WaitProcess, running_wait
from tests.world.worker import eventually


def address(server: WaitProcess, wait_id: object) -> str:
    return f"{server.url}/wait/{wait_id}"


def poll(server: WaitProcess, wait_id: object, cursor: str | None = None) -> dict[str, Any]:
    """One long poll."""
    query = {} if cursor is None else {"cursor": cursor}
    answer = requests.get(address(server, wait_id), params=query, timeout=60)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    assert told.keys() == {"changed", "cursor"}
    return told


@contextmanager
def held_poll(
    server: WaitProcess, wait_id: object, cursor: str
) -> Iterator[http.client.HTTPConnection]:
    """A long poll that is sent, and not answered yet."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", f"/wait/{wait_id}?cursor={cursor}")
    yield connection
    connection.close()


def all_told(server: WaitProcess, rows: Connection) -> None:
    """Wait until what was committed has been told: words come in order."""
    ((cell, wait_id),) = add_cells(rows, 1)
    cursor = poll(server, wait_id)["cursor"]
    ask(rows, cell)
    assert poll(server, wait_id, cursor)["changed"]


def test_everybody_is_woken_by_commits_and_nobody_misses_one(
    shared_url: str, tmp_path: Path
) -> None:
    """A small form of ``make bench-waiting``: polls and streams, a connection lost at the end."""
    found = measure(shared_url, tmp_path, waiters=200, changes=300, per_second=300, arriving=0)

    assert found["missed"] == 0
    assert found["errors"] == 0


def test_a_change_between_reading_and_waiting_is_told_at_once(
    server: WaitProcess, rows: Connection
) -> None:
    """The cursor is older than the read, so nothing falls between."""
    ((cell, wait_id),) = add_cells(rows, 1)
    first = poll(server, wait_id)
    ask(rows, cell)

    told = poll(server, wait_id, first["cursor"])

    assert first["changed"]
    assert told["changed"]
    assert told["cursor"] != first["cursor"]


def test_a_transactions_move_is_told_to_its_cell_and_to_who_waits_for_it(
    server: WaitProcess, rows: Connection
) -> None:
    ((cell, wait_id),) = add_cells(rows, 1)
    transaction = ask(rows, cell)
    own = wait_id_of(rows, transaction)
    with (
        event_stream(address(server, wait_id)) as phone,
        event_stream(address(server, own)) as page,
    ):
        began = phone.next(), page.next()
        move(rows, transaction, "rejected")
        told = phone.next(), page.next()

    assert {event.data for event in (*began, *told)} == {"changed"}
    assert all(before.id != after.id for before, after in zip(began, told, strict=True))


def test_how_far_a_message_has_come_is_told_to_who_waits_for_the_transaction_alone(
    server: WaitProcess, rows: Connection
) -> None:
    """The waiting page shows it; what a phone lists is the same."""
    ((cell, wait_id),) = add_cells(rows, 1)
    transaction = ask(rows, cell)
    own = wait_id_of(rows, transaction)
    all_told(server, rows)
    with (
        event_stream(address(server, wait_id)) as phone,
        event_stream(address(server, own)) as page,
    ):
        began, told = phone.next(), [page.next()]
        for mark in ("sent_at", "delivered_at", "seen_at"):
            rows.execute(f"UPDATE transactions SET {mark} = now() WHERE id = %s", (transaction,))  # noqa: S608  # columns of ours
            told.append(page.next())
        ask(rows, cell)
        later = phone.next()

    numbers = [number(event.id) for event in (*told, later)]
    assert numbers == list(range(number(began.id), number(began.id) + 5))


def test_what_the_clerk_did_with_an_amendment_is_told(
    server: WaitProcess, rows: Connection
) -> None:
    """The page waits for that, not for the approval."""
    ((cell, _),) = add_cells(rows, 1)
    transaction = ask(rows, cell)
    rows.execute("UPDATE transactions SET kind = 'amend' WHERE id = %s", (transaction,))
    with event_stream(address(server, wait_id_of(rows, transaction))) as page:
        told = [page.next()]
        for state in ("approved", "redeemed"):
            move(rows, transaction, state)
            told.append(page.next())

    assert len({event.id for event in told}) == 3


def test_what_moves_nothing_and_what_is_collected_wakes_nobody(
    server: WaitProcess, rows: Connection
) -> None:
    """Such a word would cost each signature something, and nobody waits for it."""
    ((cell, wait_id), (other, other_wait_id)) = add_cells(rows, 2)
    transaction = ask(rows, cell)
    move(rows, transaction, "approved")
    all_told(server, rows)
    with (
        event_stream(address(server, wait_id)) as quiet,
        event_stream(address(server, other_wait_id)) as witness,
    ):
        began, _ = quiet.next(), witness.next()
        rows.execute("UPDATE transactions SET seen_at = now() WHERE id = %s", (transaction,))
        move(rows, transaction, "approved")
        move(rows, transaction, "redeemed")
        ask(rows, other)
        told = witness.next()  # words come in order
        ask(rows, cell)
        later = quiet.next()

    assert number(told.id) == number(began.id) + 1
    assert number(later.id) == number(told.id) + 1


def wait_id_of(rows: Connection, transaction: object) -> object:
    found = rows.execute("SELECT wait_id FROM transactions WHERE id = %s", (transaction,))
    (own,) = found.fetchone() or (None,)
    return own


def number(cursor: str) -> int:
    return int(cursor.partition("-")[2])


def test_a_commit_that_does_not_come_wakes_nobody(server: WaitProcess, rows: Connection) -> None:
    all_told(server, rows)
    ((cell, wait_id), (other, witness_id)) = add_cells(rows, 2)
    cursor = poll(server, wait_id)["cursor"]
    with event_stream(address(server, witness_id)) as witness:
        witness.next()
        rows.execute("BEGIN")
        ask(rows, cell)
        rows.execute("ROLLBACK")
        ask(rows, other)
        told = witness.next()

    assert number(told.id) == number(cursor) + 1


def test_when_the_connection_was_lost_everybody_looks(
    server: WaitProcess, rows: Connection
) -> None:
    ((_, wait_id),) = add_cells(rows, 1)
    cursor = poll(server, wait_id)["cursor"]
    with (
        held_poll(server, wait_id, cursor) as held,
        event_stream(address(server, wait_id), last_event_id=cursor) as stream,
    ):
        eventually(lambda: stop_listening(rows) > 0)  # a test before may have ended it, too
        told, event = json.loads(held.getresponse().read()), stream.next()

    assert told["changed"]
    assert event.data == "changed"
    assert not server.process.poll()


def test_after_a_restart_everybody_looks(shared_url: str, rows: Connection, tmp_path: Path) -> None:
    """``kill -9`` loses nothing: what it knew was only who is to look."""
    ((cell, wait_id),) = add_cells(rows, 1)
    with running_wait(shared_url, tmp_path) as first:
        cursor = poll(first, wait_id)["cursor"]
    ask(rows, cell)
    with running_wait(shared_url, tmp_path, port=first.port) as second:
        told = poll(second, wait_id, cursor)

    assert told["changed"]
    assert told["cursor"].partition("-")[0] != cursor.partition("-")[0]


def test_told_to_end_it_answers_who_waits_and_ends(own_server: WaitProcess) -> None:
    server, wait_id = own_server, uuid4()
    cursor = poll(server, wait_id)["cursor"]
    with held_poll(server, wait_id, cursor) as held, event_stream(address(server, uuid4())) as one:
        one.next()  # what was sent before is held now
        server.process.send_signal(signal.SIGTERM)
        answered = json.loads(held.getresponse().read())
        with pytest.raises(EOFError):
            one.next()

    assert answered == {"changed": False, "cursor": cursor}
    assert server.process.wait() == 0


def test_it_is_alive_but_not_ready_without_the_database(
    server: WaitProcess, rows: Connection, postgres: Postgres
) -> None:
    with postgres.connect() as beside:
        change = f'ALTER DATABASE "{rows.info.dbname}" WITH ALLOW_CONNECTIONS'
        beside.execute(f"{change} false".encode())
        stop_listening(rows)
        while server.is_ready():
            pass
        alive = requests.get(f"{server.url}/healthz", timeout=60)
        ready = requests.get(f"{server.url}/readyz", timeout=60)
        beside.execute(f"{change} true".encode())

    assert (alive.status_code, ready.status_code) == (200, 503)
    assert ready.json() == {"ready": False, "checks": {"listening": False}}


def test_its_database_role_needs_to_read_nothing(
    shared_url: str, rows: Connection, tmp_path: Path
) -> None:
    ((cell, wait_id),) = add_cells(rows, 1)
    role = f"waiting_{uuid4().hex}"
    rows.execute(f"CREATE ROLE {role} LOGIN".encode())
    try:
        with running_wait(shared_url.replace("cellkey@", f"{role}@"), tmp_path) as server:
            cursor = poll(server, wait_id)["cursor"]
            ask(rows, cell)
            assert poll(server, wait_id, cursor)["changed"]
    finally:
        rows.execute(f"DROP ROLE {role}".encode())


def test_nothing_it_logs_names_an_id(server: WaitProcess, rows: Connection) -> None:
    ((cell, wait_id),) = add_cells(rows, 1)
    poll(server, wait_id)
    requests.get(address(server, wait_id), params={"cursor": "x"}, timeout=60)
    requests.post(address(server, wait_id), timeout=60)
    ask(rows, cell)
    stop_listening(rows)
    poll(server, wait_id)

    assert str(wait_id) not in server.log.read_text()


def test_only_the_app_and_the_signers_pages_may_read_the_answers(server: WaitProcess) -> None:
    found = {
        origin: requests.get(
            address(server, uuid4()), headers={"Origin": origin}, timeout=60
        ).headers.get("Access-Control-Allow-Origin")
        for origin in (APP_URL, PAGES_URL, "https://other.example.org", "null")
    }

    assert found == {
        APP_URL: APP_URL,
        PAGES_URL: PAGES_URL,
        "https://other.example.org": None,
        "null": None,
    }


def test_on_sqlite_it_does_not_start(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["wait"], env={"CELLKEY_DATA_DIR": str(tmp_path)})

    assert done.exit_code == 1
    assert "needs PostgreSQL" in done.output
