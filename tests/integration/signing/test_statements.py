"""What a step costs the database: a fixed number of statements, however large the batch."""

import pytest
from sqlalchemy import Engine

from backend.signing.pending import pending, show
from tests.world.signing_world import SigningWorld, hashes
from tests.world.statements import counted


@pytest.mark.parametrize("count", [1, 100])
def test_each_step_takes_few_statements(world: SigningWorld, engine: Engine, count: int) -> None:
    wanted = hashes(count)
    with counted(engine) as asking:
        requested = world.request(*wanted)
    with counted(engine) as polling:
        world.check(requested)
    answer = world.answer(requested.id)
    with counted(engine) as approving:
        world.send(requested.id, *answer)
    csc_sad = world.csc_sad(requested)
    with counted(engine) as collecting:
        world.collect(csc_sad, *wanted)
    with counted(engine) as repeating:
        world.collect(csc_sad, *wanted)

    # (statements, of these writes, commits); a read's end is a commit that writes nothing.
    # On SQLite the turn (signing/limits.py) is taken by a statement of its own.
    more = 0 if engine.dialect.name == "postgresql" else 1
    assert (len(asking.texts), asking.writes, asking.commits) == (5 + more, 4 + more, 2)
    assert (len(polling.texts), polling.writes, polling.commits) == (1, 0, 1)
    assert (len(approving.texts), approving.writes, approving.commits) == (3, 2, 1)
    assert (len(collecting.texts), collecting.writes, collecting.commits) == (7, 5, 2)
    assert (len(repeating.texts), repeating.writes, repeating.commits) == (2, 0, 1)


def test_looking_costs_a_phone_one_statement_and_an_ask_two(
    world: SigningWorld, engine: Engine
) -> None:

    requested = world.request(*hashes(3))
    phone = world.phone
    with counted(engine) as looking, world.sessions() as session:
        pending(session, cell=phone.cell, now=world.clock())
    assert (len(looking.texts), looking.writes) == (1, 0)
    for writes in (1, 0):
        with counted(engine) as opening, world.sessions() as session:
            show(session, phone=phone, transaction=requested.id, now=world.clock())
        assert (len(opening.texts), opening.writes) == (2 + writes, writes)
