"""The schema that migrations make is the one that the code is written for, on both engines."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from alembic import command
from sqlalchemy import (
    Engine,
    Uuid,
    bindparam,
    delete,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import DatabaseOutdated
from backend.model import schema, version
from backend.model.base import Instant
from backend.model.tables import (
    Approval,
    AuthorisedHash,
    Cell,
    Lock,
    OutboxMessage,
    Pairing,
    Receipt,
    Record,
    Signature,
    Signer,
    Transaction,
)
from backend.settings import Settings
from backend.wiring import make_engine
from tests.world.clock import START


@pytest.fixture
def empty_engine(empty_database_url: str) -> Iterator[Engine]:
    engine = make_engine(empty_database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def session(session_factory: sessionmaker[Session]) -> Iterator[Session]:
    with session_factory() as session:
        yield session


def test_an_upgrade_from_nothing_gives_exactly_the_tables_of_the_code(empty_engine: Engine) -> None:
    assert schema.upgrade(empty_engine) == version.newest_version()

    with empty_engine.connect() as connection:
        version.check_version(connection)
        assert schema.differences(connection) == ()


def test_every_check_of_the_code_stands_in_the_database(engine: Engine) -> None:
    """Alembic does not compare CHECK constraints, so a forgotten one would go unseen."""
    found = inspect(engine)
    for table in Signer.metadata.sorted_tables:
        checks = {check["name"] for check in found.get_check_constraints(table.name)}
        wanted = {
            str(constraint.name)
            for constraint in table.constraints
            if constraint.__visit_name__ == "check_constraint"
        }
        assert wanted <= checks, table.name


def test_a_second_upgrade_changes_nothing(engine: Engine) -> None:
    assert schema.upgrade(engine) == version.newest_version()


def test_two_upgrades_at_once_both_succeed(empty_engine: Engine, empty_database_url: str) -> None:
    other = make_engine(empty_database_url)
    with ThreadPoolExecutor(2) as pool:
        versions = list(pool.map(schema.upgrade, (empty_engine, other)))
    other.dispose()

    assert versions == [version.newest_version()] * 2


def test_a_database_without_tables_is_refused(empty_engine: Engine) -> None:
    with (
        empty_engine.connect() as connection,
        pytest.raises(DatabaseOutdated, match="cellkey db upgrade"),
    ):
        version.check_version(connection)


def test_a_database_of_a_newer_program_is_refused(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with engine.connect() as connection, pytest.raises(DatabaseOutdated, match="9999"):
        version.check_version(connection)


def test_a_column_that_the_code_does_not_know_is_a_difference(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE signers ADD COLUMN nickname VARCHAR"))

    with engine.connect() as connection:
        assert "nickname" in "".join(schema.differences(connection))


def test_who_was_registered_before_reads_moments_by_the_standard_clock(session: Session) -> None:
    """`_cell` names no zone, as the first version did not."""
    _cell(session)

    assert session.scalars(select(Signer.zone)).all() == ["Europe/Moscow"]
    assert Settings().time_zone == "Europe/Moscow"


def test_every_cell_and_transaction_has_a_random_id_to_wait_by(session: Session) -> None:
    """Made by the database, whoever adds the row; never the row's own id."""
    cells = [_cell(session) for _ in range(2)]
    transactions = [_transaction(session, cell) for cell in cells]
    wait_ids = [
        *session.scalars(select(Cell.wait_id)),
        *session.scalars(select(Transaction.wait_id)),
    ]

    assert len(set(wait_ids)) == 4
    assert not {*cells, *transactions} & set(wait_ids)
    assert all(len(set(wait_id.bytes)) > 4 for wait_id in wait_ids)


def test_rows_of_an_older_version_get_an_id_to_wait_by(
    empty_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade = command.upgrade
    monkeypatch.setattr(command, "upgrade", lambda config, _head: upgrade(config, "0001"))
    schema.upgrade(empty_engine)
    monkeypatch.undo()
    signer = uuid4()
    with empty_engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO signers (id, login, name, subject, lang, password_salt,"
                " password_change_due, password_tries, registered_by, registered_at)"
                " VALUES (:id, 'a', 'A', '', 'en', '', false, 0, 'o', '2026-01-01')"
            ).bindparams(bindparam("id", signer, Uuid)),
        )
        for _ in range(2):
            connection.execute(
                text(
                    "INSERT INTO cells (id, signer_id, algorithm, spki, blob, epoch, created_at)"
                    " VALUES (:id, :signer, 'P-256', '', '', 1, '2026-01-01')"
                ).bindparams(bindparam("id", uuid4(), Uuid), bindparam("signer", signer, Uuid)),
            )
    schema.upgrade(empty_engine)

    with empty_engine.connect() as connection:
        assert len(set(connection.scalars(select(Cell.wait_id)))) == 2


def test_signatures_of_an_older_version_keep_their_receipt_and_its_time(
    empty_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade = command.upgrade
    monkeypatch.setattr(command, "upgrade", lambda config, _head: upgrade(config, "0010"))
    schema.upgrade(empty_engine)
    monkeypatch.undo()
    rows = {
        "signers": "id, login, name, subject, lang, password_salt, password_change_due,"
        " password_tries, registered_by, registered_at"
        " VALUES (:id, 'a', 'A', '', 'en', '', false, 0, 'o', :at)",
        "cells": "id, signer_id, algorithm, spki, blob, epoch, created_at"
        " VALUES (:id, :id, 'P-256', '', '', 1, :at)",
        "transactions": "id, kind, cell_id, signer_id, epoch, state, ask, tx_hash, created_at,"
        " expires_at, use_by"
        " VALUES (:id, 'sign', :id, :id, 1, 'redeemed', 'a', 't', :at, :at, :at)",
        "authorised_hashes": "transaction_id, position, item, hash VALUES (:id, 0, '{}', 'h')",
        "approvals": "transaction_id, approval, kid, received_at VALUES (:id, 'a', 'k', :at)",
        "receipts": "id, transaction_id, receipt VALUES (:id, :id, 'r')",
        "signatures": "transaction_id, position, signature, receipt_id, signed_at"
        " VALUES (:id, 0, 's', :id, :at)",
    }
    given = {"id": uuid4(), "at": START}
    types = (bindparam("id", type_=Uuid), bindparam("at", type_=Instant))
    with empty_engine.begin() as connection:
        for table, row in rows.items():
            columns, values = row.split(" VALUES ")
            asked = text(f"INSERT INTO {table} ({columns}) VALUES {values}")  # noqa: S608  # this test's own
            named = [one for one in types if f":{one.key}" in values]
            connection.execute(asked.bindparams(*named), given)
    schema.upgrade(empty_engine)

    kept = select(Receipt.receipt, Receipt.signed_at, AuthorisedHash.item).join(
        Signature, Signature.receipt_id == Receipt.id
    )
    listed = AuthorisedHash.transaction_id == Signature.transaction_id
    with empty_engine.connect() as connection:
        assert connection.execute(kept.join(AuthorisedHash, listed)).all() == [("r", START, "{}")]
        assert schema.differences(connection) == ()


# --- forbidden rows -----------------------------------------------------------


def test_a_state_outside_the_enumeration_is_refused(session: Session) -> None:
    transaction = _transaction(session, _cell(session))
    for wrong in ("signed", "PENDING", ""):
        _refused(
            session, update(Transaction).where(Transaction.id == transaction).values(state=wrong)
        )


def test_a_pairing_outside_its_states_is_refused(session: Session) -> None:
    cell = _cell(session)
    _refused(session, insert(Pairing).values(_pairing(session, cell) | {"state": "open"}))


def test_a_lock_or_a_message_of_no_known_kind_is_refused(session: Session) -> None:
    cell = _cell(session)
    lock = {"cell_id": cell, "key_id": b"", "lock": "x", "created_at": START}
    _refused(session, insert(Lock).values(lock | {"kind": "master"}))
    message = {
        "id": uuid4(),
        "transaction_id": _transaction(session, cell),
        "attempts": 0,
        "due_at": START,
        "expires_at": START,
    }
    _refused(session, insert(OutboxMessage).values(message | {"channel": "post"}))


def test_a_signature_without_an_approval_is_refused(session: Session) -> None:
    """Invariant 1, said by the database: no signature row without its evidence."""
    signature = _signature(session, approved=False)
    _refused(session, insert(Signature).values(signature))


def test_a_receipt_without_an_approval_is_refused(session: Session) -> None:
    signature = _signature(session, approved=False)
    told = {"id": signature["receipt_id"], "receipt": "receipt", "signed_at": START}
    told["transaction_id"] = signature["transaction_id"]
    _refused(session, insert(Receipt).values(told))


def test_a_signature_by_the_receipt_of_another_transaction_is_refused(session: Session) -> None:
    mine, other = (_signature(session, approved=True) for _ in range(2))
    _refused(session, insert(Signature).values(mine | {"receipt_id": other["receipt_id"]}))


def test_an_approval_with_a_signature_cannot_be_taken_away(session: Session) -> None:
    signature = _signature(session, approved=True)
    session.execute(insert(Signature).values(signature))
    session.commit()

    _refused(
        session, delete(Approval).where(Approval.transaction_id == signature["transaction_id"])
    )


def test_a_signature_of_a_hash_that_was_never_asked_is_refused(session: Session) -> None:
    signature = _signature(session, approved=True)
    _refused(session, insert(Signature).values(signature | {"position": 1}))


def test_a_second_signature_of_one_hash_is_refused(session: Session) -> None:
    """Invariant 4, said by the database."""
    signature = _signature(session, approved=True)
    session.execute(insert(Signature).values(signature))
    session.commit()

    _refused(session, insert(Signature).values(signature | {"signature": b"another"}))


def test_one_hash_cannot_stand_twice_in_a_transaction(session: Session) -> None:
    transaction = _transaction(session, _cell(session))
    item = {"transaction_id": transaction, "item": "{}", "hash": b"h" * 32}
    session.execute(insert(AuthorisedHash).values(item | {"position": 0}))
    session.commit()

    _refused(session, insert(AuthorisedHash).values(item | {"position": 1}))


def test_an_epoch_of_a_cell_is_said_only_once(session: Session) -> None:
    record = {"cell_id": _cell(session), "epoch": 1, "created_at": START}
    session.execute(insert(Record).values(record | {"record": "one"}))
    session.commit()

    _refused(session, insert(Record).values(record | {"record": "other"}))


def test_a_transaction_cannot_be_redeemable_for_less_than_it_is_approvable(
    session: Session,
) -> None:
    transaction = _transaction(session, _cell(session))
    earlier = START - timedelta(seconds=1)
    _refused(
        session, update(Transaction).where(Transaction.id == transaction).values(use_by=earlier)
    )


def test_a_row_of_a_cell_that_is_not_there_is_refused(session: Session) -> None:
    """SQLite checks foreign keys only when each connection is told to."""
    record = {"cell_id": uuid4(), "epoch": 1, "record": "r", "created_at": START}
    _refused(session, insert(Record).values(record))


def _refused(session: Session, statement: Any) -> None:  # noqa: ANN401  # any statement
    with pytest.raises(IntegrityError):
        session.execute(statement)
    session.rollback()


def _cell(session: Session) -> UUID:
    signer, cell = uuid4(), uuid4()
    session.execute(
        insert(Signer).values(
            id=signer,
            login=str(signer),
            name="Anna",
            subject=b"",
            lang="en",
            password_salt=b"",
            password_change_due=False,
            registered_by="operator",
            registered_at=START,
        )
    )
    session.execute(
        insert(Cell).values(
            id=cell,
            signer_id=signer,
            algorithm="P-256",
            spki=b"",
            blob=b"",
            epoch=1,
            created_at=START,
        )
    )
    session.commit()
    return cell


def _pairing(session: Session, cell: UUID) -> dict[str, object]:
    signer = session.get_one(Cell, cell).signer_id
    return {
        "id": uuid4(),
        "cell_id": cell,
        "signer_id": signer,
        "printed_by": "operator",
        "printed_at": START,
        "expires_at": START,
        "code_tries": 0,
    }


def _transaction(session: Session, cell: UUID) -> UUID:
    transaction = uuid4()
    session.execute(
        insert(Transaction).values(
            id=transaction,
            kind="sign",
            cell_id=cell,
            signer_id=session.get_one(Cell, cell).signer_id,
            epoch=1,
            state="pending",
            ask="ask",
            tx_hash=transaction.bytes,
            created_at=START,
            expires_at=START,
            use_by=START,
        )
    )
    session.commit()
    return transaction


def _signature(session: Session, *, approved: bool) -> dict[str, object]:
    """Make all rows that a signature needs, and give the signature's values."""
    transaction, receipt = _transaction(session, _cell(session)), uuid4()
    about = {"transaction_id": transaction}
    session.execute(
        insert(AuthorisedHash).values(about | {"position": 0, "item": "{}", "hash": b"h" * 32})
    )
    if approved:
        answer = {"approval": "approval", "kid": b"k" * 32, "received_at": START}
        session.execute(insert(Approval).values(about | answer))
        told = {"id": receipt, "receipt": "receipt", "signed_at": START}
        session.execute(insert(Receipt).values(about | told))
    session.commit()
    return about | {"position": 0, "signature": b"signature", "receipt_id": receipt}
