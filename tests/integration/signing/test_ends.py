"""Expiry and cancellation."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import literal, select, text

from backend.errors import NotFound, TransactionOver
from backend.model.tables import Transaction
from backend.signing import expiry
from backend.signing.cancellation import cancel
from backend.signing.expiry import expire_overdue
from tests.world.signing_world import SigningWorld, hashes


def expire(world: SigningWorld) -> int:
    with world.sessions() as session:
        return expire_overdue(session, world.clock())


def call_off(world: SigningWorld, transaction: UUID) -> None:
    with world.sessions() as session:
        cancel(session, transaction=transaction, because="by operator", now=world.clock())


def test_what_nobody_answered_expires_after_its_last_moment(world: SigningWorld) -> None:
    requested = world.request(*hashes(1))
    world.clock.set(requested.expires_at)
    assert expire(world) == 0
    world.clock.advance(seconds=1)
    assert expire(world) == 1
    assert expire(world) == 0
    kept = world.transaction(requested.id)
    assert (kept.state, kept.ended_because is None) == ("expired", False)


def test_what_nobody_collected_expires_at_use_by_and_the_seal_is_erased(
    world: SigningWorld,
) -> None:
    requested = world.request(*hashes(1))
    world.approve(requested.id)
    use_by = world.transaction(requested.id).use_by
    world.clock.set(use_by - timedelta(seconds=1))
    assert expire(world) == 0
    assert world.sealed(requested.id) is not None
    world.clock.set(use_by)
    assert expire(world) == 1
    assert world.state(requested.id) == "expired"
    assert world.sealed(requested.id) is None


def test_what_is_over_stays_as_it_is(world: SigningWorld) -> None:
    redeemed, rejected, cancelled = (world.request(*hashes(1)) for _ in range(3))
    world.approve(redeemed.id)
    world.collect(world.csc_sad(redeemed), *hashes(1))
    world.refuse(rejected.id)
    call_off(world, cancelled.id)
    world.clock.advance(days=1)
    assert expire(world) == 0
    states = [world.state(one.id) for one in (redeemed, rejected, cancelled)]
    assert states == ["redeemed", "rejected", "cancelled"]


def test_many_expire_in_several_rounds(
    world: SigningWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "MOST_AT_ONCE", 2)
    for _ in range(3):
        world.request(*hashes(1))
    world.clock.advance(seconds=301)
    assert [expire(world) for _ in range(3)] == [2, 1, 0]


def test_expiry_looks_only_at_what_is_open(world: SigningWorld) -> None:
    """The index, whose condition stands in the statement word for word, is used."""
    overdue = select(Transaction.id).where(expiry._OPEN, Transaction.expires_at < literal("now"))
    engine = world.sessions.kw["bind"]
    with engine.connect() as connection:
        words = "EXPLAIN QUERY PLAN "
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET enable_seqscan = off"))
            words = "EXPLAIN "
        statement = str(overdue.compile(engine, compile_kwargs={"literal_binds": True}))
        assert "ix_transactions_open" in str(connection.execute(text(words + statement)).all())


def test_an_operator_cancels_what_is_pending_or_approved(world: SigningWorld) -> None:
    pending, approved = world.request(*hashes(1)), world.request(*hashes(1))
    world.approve(approved.id)
    csc_sad = world.csc_sad(approved)
    call_off(world, pending.id)
    call_off(world, approved.id)

    assert world.sealed(approved.id) is None
    assert world.transaction(approved.id).ended_because == "by operator"
    with pytest.raises(TransactionOver):
        world.approve(pending.id)
    with pytest.raises(TransactionOver) as over:
        world.collect(csc_sad, *hashes(1))
    assert over.value.state == "cancelled"


def test_what_is_over_cannot_be_cancelled(world: SigningWorld) -> None:
    done, old = world.request(*hashes(1)), world.request(*hashes(1))
    world.approve(done.id)
    world.collect(world.csc_sad(done), *hashes(1))
    world.clock.advance(seconds=301)
    for requested, state in ((done, "redeemed"), (old, "expired")):
        with pytest.raises(TransactionOver) as over:
            call_off(world, requested.id)
        assert over.value.state == state
    with pytest.raises(NotFound):
        call_off(world, uuid4())
