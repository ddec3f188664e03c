"""``kill -9`` around every commit of an approval by code, and of what the clerk makes of a yes.

A kill costs at most a try: the next one goes through, and nothing is there by half.
"""

from contextlib import suppress
from dataclasses import replace
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session, sessionmaker

from backend.cli.clerk import make_clerk
from backend.errors import TransactionOver
from backend.model.tables import Amendment, Approval, Cell, Lock, Record, Signer
from backend.protocol.record import verify_record
from backend.signing.amendment import ask_amendment
from tests.world.code_cell import CODE_POLICY
from tests.world.code_world import PASSWORD, CodeWorld, open_code_world
from tests.world.killed import killed_everywhere
from tests.world.signing_world import SigningWorld, hashes

pytestmark = pytest.mark.sms


def test_an_approval_by_code_that_is_killed_anywhere_is_typed_again(
    world: SigningWorld, engine: Engine
) -> None:
    page = open_code_world(world.sam, world.sessions, world.clock, phone=False, login="boris")
    current = [page.world.request(*hashes(1)).id]

    def type_it(sessions: sessionmaker[Session]) -> None:
        there = CodeWorld(world=replace(page.world, sessions=sessions), signer=page.signer)
        there.approve(current[0])

    kills = 0
    for _ in killed_everywhere(engine, type_it):
        kills += 1
        # It was kept already, or is now.
        with suppress(TransactionOver):
            page.approve(current[0])
        assert page.row(current[0]).state == "approved"
        assert page.row(current[0]).method == "password+sms"
        assert page.tries_of_day() <= 1
        page.world.overwrite(lambda session: session.execute(update(Signer).values(code_tries=0)))
        current[0] = page.world.request(*hashes(1)).id
    assert kills >= 6
    with page.world.sessions() as session:
        assert session.scalar(select(func.count()).select_from(Approval)) == kills + 1


def test_an_amendment_that_is_killed_anywhere_is_finished_by_the_next_clerk(
    world: SigningWorld, engine: Engine
) -> None:
    by_phone_alone = msgspec.structs.replace(CODE_POLICY, methods=("app",))
    page = open_code_world(
        world.sam, world.sessions, world.clock, phone=True, login="boris", policy=by_phone_alone
    )
    current = [approved_amendment(page)]

    def work(sessions: sessionmaker[Session]) -> None:
        make_clerk(page.world.settings, sessions, page.world.sam.sam, clock=page.clock).run_once()

    kills = 0
    for _ in killed_everywhere(engine, work):
        kills += 1
        work(page.world.sessions)
        assert is_whole(page, current[0])
        current[0] = approved_amendment(page)
    assert kills >= 2


def approved_amendment(page: CodeWorld) -> UUID:
    page.clock.advance(hours=1)  # the phone is asked so often in an hour, and no more
    with page.world.sessions() as session:
        asked = ask_amendment(
            session,
            page.world.sam.sam,
            signer=page.id,
            method="password+sms",
            unverified_password=PASSWORD,
            unverified_code=None,
            settings=page.world.settings,
            now=page.clock(),
        )
    read = page.world.read_ask(asked.transaction)
    phone = page.signer.cell.phone
    secret = phone.secret_in_lock(page.signer.cell.device_lock)
    page.world.send(asked.transaction, *phone.approve(read, secret, number=asked.number))
    return asked.transaction


def is_whole(page: CodeWorld, transaction: UUID) -> bool:
    """The record allows SMS, the lock is the one that goes with it, and what was sealed is gone."""
    with page.world.sessions() as session:
        cell = session.get_one(Cell, page.signer.cell.made.cell)
        record = session.get_one(Record, (cell.id, cell.epoch)).record
        of_password = select(Lock.lock).where(Lock.cell_id == cell.id, Lock.kind == "password")
        fits = session.scalars(of_password).one() == session.get_one(Amendment, transaction).lock
        told = tuple(cell.methods.split())
    methods = verify_record(record, expected_ks=page.world.sam.public_keys.ks).policy.methods
    return (
        fits
        and told == methods == ("app", "password+sms")
        and page.world.state(transaction) == "redeemed"
        and page.world.sealed(transaction) is None
    )
