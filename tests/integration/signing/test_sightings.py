"""What phones read by and what they opened is noted at once and written together."""

from datetime import timedelta
from threading import Event
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from backend.access.phones import UsedProof
from backend.errors import ProofReplayed
from backend.model.tables import RequestProof
from backend.signing.sightings import Sightings
from tests.world.signing_world import SigningWorld, hashes


def proof(world: SigningWorld, *, seconds: int = 61) -> UsedProof:
    return UsedProof(jti=uuid4(), expires_at=world.clock() + timedelta(seconds=seconds))


def written(world: SigningWorld) -> set[UUID]:
    with world.sessions() as session:
        return set(session.scalars(select(RequestProof.jti)))


def write(world: SigningWorld, sightings: Sightings) -> None:
    with world.sessions() as session:
        sightings.write(session, now=world.clock())


def test_a_proof_counts_once_before_and_after_it_is_written(world: SigningWorld) -> None:
    """T-04."""
    sightings, used = Sightings(), proof(world)
    sightings.use_up(used)
    with pytest.raises(ProofReplayed):
        sightings.use_up(used)
    write(world, sightings)
    assert written(world) == {used.jti}
    with pytest.raises(ProofReplayed):
        sightings.use_up(used)


def test_what_two_processes_noted_is_written_once(world: SigningWorld) -> None:
    one, other, used = Sightings(), Sightings(), proof(world)
    one.use_up(used)
    other.use_up(used)
    write(world, one)
    write(world, other)
    assert written(world) == {used.jti}


def test_a_proof_that_is_too_old_anyway_is_forgotten(world: SigningWorld) -> None:
    sightings, used = Sightings(), proof(world)
    sightings.use_up(used)
    world.clock.set(used.expires_at)
    write(world, sightings)
    sightings.use_up(used)


def test_the_first_sight_of_a_transaction_stays(world: SigningWorld) -> None:
    requested = world.request(*hashes(1))
    sightings, seen_at = Sightings(), world.clock()
    sightings.see(requested.id, now=seen_at)
    sightings.see(requested.id, now=world.clock.advance(seconds=1))
    write(world, sightings)
    sightings.see(requested.id, now=world.clock.advance(seconds=1))
    write(world, sightings)
    assert world.transaction(requested.id).seen_at == seen_at


def test_what_could_not_be_written_is_written_next_time(world: SigningWorld) -> None:
    requested = world.request(*hashes(1))
    sightings, used = Sightings(), proof(world)
    sightings.use_up(used)
    sightings.see(requested.id, now=world.clock())

    class Broken(Session):
        def commit(self) -> None:
            raise OperationalError("COMMIT", {}, Exception("gone"))

    with Broken(world.sessions.kw["bind"]) as session, pytest.raises(OperationalError):
        sightings.write(session, now=world.clock())
    assert written(world) == set()
    write(world, sightings)
    assert written(world) == {used.jti}
    assert world.transaction(requested.id).seen_at is not None


def test_who_keeps_writing_writes_once_more_when_told_to_stop(world: SigningWorld) -> None:
    sightings, used, stop = Sightings(), proof(world), Event()
    sightings.use_up(used)
    stop.set()
    sightings.keep_writing(world.sessions, clock=world.clock, stop=stop)
    assert written(world) == {used.jti}


def test_an_outage_ends_no_writer(world: SigningWorld, caplog: pytest.LogCaptureFixture) -> None:
    sightings, used, stop = Sightings(), proof(world), Event()
    sightings.use_up(used)

    def broken() -> Session:
        stop.set()
        raise OperationalError("SELECT", {}, Exception("gone"))

    sightings.keep_writing(broken, clock=world.clock, stop=stop)
    assert "could not be written" in caplog.text
    write(world, sightings)
    assert written(world) == {used.jti}
