"""A second phone in a signing world: let in by the first, through every use case that it takes."""

from dataclasses import replace
from typing import cast
from uuid import uuid4

from sqlalchemy import Row, select

from backend.access.phones import ProvenCall, UsedProof
from backend.devices.enrolment.further import ask_further, finish_further
from backend.devices.enrolment.removal import remove
from backend.devices.further_device import store_further_enrolment
from backend.devices.removal import ask_removal, asked_removals
from backend.model.tables import Cell, Lock, Record
from backend.protocol.enrolment import read_enrolment
from tests.world.paired_cell import screen_of
from tests.world.paper_phone import PaperPhone
from tests.world.signing_world import SigningWorld


def let_in(world: SigningWorld) -> SigningWorld:
    """Pair a second phone; gives the same world, seen by its owner."""
    new, now = PaperPhone(), world.clock()
    proof = UsedProof(jti=uuid4(), expires_at=now)
    call = ProvenCall(phone=world.phone, proof=proof, row=cast("Row[tuple[object]]", None))
    with world.sessions() as session:
        asked = ask_further(
            session,
            world.sam.sam,
            call=call,
            prints=screen_of(new),
            settings=world.settings,
            now=now,
        )
    enrolment = new.enrol_without_secret(world.read_ask(asked.transaction))
    with world.sessions() as session:
        store_further_enrolment(
            session,
            enrolment=enrolment,
            claims=read_enrolment(enrolment),
            proof=UsedProof(jti=uuid4(), expires_at=now),
            public_keys=world.sam.public_keys,
            settings=world.settings,
            now=now,
        )
    world.approve(asked.transaction)
    with world.sessions() as session:
        assert finish_further(session, world.sam.sam, transaction=asked.transaction, now=now)
        lock = session.scalars(select(Lock.lock).where(Lock.key_id == new.kid)).one()
        newest = select(Record.record).join(Cell, Cell.id == Record.cell_id)
        record = session.scalars(newest.where(Record.epoch == Cell.epoch)).one()
    return replace(world, cell=replace(world.cell, phone=new, device_lock=lock, record=record))


def ask_removal_of(second: SigningWorld, *, by: SigningWorld) -> None:
    """The first phone has the second one removed."""
    with by.sessions() as session:
        ask_removal(session, phone=by.phone, kid=second.cell.phone.kid, now=by.clock())


def follow_removals(world: SigningWorld) -> None:
    """What the clerk does."""
    with world.sessions() as session:
        asked = asked_removals(session)
        session.commit()
        for kid in asked:
            remove(session, world.sam.sam, kid=kid, now=world.clock())
