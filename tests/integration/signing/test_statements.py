"""What a step costs the database: a fixed number of statements, however large the batch.

A whole flow takes, on PostgreSQL, at most 12 statements and 4 commits. The two statements by which
relying party and phone are known are counted where they call (tests/journeys).
"""

from typing import Final

import pytest
from sqlalchemy import Engine

from backend.signing.pending import pending, show
from tests.world.signing_world import SigningWorld, hashes
from tests.world.statements import Statements, counted

ON_POSTGRESQL: Final = {
    "asking": (2, 1),
    "polling": (1, 0),
    "approving": (2, 1),
    "collecting": (2, 2),
}
"""Statements, commits."""
ON_SQLITE: Final = {
    "asking": (7, 2),
    "polling": (1, 1),
    "approving": (4, 2),
    "collecting": (7, 2),
}
"""There the parts of a step are statements, and a read ends by a commit, too."""


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

    counts = {
        "asking": _cost(asking),
        "polling": _cost(polling),
        "approving": _cost(approving),
        "collecting": _cost(collecting),
    }
    expected = ON_POSTGRESQL if engine.dialect.name == "postgresql" else ON_SQLITE
    assert counts == expected
    assert len(repeating.texts) == 2


def test_looking_costs_a_phone_one_statement_and_an_ask_one_more(
    world: SigningWorld, engine: Engine
) -> None:
    requested = world.request(*hashes(3))
    phone = world.phone
    with counted(engine) as looking, world.sessions() as session:
        pending(session, cell=phone.cell, now=world.clock())
    assert (len(looking.texts), looking.writes) == (1, 0)
    for _ in range(2):
        with counted(engine) as opening, world.sessions() as session:
            show(
                session,
                phone=phone,
                transaction=requested.id,
                sightings=world.sightings,
                now=world.clock(),
            )
        assert (len(opening.texts), opening.writes) == (1, 0)


def _cost(seen: Statements) -> tuple[int, int]:
    return len(seen.texts), seen.commits
