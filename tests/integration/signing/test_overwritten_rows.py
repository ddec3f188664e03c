"""Whoever writes every row gets a clean refusal: no wrong signature, and no traceback."""

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from sqlalchemy import Column, Table, delete, insert, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import CellkeyError
from backend.model.tables import (
    Approval,
    AuthorisedHash,
    Cell,
    Lock,
    Record,
    Refusal,
    Signature,
    Signer,
    Transaction,
)
from backend.signing.authorization import csc_sad_of
from backend.signing.cancellation import cancel
from backend.signing.expiry import expire_overdue
from backend.signing.pending import pending, show
from backend.signing.repetition import check_repeated
from backend.signing.request import RequestedTransaction
from tests.world.clock import START, SettableClock
from tests.world.sam import SamWorld
from tests.world.signing_world import SigningWorld, hashes, open_signing_world

TABLES: Final = (
    *(Approval, AuthorisedHash, Cell, Lock, Record),
    *(Refusal, Signature, Signer, Transaction),
)
LIES: Final[dict[str, tuple[Any, ...]]] = {
    "VARCHAR": ("", "e30.e30.e30", "ä" * 70_000),
    "BLOB": (b"", b"\xff" * 5000),
    "INTEGER": (0, 2**31 - 1),
    "DATETIME": (START.replace(year=1990), START.replace(year=2090)),
}

Change = Callable[[Session], object]


def overwrite(column: Column[Any], value: Any) -> Change:  # noqa: ANN401  # whatever the column holds
    return lambda session: session.execute(update(column.table).values({column: value}))


def empty(table: Table) -> Change:
    return lambda session: session.execute(delete(table))


def changes() -> Iterator[tuple[str, Change]]:
    """Each column of each table, overwritten; each table emptied."""
    for model in TABLES:
        table = model.__table__
        assert isinstance(table, Table)
        yield f"no {table.name}", empty(table)
        for column in table.columns:
            lies = LIES.get(str(column.type), ())
            for lie in (*lies, *((None,) if column.nullable else ())):
                yield f"{table.name}.{column.name} {lie!r:.40}", overwrite(column, lie)


@pytest.fixture
def rewound(
    sam_world: SamWorld, session_factory: sessionmaker[Session], clock: SettableClock
) -> Iterator[SigningWorld]:
    """A world on one connection, so that what a change did can be undone."""
    engine = session_factory.kw["bind"]
    with engine.connect() as connection:
        connection.begin()
        sessions = sessionmaker(
            connection, expire_on_commit=False, join_transaction_mode="create_savepoint"
        )
        yield open_signing_world(sam_world, sessions, clock)


def after_each_change(world: SigningWorld, *steps: Callable[[], object]) -> list[str]:
    """Make one change after the other, try each step, undo all; tell where a step was done."""
    connection = world.sessions.kw["bind"]
    done = []
    now = world.clock()
    for name, change in changes():
        with connection.begin_nested() as undo_change:
            try:
                world.overwrite(change)
            except IntegrityError:
                undo_change.rollback()
                continue
            for step in steps:
                with connection.begin_nested() as undo_step:
                    if _does(step):
                        done.append(name)
                    undo_step.rollback()
                world.clock.set(now)
            undo_change.rollback()
    return done


def _does(step: Callable[[], object]) -> bool:
    try:
        step()
    except CellkeyError:
        return False
    return True


def approved(world: SigningWorld, count: int) -> tuple[RequestedTransaction, str]:
    requested = world.request(*hashes(count))
    world.approve(requested.id)
    return requested, csc_sad_of(requested.handle)


def check(world: SigningWorld, signatures: tuple[bytes, ...]) -> None:
    check_repeated(
        dict(zip(hashes(len(signatures)), signatures, strict=True)),
        spki=world.cell.made.spki,
        scheme=world.cell.scheme,
        hash_alg="SHA-256",
    )


def test_no_overwritten_row_makes_a_wrong_signature(rewound: SigningWorld) -> None:
    _, csc_sad = approved(rewound, 2)
    done = after_each_change(rewound, lambda: check(rewound, rewound.collect(csc_sad, *hashes(2))))
    # What the signature hangs on is not among what may say anything.
    evidence = ("ask", "approval", "sealed", "blob", "record", "item")
    assert not [name for name in done if name.split(" ")[0].split(".")[-1] in evidence]
    assert done


def test_no_overwritten_row_makes_a_wrong_repeat(rewound: SigningWorld) -> None:
    _, csc_sad = approved(rewound, 3)
    rewound.collect(csc_sad, *hashes(2))
    done = after_each_change(
        rewound,
        lambda: check(rewound, rewound.collect(csc_sad, *hashes(2))),
        lambda: check(rewound, rewound.collect(csc_sad, *hashes(3))),
    )
    assert done


def test_nothing_is_signed_for_a_state_alone(rewound: SigningWorld) -> None:
    """Not for any value of any column, while there is no approval."""
    requested = rewound.request(*hashes(1))
    csc_sad = csc_sad_of(requested.handle)

    def forge_and_collect() -> None:
        rewound.overwrite(
            lambda session: session.execute(update(Transaction).values(state="approved"))
        )
        rewound.collect(csc_sad, *hashes(1))

    assert after_each_change(rewound, forge_and_collect) == []


def test_the_other_steps_refuse_cleanly(rewound: SigningWorld) -> None:
    requested = rewound.request(*hashes(2))
    approval, sealed = rewound.answer(requested.id)
    refusal = rewound.cell.phone.refuse(rewound.read_ask(requested.id))
    phone = rewound.phone

    def look() -> None:
        with rewound.sessions() as session:
            pending(session, cell=phone.cell, now=rewound.clock())

    def open_it() -> None:
        with rewound.sessions() as session:
            show(
                session,
                phone=phone,
                transaction=requested.id,
                sightings=rewound.sightings,
                now=rewound.clock(),
            )

    def call_off() -> None:
        with rewound.sessions() as session:
            cancel(session, transaction=requested.id, because="test", now=rewound.clock())

    def expire() -> None:
        with rewound.sessions() as session:
            expire_overdue(session, rewound.clock())

    done = after_each_change(
        rewound,
        look,
        open_it,
        call_off,
        expire,
        lambda: rewound.send(requested.id, approval, sealed),
        lambda: rewound.refuse(requested.id, refusal=refusal),
        lambda: rewound.check(requested),
        lambda: rewound.request(*hashes(1)),
    )
    assert done


def test_a_hash_moved_to_another_item_gives_no_signature_for_it(world: SigningWorld) -> None:
    """The hash is read from the exact text that the signer approved, not from its column."""
    _, csc_sad = approved(world, 1)
    (wanted,) = hashes(1, seed="never approved")
    world.overwrite(lambda session: session.execute(update(AuthorisedHash).values(hash=wanted)))
    with pytest.raises(CellkeyError):
        world.collect(csc_sad, wanted)
    check(world, world.collect(csc_sad, *hashes(1)))


def test_an_item_added_to_the_list_is_not_signed(world: SigningWorld) -> None:
    requested, csc_sad = approved(world, 1)
    other = world.request(*hashes(1, seed="never approved"))

    def add(session: Session) -> None:
        foreign = session.get_one(AuthorisedHash, (other.id, 0))
        session.execute(
            insert(AuthorisedHash).values(
                transaction_id=requested.id, position=1, item=foreign.item, hash=foreign.hash
            )
        )

    world.overwrite(add)
    with pytest.raises(CellkeyError):
        world.collect(csc_sad, *hashes(1, seed="never approved"))
