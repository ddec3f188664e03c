"""Cells by the thousand, and transactions of them that come to be, each in a commit of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import psycopg
from sqlalchemy import make_url

from backend.model.telling import tell_changes
from backend.wiring import make_engine

_SIGNER = """
INSERT INTO signers (id, login, name, subject, lang, password_salt, password_change_due,
    password_tries, registered_by, registered_at)
VALUES (gen_random_uuid(), gen_random_uuid()::text, 'Ann', '', 'en', '', false, 0, 'operator',
    now())
RETURNING id
"""
_CELLS = """
INSERT INTO cells (id, signer_id, algorithm, spki, blob, epoch, created_at)
SELECT gen_random_uuid(), %s, 'P-256', '', '', 1, now() FROM generate_series(1, %s)
RETURNING id, wait_id::text
"""
_TRANSACTION = """
INSERT INTO transactions (id, kind, cell_id, signer_id, epoch, state, ask, tx_hash, created_at,
    expires_at, use_by)
SELECT gen_random_uuid(), 'sign', cells.id, signer_id, 1, 'pending', 'ask',
    uuid_send(gen_random_uuid()), now(), now() + interval '1 hour', now() + interval '1 hour'
FROM cells WHERE id = %s
RETURNING id
"""

Connection = psycopg.Connection[tuple[Any, ...]]


def address_of(database_url: str) -> str:
    """Its address as libpq has it."""
    return make_url(database_url).set(drivername="postgresql").render_as_string()


@contextmanager
def connected(database_url: str) -> Iterator[Connection]:
    """A connection of our own, each statement a commit."""
    with psycopg.connect(address_of(database_url), autocommit=True) as connection:
        yield connection


def add_cells(connection: Connection, count: int) -> list[tuple[Any, str]]:
    """Add cells of one signer; their ids, and their wait ids."""
    signer = connection.execute(_SIGNER).fetchone()
    assert signer is not None
    return [(cell, name) for cell, name in connection.execute(_CELLS, (signer[0], count))]


def ask(connection: Connection, cell: object) -> object:
    """Let a transaction come to be; its id."""
    row = connection.execute(_TRANSACTION, (cell,)).fetchone()
    assert row is not None
    return row[0]


def move(connection: Connection, transaction: object, state: str) -> None:
    """Let it go on."""
    connection.execute("UPDATE transactions SET state = %s WHERE id = %s", (state, transaction))


@contextmanager
def telling(database_url: str) -> Iterator[None]:
    """Tell what changes, as the worker does."""
    engine, stop = make_engine(database_url), Event()
    thread = Thread(target=lambda: tell_changes(engine, stop=stop), name="telling")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        engine.dispose()


def stop_listening(connection: Connection) -> int:
    """End all connections that listen, as a failing server does; how many there were."""
    return len(
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE (query ILIKE 'LISTEN%' OR application_name = 'cellkey wait')"
            " AND datname = current_database()"
        ).fetchall()
    )
