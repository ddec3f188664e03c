"""How often and how much a relying party may ask; whoever is refused, the owner never is."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Barrier
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from sqlalchemy import func, select, update

from backend.access.turns import MINUTE, any_shard, forget_rates, shards
from backend.errors import (
    CellkeyError,
    CredentialDisabled,
    PartyStopped,
    SignerFrozen,
    TooManyRequests,
)
from backend.model.tables import AskingRate, Device, StoppedParty, Transaction
from backend.sam.transactions import (
    ApproveByCode,
    ApprovedByCode,
    CodeSms,
    OpenedTransaction,
    OpenTransaction,
    RenderSms,
)
from backend.signing import adding
from backend.signing.adding import add_asked
from backend.signing.limits import asking, refuse_or_go_on
from backend.signing.request import RequestedTransaction, request_signatures
from tests.world.signing_world import SETTINGS, SigningWorld, hashes


def limited(world: SigningWorld, **changed: int) -> SigningWorld:
    """The same world under other limits."""
    return replace(world, settings=msgspec.structs.replace(SETTINGS, **changed))


def ask(world: SigningWorld) -> RequestedTransaction:
    return world.request(*hashes(1))


def refused(world: SigningWorld) -> int:
    """Ask in vain; gives when to ask again."""
    with pytest.raises(TooManyRequests) as error:
        ask(world)
    return error.value.retry_after_seconds


def asks(world: SigningWorld) -> bool:
    """Ask; tells whether it was in vain."""
    try:
        ask(world)
    except TooManyRequests:
        return False
    return True


def pending(world: SigningWorld) -> int:
    with world.sessions() as session:
        count = select(func.count()).where(Transaction.state == "pending")
        return session.scalar(count) or 0


def at_once(call: Callable[[], object], times: int) -> list[object]:
    """Call so many times at the same moment; what each returned or raised."""
    barrier = Barrier(times)

    def run(_: int) -> object:
        barrier.wait()
        try:
            return call()
        except CellkeyError as error:
            return error

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(run, range(times)))


# --- slots: what one relying party asks one signer ------------------------------


def test_t_22_a_relying_party_fills_its_own_slots_and_no_others(world: SigningWorld) -> None:
    bank = world.another_party()
    asked = [ask(world) for _ in range(5)]

    refused(world)
    theirs = ask(bank)

    assert pending(world) == 6
    assert len({world.transaction(one.id).slot for one in asked}) == 5
    assert bank.approve(theirs.id) == "approved"


def test_t_21_the_owner_answers_whatever_is_there_while_its_asker_is_refused(
    world: SigningWorld,
) -> None:
    asked = [ask(world) for _ in range(5)]
    refused(world)

    assert world.approve(asked[0].id) == "approved"
    assert world.refuse(asked[1].id) == "rejected"
    assert len(world.collect(world.csc_sad(asked[0]), *hashes(1))) == 1


@pytest.mark.parametrize("answer", ["approve", "refuse"])
def test_an_answer_frees_the_slot_at_once(world: SigningWorld, answer: str) -> None:
    world = limited(world, pending_per_signer=1)
    asked = ask(world)
    refused(world)

    getattr(world, answer)(asked.id)

    ask(world)


def test_waiting_as_long_as_it_says_is_enough_even_without_a_worker(world: SigningWorld) -> None:
    """T-22: a slot ends with its request, whether or not the worker has written so."""
    ask(world)
    world.clock.advance(seconds=30)
    for _ in range(4):
        ask(world)
    seconds = refused(world)

    world.clock.advance(seconds=seconds - 1)
    refused(world)
    world.clock.advance(seconds=1)

    ask(world)
    assert seconds == 271
    refused(world)


@pytest.mark.parametrize("slots", [1, 5])
def test_fifty_at_once_get_exactly_the_slots_there_are(world: SigningWorld, slots: int) -> None:
    world = limited(world, pending_per_signer=slots)

    results = at_once(partial(ask, world), 50)

    passed = [one for one in results if isinstance(one, RequestedTransaction)]
    assert len(passed) == pending(world) == slots
    assert {type(one) for one in results} == {RequestedTransaction, TooManyRequests}


def test_what_is_refused_costs_the_sam_nothing(world: SigningWorld) -> None:
    """T-39."""
    for _ in range(5):
        ask(world)

    with pytest.raises(TooManyRequests):
        ask_without_sam(world)


def test_who_has_no_phone_nor_another_way_is_asked_for_nothing_and_costs_the_sam_nothing(
    world_on_sqlite: SigningWorld,
) -> None:
    gone = update(Device).values(removal_asked_at=world_on_sqlite.clock())
    world_on_sqlite.overwrite(lambda session: session.execute(gone))

    with pytest.raises(CredentialDisabled, match="no phone is left"):
        ask_without_sam(world_on_sqlite)


def ask_without_sam(world: SigningWorld) -> None:
    with world.sessions() as session:
        request_signatures(
            session,
            NoSam(),
            world.order(*hashes(1)),
            settings=world.settings,
            now=world.clock(),
        )


class NoSam:
    """Must not be asked."""

    def open_transaction(self, request: OpenTransaction) -> OpenedTransaction:
        raise AssertionError(request)

    def render_sms(self, request: RenderSms) -> CodeSms:
        raise AssertionError(request)

    def approve_by_code(self, request: ApproveByCode) -> ApprovedByCode:
        raise AssertionError(request)


# --- turns: what one relying party asks in a minute -----------------------------


def test_a_minute_has_so_many_turns_and_gives_them_back_one_by_one(world: SigningWorld) -> None:
    world = limited(world, requests_per_minute=3, pending_per_signer=20)
    bank = world.another_party()
    for _ in range(3):
        ask(world)
    seconds = refused(world)

    ask(bank)
    world.clock.advance(seconds=seconds - 1)
    refused(world)
    world.clock.advance(seconds=1)
    for _ in range(2):
        ask(world)  # the three shards were taken at one moment
    assert seconds == 60


def test_fifty_at_once_get_exactly_the_turns_there_are(world: SigningWorld) -> None:
    """More turns than shards: a shard that is empty sends its callers on to the others."""
    world = limited(world, requests_per_minute=17, pending_per_signer=20)

    results = at_once(partial(ask, world), 50)

    assert sum(isinstance(one, RequestedTransaction) for one in results) == 17
    assert pending(world) == 17


def test_unanswered_requests_of_one_party_are_bounded_by_turns_and_time(
    world_on_sqlite: SigningWorld,
) -> None:
    """Rule 2 of the module: a burst and what a request's life gives back, whatever it tries."""
    world = limited(
        world_on_sqlite, requests_per_minute=4, pending_per_signer=20, transaction_seconds=60
    )
    most = 0
    for _ in range(15):
        while asks(world):
            pass
        with world.sessions() as session:
            open_now = select(func.count()).where(Transaction.expires_at >= world.clock())
            most = max(most, session.scalar(open_now) or 0)
        world.clock.advance(seconds=10)
    assert 4 < most <= 4 * (1 + 1)


def test_a_refused_slot_takes_no_turn(world: SigningWorld) -> None:
    world = limited(world, requests_per_minute=3, pending_per_signer=1)
    asked = ask(world)
    for _ in range(5):
        refused(world)
    for _ in range(2):
        world.approve(asked.id)
        asked = ask(world)

    assert refused(world) > 0


def test_a_row_that_no_clock_can_have_written_counts_as_none(world: SigningWorld) -> None:
    """T-21, T-18: a clock that was wrong once, or a row written by hand, keeps nobody out."""
    world = limited(world, requests_per_minute=1)
    ask(world)
    hour = 60 * MINUTE
    world.overwrite(
        lambda session: session.execute(
            update(AskingRate).values(spent_until=AskingRate.spent_until + hour)
        )
    )

    ask(world)
    refused(world)


def test_the_worker_deletes_rates_that_say_nothing_any_more(world: SigningWorld) -> None:
    world = limited(world, requests_per_minute=2)
    for _ in range(2):
        ask(world)
    counts = []
    for seconds in (0, 61):
        now = world.clock.advance(seconds=seconds)
        with world.sessions() as session:
            counts.append(forget_rates(session, now))

    assert counts == [0, 2]
    ask(world)


@pytest.mark.parametrize("per_minute", [1, 5, 16, 17, 15_000, 600_000])
def test_the_shards_have_all_the_turns_and_none_twice(per_minute: int) -> None:
    parts = shards(per_minute)

    assert sum(part.turns for part in parts) == per_minute
    assert min(part.turns for part in parts) >= 1
    assert len(parts) == min(16, per_minute)
    assert any_shard(per_minute) in parts
    assert all(part.step * part.turns >= MINUTE for part in parts)


# --- what changes between the look and the commit -------------------------------


def admitted(world: SigningWorld, row: dict[str, Any]) -> None:
    asked = asking(signer=world.cell.signer, relying_party=world.shop.id, settings=world.settings)
    with world.sessions() as session:
        add_asked(session, row, [("{}", b"h" * 32)], asked, at_once=3, now=world.clock())


@pytest.fixture
def row(world: SigningWorld) -> dict[str, Any]:
    """Of a transaction that is not there."""
    asked = world.transaction(ask(world).id)
    columns = [column.name for column in Transaction.__table__.columns]
    made = {name: getattr(asked, name) for name in columns if name != "slot"}
    changed = {"id": uuid4(), "tx_hash": b"t" * 32, "handle_hash": b"h", "csc_sad_hash": b"s"}
    return made | changed


def test_a_not_me_between_look_and_commit_counts(world: SigningWorld, row: dict[str, Any]) -> None:
    stopped = StoppedParty(
        signer_id=world.cell.signer, relying_party_id=world.shop.id, stopped_at=world.clock()
    )
    world.overwrite(lambda session: session.add(stopped))

    with pytest.raises(PartyStopped):
        admitted(world, row)
    assert pending(world) == 1


def test_a_freeze_between_look_and_commit_counts(world: SigningWorld, row: dict[str, Any]) -> None:
    """R-048."""
    world.freeze()

    with pytest.raises(SignerFrozen):
        admitted(world, row)
    assert pending(world) == 1


def test_who_finds_the_slots_taken_meanwhile_is_refused(
    world: SigningWorld, row: dict[str, Any]
) -> None:
    for _ in range(4):
        ask(world)

    with pytest.raises(TooManyRequests):
        admitted(world, row)


def test_where_nothing_stands_in_the_way_any_more_it_goes_on(
    world: SigningWorld, row: dict[str, Any]
) -> None:
    asked = asking(signer=world.cell.signer, relying_party=world.shop.id, settings=world.settings)
    with world.sessions() as session:
        shard = refuse_or_go_on(session, asked, now=world.clock())

    assert shard in shards(world.settings.requests_per_minute)
    admitted(world, row)
    assert pending(world) == 2


def test_an_endless_race_ends_with_a_wait(
    world: SigningWorld, row: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adding, "MOST_ATTEMPTS", 0)

    with pytest.raises(TooManyRequests) as error:
        admitted(world, row)
    assert error.value.retry_after_seconds == 1
