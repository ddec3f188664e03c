"""What the phone sees."""

from uuid import uuid4

import msgspec
import pytest
from sqlalchemy import delete

from backend.errors import NotFound
from backend.model.tables import Lock
from backend.signing.pending import MOST_PENDING, PendingList, pending, show
from backend.signing.request import add_enrolment, request_enrolment
from tests.world.signing_world import SETTINGS, SigningWorld, hashes


def look(world: SigningWorld) -> PendingList:
    with world.sessions() as session:
        return pending(session, cell=world.cell.made.cell, now=world.clock())


def test_the_oldest_comes_first_and_the_version_changes_with_the_list(world: SigningWorld) -> None:
    empty = look(world)
    assert empty.transactions == ()
    first = world.request(*hashes(1))
    world.clock.advance(seconds=1)
    second = world.request(*hashes(1))

    both = look(world)
    assert [one.id for one in both.transactions] == [first.id, second.id]
    assert both.transactions[0].kind == "sign"
    assert both.transactions[0].expires_at == first.expires_at
    assert look(world) == both

    world.approve(first.id)
    rest = look(world)
    assert [one.id for one in rest.transactions] == [second.id]
    assert len({empty.version, both.version, rest.version}) == 3


def test_what_nobody_answered_in_time_is_not_listed(world: SigningWorld) -> None:
    requested = world.request(*hashes(1))
    world.clock.set(requested.expires_at)
    assert len(look(world).transactions) == 1  # the last moment to approve
    world.clock.advance(seconds=0.001)
    assert look(world).transactions == ()


def test_a_hundred_are_enough_for_a_screen(world_on_sqlite: SigningWorld) -> None:
    world = world_on_sqlite
    shops = [world.another_party(f"shop-{number}") for number in range(MOST_PENDING // 5 + 1)]
    for number in range(MOST_PENDING + 1):
        shops[number // 5].request(*hashes(1, seed=str(number)))
    assert len(look(world).transactions) == MOST_PENDING


def test_the_phone_gets_ask_list_and_its_lock_and_the_time_is_recorded_once(
    world: SigningWorld,
) -> None:
    requested = world.request(*hashes(3))
    opened_at = world.clock.advance(seconds=5)
    with world.sessions() as session:
        shown = show(
            session,
            phone=world.phone,
            transaction=requested.id,
            sightings=world.sightings,
            now=world.clock(),
        )
    assert shown.state == "pending"
    assert len(shown.items) == 3
    assert shown.lock == world.cell.device_lock
    assert world.cell.phone.secret_in_lock(shown.lock) == world.cell.secret

    world.clock.advance(seconds=5)
    with world.sessions() as session:
        assert show(
            session,
            phone=world.phone,
            transaction=requested.id,
            sightings=world.sightings,
            now=world.clock(),
        ) == (shown)
        assert world.transaction(requested.id).seen_at is None
        world.sightings.write(session, now=world.clock())
    assert world.transaction(requested.id).seen_at == opened_at


def test_an_old_ask_is_shown_as_expired_before_the_worker_says_so(world: SigningWorld) -> None:
    requested = world.request(*hashes(1))
    world.clock.advance(seconds=301)
    with world.sessions() as session:
        shown = show(
            session,
            phone=world.phone,
            transaction=requested.id,
            sightings=world.sightings,
            now=world.clock(),
        )
    assert shown.state == "expired"
    assert world.state(requested.id) == "pending"


def test_another_cells_phone_finds_nothing(world: SigningWorld) -> None:
    requested = world.request(*hashes(1))
    stranger = msgspec.structs.replace(world.phone, cell=uuid4())
    with world.sessions() as session, pytest.raises(NotFound):
        show(
            session,
            phone=stranger,
            transaction=requested.id,
            sightings=world.sightings,
            now=world.clock(),
        )


def test_a_phone_without_a_lock_is_shown_nothing(world: SigningWorld) -> None:
    requested = world.request(*hashes(1))
    world.overwrite(lambda session: session.execute(delete(Lock)))
    with world.sessions() as session, pytest.raises(NotFound):
        show(
            session,
            phone=world.phone,
            transaction=requested.id,
            sightings=world.sightings,
            now=world.clock(),
        )


def test_an_ask_to_enrol_belongs_to_a_pairing_and_is_not_listed(world: SigningWorld) -> None:
    with world.sessions() as session:
        opened = request_enrolment(
            session,
            world.sam.sam,
            cell=world.cell.made.cell,
            signer_name="Anna",
            settings=SETTINGS,
            now=world.clock(),
            use_seconds=900,
        )
        add_enrolment(session, opened)
        session.commit()
    transaction = opened.id
    assert look(world).transactions == ()
    with world.sessions() as session, pytest.raises(NotFound):
        show(
            session,
            phone=world.phone,
            transaction=transaction,
            sightings=world.sightings,
            now=world.clock(),
        )
    kept = world.transaction(transaction)
    assert (kept.use_by - world.clock()).total_seconds() == 900
    assert kept.expires_at == kept.use_by
