"""Invariants 1 and 2: whoever writes every row still gets no signature that nobody approved.

The attacker may overwrite every column of every table, with values of other rows, of another
service, or of their own; what they do not have is the phone. T-09.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from sqlalchemy import delete, select, text, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Session

from backend.errors import CellkeyError
from backend.model.base import Base
from backend.model.tables import Approval, AuthorisedHash
from backend.signing.authorization import csc_sad_of
from backend.signing.release import release
from backend.signing.request import RequestedTransaction
from tests.world.signing_world import SigningWorld, hashes

APPROVED = hashes(2, seed="approved")
EVIL = hashes(2, seed="evil")
SQLITE = sqlite.dialect()
COLUMNS = [
    pytest.param(table.name, column.name, str(column.type.compile(SQLITE)), id=str(column))
    for table in Base.metadata.sorted_tables
    for column in table.columns
]


def is_signed_by(world: SigningWorld, signature: bytes, digest: bytes) -> bool:
    """Whether that is a signature over the digest by the cell's key."""
    key = x509.load_der_x509_certificate(world.cell.certificate).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    try:
        key.verify(signature, digest, ec.ECDSA(Prehashed(SHA256())))
    except InvalidSignature:
        return False
    return True


def try_everything(world: SigningWorld, asked: list[RequestedTransaction]) -> list[bytes]:
    """What comes out when the attacker collects what nobody approved, by every handle."""
    out: list[bytes] = []
    start = world.clock()

    def let_time_pass(seconds: float) -> None:
        world.clock.advance(seconds=seconds)

    for requested in asked:
        csc_sad = csc_sad_of(requested.handle)
        for wanted in (EVIL, (*APPROVED[:1], *EVIL[:1])):
            with suppress(CellkeyError, ValueError, StatementError), world.sessions() as session:
                out += release(
                    session,
                    world.sam.sam,
                    world.collection(csc_sad, *wanted),
                    now=world.clock,
                    pause=let_time_pass,
                )
            world.clock.set(start)
    return out


def own_ideas(kind: str) -> tuple[object, ...]:
    """What an attacker writes who knows only the column's type."""
    if kind in {"BLOB", "BINARY"}:
        return (b"", bytes(32), *EVIL)
    if kind.startswith(("INTEGER", "BOOLEAN")):
        return (0, 1, 2, 99)
    if kind.startswith("DATETIME"):
        return ("2099-01-01 00:00:00.000000", "2000-01-01 00:00:00.000000")
    if kind.startswith("CHAR"):
        return (uuid4().hex, "no id")
    return ("", "approved", "pending", "redeemed", "sign", "SHA-256", "SHA-512", "x" * 500)


@contextmanager
def attacker(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection of their own: no constraint binds them."""
    with closing(sqlite3.connect(path, timeout=10)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        yield connection


@pytest.mark.parametrize(("table", "column", "kind"), COLUMNS)
def test_no_column_overwritten_gives_a_signature_that_nobody_approved(
    sqlite_world: SigningWorld, tmp_path: Path, table: str, column: str, kind: str
) -> None:
    """One transaction is approved, another waits with hashes that the signer never saw."""
    world, path = sqlite_world, tmp_path / "cellkey.sqlite3"
    asked = [world.request(*APPROVED), world.request(*EVIL)]
    world.approve(asked[0].id)
    with attacker(path) as connection, closing(sqlite3.connect(":memory:")) as snapshot:
        connection.backup(snapshot)
        present = connection.execute(f'SELECT DISTINCT "{column}" FROM {table}').fetchall()  # noqa: S608  # names of our schema
        for value in [None, *(row[0] for row in present), *own_ideas(kind)]:
            with suppress(sqlite3.IntegrityError):
                connection.execute(f'UPDATE {table} SET "{column}" = ?', (value,))  # noqa: S608  # names of our schema
            connection.commit()
            signatures = try_everything(world, asked)
            evil = [
                each for each in signatures for digest in EVIL if is_signed_by(world, each, digest)
            ]
            assert not evil
            snapshot.backup(connection)


def test_an_approved_states_row_without_evidence_signs_nothing(world: SigningWorld) -> None:
    """``state`` is a convenience: ``approved`` written by hand releases nothing."""
    requested = world.request(*EVIL)
    world.overwrite(
        lambda session: session.execute(text("UPDATE transactions SET state = 'approved'"))
    )
    with pytest.raises((CellkeyError, AssertionError)):
        world.collect(world.csc_sad(requested), *EVIL)


def test_evidence_moved_to_another_transaction_signs_nothing(world: SigningWorld) -> None:
    """Evidence replayed on another ask, row by row."""
    approved, evil = world.request(*APPROVED), world.request(*EVIL)
    world.approve(approved.id)

    def move(session: Session) -> None:
        evidence = session.scalars(select(Approval)).one()
        session.add(
            Approval(
                transaction_id=evil.id,
                approval=evidence.approval,
                sealed=evidence.sealed,
                kid=evidence.kid,
                received_at=evidence.received_at,
            )
        )
        session.execute(text("UPDATE transactions SET state = 'approved'"))

    world.overwrite(move)
    with pytest.raises(CellkeyError):
        world.collect(world.csc_sad(evil), *EVIL)


def test_the_approved_asks_text_under_another_transactions_hashes_signs_nothing(
    world: SigningWorld,
) -> None:
    """The approved ask, its evidence and its handle, but the list replaced (T-05, T-33)."""
    approved, evil = world.request(*APPROVED), world.request(*EVIL)
    world.approve(approved.id)

    def swap(session: Session) -> None:
        session.execute(delete(AuthorisedHash).where(AuthorisedHash.transaction_id == approved.id))
        session.execute(
            update(AuthorisedHash)
            .where(AuthorisedHash.transaction_id == evil.id)
            .values(transaction_id=approved.id)
        )

    world.overwrite(swap)
    with pytest.raises(CellkeyError):
        world.collect(world.csc_sad(approved), *EVIL)


def test_a_transaction_whose_times_are_prolonged_signs_nothing_after_use_by(
    world: SigningWorld,
) -> None:
    """Rows say tomorrow; the ask that KS signed says ten minutes."""
    approved = world.request(*APPROVED)
    world.approve(approved.id)
    csc_sad = world.csc_sad(approved)
    later = world.clock() + timedelta(days=365)
    world.overwrite(
        lambda session: session.execute(
            text("UPDATE transactions SET expires_at = :later, use_by = :later").bindparams(
                later=later
            )
        )
    )
    world.clock.advance(minutes=11)
    with pytest.raises(CellkeyError):
        world.collect(csc_sad, *APPROVED)
