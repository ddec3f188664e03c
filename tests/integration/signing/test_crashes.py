"""``kill -9`` between any two commits: nothing acknowledged is lost, no hash is signed twice.

Every use case is killed in a process of its own, right before and right after each of its commits;
then somebody calls again.
"""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session, sessionmaker

from backend.cli.clerk import make_clerk
from backend.errors import TransactionOver
from backend.model.tables import (
    Approval,
    AuthorisedHash,
    Cell,
    OutboxMessage,
    Receipt,
    Record,
    Signature,
    Transaction,
)
from backend.signing.cancellation import cancel
from backend.signing.expiry import expire_overdue
from backend.signing.reservation import LEASE
from tests.world.clock import SettableClock
from tests.world.killed import killed_everywhere
from tests.world.sam import SamWorld
from tests.world.signing_world import SETTINGS, SigningWorld, hashes, open_signing_world


def test_a_release_that_is_killed_anywhere_is_finished_by_the_next_call(
    world: SigningWorld, engine: Engine
) -> None:
    """Invariants 4 and 5."""
    kills = 0
    wanted = hashes(3)

    def prepare() -> str:
        requested = world.request(*wanted)
        world.approve(requested.id)
        return world.csc_sad(requested)

    current = [prepare()]

    def collect(sessions: sessionmaker[Session]) -> None:
        replace(world, sessions=sessions).collect(current[0], *wanted)

    for _ in killed_everywhere(engine, collect):
        kills += 1
        began = world.clock()
        handed_out = world.collect(current[0], *wanted)
        assert world.clock() - began <= LEASE + timedelta(seconds=1)
        assert world.collect(current[0], *wanted) == handed_out
        _assert_each_has_one_signature(world, handed_out)
        current[0] = prepare()
    assert kills == 4


def _assert_each_has_one_signature(world: SigningWorld, handed_out: tuple[bytes, ...]) -> None:
    with world.sessions() as session:
        unsigned = session.scalar(
            select(func.count())
            .select_from(AuthorisedHash)
            .outerjoin(
                Signature,
                (Signature.transaction_id == AuthorisedHash.transaction_id)
                & (Signature.position == AuthorisedHash.position),
            )
            .where(Signature.position.is_(None))
        )
        newest = session.scalars(
            select(Signature.signature)
            .join(Receipt, Receipt.id == Signature.receipt_id)
            .order_by(Receipt.signed_at, Signature.position)
        ).all()
        states = set(session.scalars(select(Transaction.state)))
        sealed = set(session.scalars(select(Approval.sealed)))
    assert unsigned == 0
    assert set(handed_out) <= set(newest)
    assert states == {"redeemed"}
    assert sealed == {None}


def test_a_part_that_is_killed_holds_others_up_until_its_lease_is_over(
    world: SigningWorld, engine: Engine
) -> None:
    wanted = hashes(40)
    requested = world.request(*wanted)
    world.approve(requested.id)
    csc_sad = world.csc_sad(requested)
    parts = iter([wanted[start : start + 10] for start in range(0, 40, 10)])
    part = [next(parts)]

    def collect(sessions: sessionmaker[Session]) -> None:
        replace(world, sessions=sessions).collect(csc_sad, *part[0])

    for _ in killed_everywhere(engine, collect):
        world.clock.advance(seconds=LEASE.total_seconds())
        part[0] = next(parts, part[0])
    before = world.clock()
    world.clock.advance(seconds=LEASE.total_seconds())
    signatures = world.collect(csc_sad, *wanted)
    assert len(set(signatures)) == 40
    assert world.clock() - before == LEASE
    with world.sessions() as session:
        assert session.scalar(select(func.count()).select_from(Signature)) == 40
    assert world.state(requested.id) == "redeemed"


def test_a_request_that_is_killed_is_there_as_a_whole_or_not_at_all(
    world: SigningWorld, engine: Engine
) -> None:
    def ask(sessions: sessionmaker[Session]) -> None:
        replace(world, sessions=sessions).request(*hashes(3))

    seen = []
    for point in killed_everywhere(engine, ask):
        counts = []
        with world.sessions() as session:
            for table, each in ((Transaction, 1), (AuthorisedHash, 3), (OutboxMessage, 1)):
                number = session.scalar(select(func.count()).select_from(table)) or 0
                counts.append(number / each)
        assert len(set(counts)) == 1
        seen.append((point, counts[0]))
    assert [number for _, number in seen] == [0, 1]


def test_an_answer_that_is_killed_is_repeated_with_the_same_bytes(
    world: SigningWorld, engine: Engine
) -> None:
    requested = world.request(*hashes(1))
    answer = world.answer(requested.id)

    def approve(sessions: sessionmaker[Session]) -> None:
        replace(world, sessions=sessions).send(requested.id, *answer)

    states = [world.state(requested.id) for _ in killed_everywhere(engine, approve)]
    assert states[:2] == ["pending", "approved"]
    assert world.send(requested.id, *answer) == "approved"
    assert len(world.collect(world.csc_sad(requested), *hashes(1))) == 1


def test_a_refusal_that_is_killed_is_repeated_with_the_same_bytes(
    world: SigningWorld, engine: Engine
) -> None:
    requested = world.request(*hashes(1))
    world.approve(requested.id)
    refusal = world.cell.phone.refuse(world.read_ask(requested.id))

    def refuse(sessions: sessionmaker[Session]) -> None:
        replace(world, sessions=sessions).refuse(requested.id, refusal=refusal)

    seen = [
        (world.state(requested.id), world.sealed(requested.id) is None)
        for _ in killed_everywhere(engine, refuse)
    ]
    assert seen[:2] == [("approved", False), ("rejected", True)]
    assert world.refuse(requested.id, refusal=refusal) == "rejected"


@pytest.mark.parametrize("end", ["cancel", "expire"])
def test_an_end_that_is_killed_happened_with_its_seal_erased_or_not_at_all(
    world: SigningWorld, engine: Engine, end: str
) -> None:
    requested = world.request(*hashes(1))
    world.approve(requested.id)
    late = world.transaction(requested.id).use_by

    def finish(sessions: sessionmaker[Session]) -> None:
        with sessions() as session:
            if end == "expire":
                expire_overdue(session, late)
                return
            try:
                cancel(session, transaction=requested.id, because="test", now=world.clock())
            except TransactionOver:
                return

    seen = [
        (world.state(requested.id), world.sealed(requested.id) is None)
        for _ in killed_everywhere(engine, finish)
    ]
    assert seen[0] == ("approved", False)
    assert set(seen[1:]) == {({"cancel": "cancelled", "expire": "expired"}[end], True)}


def test_the_clerk_killed_anywhere_gets_the_signer_one_certificate(
    sam_world: SamWorld,
    session_factory: sessionmaker[Session],
    clock: SettableClock,
    engine: Engine,
) -> None:
    world = open_signing_world(sam_world, session_factory, clock, certified=False)

    def work(sessions: sessionmaker[Session]) -> None:
        # A clerk that comes later: the lease of one that was killed is over.
        make_clerk(SETTINGS, sessions, world.sam.sam, clock=clock).run_once()

    for _ in killed_everywhere(engine, work):
        clock.advance(seconds=LEASE.total_seconds())
    with world.sessions() as session:
        (transaction,) = session.scalars(select(Transaction.id))
    world.approve(transaction)
    for _ in killed_everywhere(engine, work):
        clock.advance(seconds=LEASE.total_seconds())

    with world.sessions() as session:
        cell = session.scalars(select(Cell)).one()
        records = session.scalar(select(func.count()).select_from(Record))
        receipts = session.scalar(select(func.count()).select_from(Receipt))
    assert cell.certificate is not None
    assert (records, receipts) == (2, 1)
    assert world.state(transaction) == "redeemed"
    assert world.sealed(transaction) is None
