"""The relying party polls."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, delete, update
from sqlalchemy.orm import Session

from backend.errors import AuthorizationInvalid, SignerFrozen, TransactionOver
from backend.model.changes import Watch, Watching, look_often
from backend.model.tables import Approval, Transaction
from backend.signing.authorization import (
    Authorization,
    Waiting,
    authorization,
    csc_sad_of,
    wait_for_authorization,
)
from backend.signing.cancellation import cancel
from backend.signing.request import RequestedTransaction
from tests.world.signing_world import SigningWorld, hashes
from tests.world.statements import counted


def test_the_same_csc_sad_is_given_until_the_time_to_collect_is_over(world: SigningWorld) -> None:
    """CSC-71, CSC-72, CSC-83."""
    requested = world.request(*hashes(1))
    assert world.check(requested) == Waiting()
    world.clock.advance(seconds=100.5)
    world.approve(requested.id)

    found = world.check(requested)
    assert found == Authorization(csc_sad=csc_sad_of(requested.handle), expires_in=499)
    world.collect(csc_sad_of(requested.handle), *hashes(1))
    assert world.check(requested) == found

    use_by = world.transaction(requested.id).use_by
    world.clock.set(use_by - timedelta(milliseconds=1))
    last = world.check(requested)
    assert isinstance(last, Authorization)
    assert last.expires_in == 1
    world.clock.set(use_by)
    with pytest.raises(TransactionOver) as over:
        world.check(requested)
    assert over.value.state == "redeemed"


def test_a_handle_is_nothing_for_another_relying_party(world: SigningWorld) -> None:
    """CSC-74."""
    requested = world.request(*hashes(1))
    world.approve(requested.id)
    for handle, party in (
        (requested.handle, uuid4()),
        (bytes(32), world.shop.id),
        (b"", world.shop.id),
        (requested.id.bytes, world.shop.id),
    ):
        with world.sessions() as session, pytest.raises(AuthorizationInvalid):
            authorization(session, handle=handle, relying_party=party, now=world.clock())


def test_how_it_ended_is_told_and_no_csc_sad_given(world: SigningWorld) -> None:
    """CSC-73."""
    rejected, cancelled, expired = (world.request(*hashes(1)) for _ in range(3))
    world.refuse(rejected.id)
    with world.sessions() as session:
        cancel(session, transaction=cancelled.id, because="test", now=world.clock())
    world.clock.advance(seconds=301)
    for requested, state in (
        (rejected, "rejected"),
        (cancelled, "cancelled"),
        (expired, "expired"),
    ):
        with pytest.raises(TransactionOver) as over:
            world.check(requested)
        assert over.value.state == state


def test_an_approval_that_nobody_collected_expires(world: SigningWorld) -> None:
    requested = world.request(*hashes(1))
    world.approve(requested.id)
    world.clock.set(world.transaction(requested.id).use_by)
    with pytest.raises(TransactionOver) as over:
        world.check(requested)
    assert over.value.state == "expired"


def test_a_frozen_signers_approval_is_not_handed_on(world: SigningWorld) -> None:
    requested = world.request(*hashes(1))
    world.approve(requested.id)
    world.freeze()
    with pytest.raises(SignerFrozen):
        world.check(requested)


def test_a_state_without_evidence_gives_no_csc_sad(world: SigningWorld) -> None:
    requested = world.request(*hashes(1))

    def forge(session: Session) -> None:
        session.execute(update(Transaction).values(state="approved"))

    world.overwrite(forge)
    assert world.check(requested) == Waiting()

    world.overwrite(lambda session: session.execute(update(Transaction).values(state="pending")))
    world.approve(requested.id)
    world.overwrite(lambda session: session.execute(delete(Approval)))
    assert world.check(requested) == Waiting()


# --- a caller that blocks ---------------------------------------------------------


class Blocked:
    """A v1 caller; the clock goes on while it waits, and something happens at a look."""

    def __init__(self, world: SigningWorld, *, gone_after: int = 1000) -> None:
        self.world = world
        self.looks = 0
        self.gone_after = gone_after
        self.happens: dict[int, UUID] = {}

    def pause(self, seconds: float) -> None:
        self.looks += 1
        self.world.clock.advance(seconds=seconds)
        if self.looks in self.happens:
            self.world.approve(self.happens[self.looks])

    def wait(
        self,
        requested: RequestedTransaction,
        *,
        seconds: int = 5,
        watching: Watching | None = None,
    ) -> Authorization:
        return wait_for_authorization(
            self.world.sessions,
            transaction=requested.id,
            handle=requested.handle,
            relying_party=self.world.shop.id,
            until=self.world.clock() + timedelta(seconds=seconds),
            clock=self.world.clock,
            gone=lambda: self.looks >= self.gone_after,
            watching=watching or look_often(self.pause),
        )


def test_a_caller_that_blocks_gets_the_authorization_when_the_phone_approves(
    world: SigningWorld,
) -> None:
    """CSC-128."""
    requested = world.request(*hashes(1))
    blocked = Blocked(world)
    blocked.happens[3] = requested.id
    assert blocked.wait(requested).csc_sad == csc_sad_of(requested.handle)
    assert blocked.looks == 3


def test_when_the_time_is_up_the_request_is_cancelled(world: SigningWorld) -> None:
    """CSC-128."""
    requested = world.request(*hashes(1))
    with pytest.raises(TransactionOver) as over:
        Blocked(world).wait(requested)
    assert over.value.state == "cancelled"
    assert world.state(requested.id) == "cancelled"
    with pytest.raises(TransactionOver):
        world.approve(requested.id)


def test_a_caller_that_blocks_looks_only_when_it_is_told_to(
    world: SigningWorld, engine: Engine
) -> None:
    """A second that goes by costs the database nothing."""
    requested = world.request(*hashes(1))
    told = Blocked(world)

    @contextmanager
    def watching(_wait_id: UUID) -> Iterator[Watch]:
        yield lambda _seconds: iter([False] * 30)

    with counted(engine) as looking, pytest.raises(TransactionOver):
        told.wait(requested, watching=watching)

    # The wait id, the cancellation, and on SQLite, where a look is a transaction, one look.
    assert looking.commits == (2 if engine.dialect.name == "postgresql" else 3)


def test_when_the_caller_has_gone_the_request_is_cancelled(world: SigningWorld) -> None:
    requested = world.request(*hashes(1))
    blocked = Blocked(world, gone_after=2)
    with pytest.raises(TransactionOver):
        blocked.wait(requested)
    assert blocked.looks == 2
    assert world.state(requested.id) == "cancelled"


def test_a_refusal_ends_the_wait(world: SigningWorld) -> None:
    requested = world.request(*hashes(1))
    world.refuse(requested.id)
    with pytest.raises(TransactionOver) as over:
        Blocked(world).wait(requested)
    assert over.value.state == "rejected"
