"""Everything at once, from real threads: one outcome, and each hash has one signature."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Barrier, Event, Lock
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from backend.errors import CellkeyError, TransactionOver
from backend.model.tables import Approval, Receipt, Signature, TransactionState
from backend.sam.releases import Release, Released
from backend.signing.cancellation import cancel
from backend.signing.expiry import expire_overdue
from backend.signing.release import release
from backend.signing.reservation import LEASE
from backend.wiring import make_engine, make_session_factory
from tests.world.signing_world import SigningWorld, hashes


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Call all of them at the same moment; give what each returned, or the error it met."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:  # noqa: ANN401  # whatever the call gives
        barrier.wait()
        try:
            return call()
        except CellkeyError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


class CountingSam:
    """The real SAM; counts what it was asked to sign."""

    def __init__(self, world: SigningWorld) -> None:
        self.world = world
        self.positions: list[int] = []

    def release(self, request: Release) -> Released:
        self.positions += request.requested
        return self.world.sam.sam.release(request)


def collect(
    world: SigningWorld, sam: CountingSam, csc_sad: str, *wanted: bytes
) -> dict[bytes, bytes]:
    with world.sessions() as session:
        signatures = release(session, sam, world.collection(csc_sad, *wanted), now=world.clock)
    return dict(zip(wanted, signatures, strict=True))


def count(world: SigningWorld, table: type[Any]) -> int:
    with world.sessions() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_a_hundred_calls_at_once_give_one_set_of_signatures(world: SigningWorld) -> None:
    """CSC-89."""
    requested = world.request(*hashes(5))
    world.approve(requested.id)
    sam, csc_sad = CountingSam(world), world.csc_sad(requested)

    results = at_once(*[partial(collect, world, sam, csc_sad, *hashes(5))] * 100)

    assert {tuple(result.items()) for result in results} == {tuple(results[0].items())}
    assert sorted(sam.positions) == [0, 1, 2, 3, 4]
    assert (count(world, Signature), count(world, Receipt)) == (5, 1)
    assert world.state(requested.id) == "redeemed"


def test_a_hundred_calls_by_two_processes_give_one_set_of_signatures(
    world: SigningWorld, engine: Engine
) -> None:
    """CSC-89: two pools of connections know nothing of each other, as two processes do not."""
    requested = world.request(*hashes(5))
    world.approve(requested.id)
    sam, csc_sad = CountingSam(world), world.csc_sad(requested)
    other = make_engine(engine.url.render_as_string(hide_password=False))
    elsewhere = replace(world, sessions=make_session_factory(other))

    try:
        results = at_once(
            *[partial(collect, world, sam, csc_sad, *hashes(5))] * 50,
            *[partial(collect, elsewhere, sam, csc_sad, *hashes(5)[::-1])] * 50,
        )
    finally:
        other.dispose()

    assert [result for result in results if result != results[0]] == []
    assert sorted(sam.positions) == [0, 1, 2, 3, 4]
    assert (count(world, Signature), count(world, Receipt)) == (5, 1)


class SlowSam(CountingSam):
    """Takes longer for its first answer than a lease lasts: until somebody else has come."""

    def __init__(self, world: SigningWorld) -> None:
        super().__init__(world)
        self._is_first = Lock()
        self._second_came = Event()

    def release(self, request: Release) -> Released:
        if not self._is_first.acquire(blocking=False):
            self._second_came.set()
            return super().release(request)
        released = super().release(request)
        self.world.clock.advance(seconds=LEASE.total_seconds() + 1)
        assert self._second_came.wait(240)
        return released


def test_a_hundred_calls_at_a_sam_that_outlives_leases_give_one_set_of_signatures(
    world: SigningWorld,
) -> None:
    """Then a hash is signed more than once, but only one of its signatures ever leaves."""
    requested = world.request(*hashes(1))
    world.approve(requested.id)
    sam, csc_sad = SlowSam(world), world.csc_sad(requested)

    results = at_once(*[partial(collect, world, sam, csc_sad, *hashes(1))] * 100)

    assert [result for result in results if result != results[0]] == []
    assert isinstance(results[0], dict)
    assert len(sam.positions) > 1
    assert (count(world, Signature), count(world, Receipt)) == (1, 1)
    assert world.state(requested.id) == "redeemed"


def test_calls_that_overlap_share_the_signatures(world: SigningWorld) -> None:
    """CSC-120, CSC-123."""
    wanted = hashes(12)
    requested = world.request(*wanted)
    world.approve(requested.id)
    sam, csc_sad = CountingSam(world), world.csc_sad(requested)
    parts = [wanted[start : start + 4] for start in range(9)] + [wanted[::-1], wanted[::2]]

    results = at_once(*(partial(collect, world, sam, csc_sad, *part) for part in parts))

    handed_out: dict[bytes, set[bytes]] = {}
    for result in results:
        for digest, signature in result.items():
            handed_out.setdefault(digest, set()).add(signature)
    assert {len(signatures) for signatures in handed_out.values()} == {1}
    assert sorted(sam.positions) == list(range(12))
    assert world.state(requested.id) == "redeemed"
    assert world.sealed(requested.id) is None


def test_parts_that_do_not_overlap_redeem_it_together(world: SigningWorld) -> None:
    """None of the callers sees that it was the last, but one of them must be."""
    for round_number in range(5):
        wanted = hashes(6, seed=str(round_number))
        requested = world.request(*wanted)
        world.approve(requested.id)
        sam, csc_sad = CountingSam(world), world.csc_sad(requested)
        at_once(*(partial(collect, world, sam, csc_sad, digest) for digest in wanted))
        assert world.state(requested.id) == "redeemed"
        assert world.sealed(requested.id) is None


def test_the_same_approval_sent_many_times_at_once_is_one(world: SigningWorld) -> None:
    requested = world.request(*hashes(1))
    answer = world.answer(requested.id)
    results = at_once(*[partial(world.send, requested.id, *answer)] * 20)
    assert set(results) == {TransactionState.APPROVED}
    assert count(world, Approval) == 1


def test_of_two_approvals_one_stands(world: SigningWorld) -> None:
    requested = world.request(*hashes(1))
    answers = [world.answer(requested.id) for _ in range(10)]
    results = at_once(*(partial(world.send, requested.id, *answer) for answer in answers))
    assert sum(result == "approved" for result in results) == 1
    assert sum(isinstance(result, TransactionOver) for result in results) == 9
    assert count(world, Approval) == 1


@pytest.mark.parametrize("attempt", range(4))
def test_yes_no_cancel_and_freeze_at_once_have_one_outcome(
    world: SigningWorld, attempt: int
) -> None:
    """Whatever comes first stands or is overruled by what may overrule it; nothing in between."""
    requested = world.request(*hashes(1))
    answer = world.answer(requested.id)
    refusal = world.cell.phone.refuse(world.read_ask(requested.id))

    def call_off() -> str:
        with world.sessions() as session:
            cancel(session, transaction=requested.id, because="race", now=world.clock())
        return "cancelled"

    calls: list[Callable[[], Any]] = [
        partial(world.send, requested.id, *answer),
        partial(world.refuse, requested.id, refusal=refusal),
        call_off,
    ]
    results = at_once(*calls[attempt % 3 :], *calls[: attempt % 3])

    ends = [result for result in results if result in {"rejected", "cancelled"}]
    assert ends == [world.state(requested.id)]
    with world.sessions() as session:
        sealed = session.scalars(select(Approval.sealed)).all()
    assert sealed in ([], [None])


@pytest.mark.parametrize("attempt", range(4))
def test_release_and_refusal_at_once_agree(world: SigningWorld, attempt: int) -> None:
    """Either the signature left and the refusal came too late, or none ever leaves."""
    requested = world.request(*hashes(1))
    world.approve(requested.id)
    refusal = world.cell.phone.refuse(world.read_ask(requested.id))
    sam, csc_sad = CountingSam(world), world.csc_sad(requested)
    calls: list[Callable[[], Any]] = [
        partial(collect, world, sam, csc_sad, *hashes(1)),
        partial(world.refuse, requested.id, refusal=refusal),
    ]
    signed, refused = at_once(*calls)

    if isinstance(signed, dict):
        assert isinstance(refused, TransactionOver)
        assert (world.state(requested.id), count(world, Signature)) == ("redeemed", 1)
    else:
        assert refused == "rejected"
        assert (world.state(requested.id), count(world, Signature)) == ("rejected", 0)
    assert world.sealed(requested.id) is None


@pytest.mark.parametrize("attempt", range(4))
def test_approval_and_expiry_at_once_agree(world: SigningWorld, attempt: int) -> None:
    """The worker's clock is ahead of the phone server's."""
    requested = world.request(*hashes(1))
    answer = world.answer(requested.id)
    ahead = world.transaction(requested.id).use_by

    def expire() -> int:
        with world.sessions() as session:
            return expire_overdue(session, ahead)

    approved, expired = at_once(partial(world.send, requested.id, *answer), expire)
    # The worker leaves out what somebody holds at that moment; it finds it in its next round.
    assert expired + expire() == 1
    assert world.state(requested.id) == "expired"
    if approved == "approved":
        assert world.sealed(requested.id) is None
    else:
        assert isinstance(approved, TransactionOver)
        assert count(world, Approval) == 0


def test_release_and_freeze_at_once_agree(world: SigningWorld) -> None:
    requested = world.request(*hashes(1))
    world.approve(requested.id)
    sam, csc_sad = CountingSam(world), world.csc_sad(requested)
    signed, _ = at_once(partial(collect, world, sam, csc_sad, *hashes(1)), world.freeze)
    assert count(world, Signature) == (1 if isinstance(signed, dict) else 0)
