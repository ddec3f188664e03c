"""backend/model/prepared.py, through the steps that use it: on PostgreSQL as SQLAlchemy has it."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta, timezone
from typing import Final
from uuid import uuid4

import pytest
from sqlalchemy import (
    ARRAY,
    Column,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    Uuid,
    bindparam,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.exc import DataError, IntegrityError, MultipleResultsFound, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from backend.model.base import Instant
from backend.model.engines import each_statement
from backend.model.prepared import FEW, Prepared
from backend.model.steps import Step, change, look, value

NOTES: Final = Table(
    "notes",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("words", String, nullable=False, unique=True),
    Column("at", Instant),
)
MADE: Final = Table("made", MetaData(), Column("id", Uuid, default=uuid4), Column("words", String))
AT: Final = datetime(2026, 11, 28, 12, tzinfo=UTC)
WRITE: Final = insert(NOTES).values({name: value(NOTES.c[name]) for name in ("id", "words", "at")})
READ: Final = select(NOTES.c.id, NOTES.c.words, NOTES.c["at"]).where(
    NOTES.c.id >= value(NOTES.c.id, "from"), NOTES.c.words != "hidden"
)
ADD: Final = Step(
    insert(NOTES).from_select(
        ["id", "words"],
        select(value(NOTES.c.id), value(NOTES.c.words)).where(value(NOTES.c.id) < 10),
    ),
    returning=[NOTES.c.id],
)
COUNT: Final = select(func.cardinality(bindparam("in_many", type_=ARRAY(Integer))).label("many"))
RUNS: Final = (
    select(text("coalesce(sum(generic_plans + custom_plans), 0) AS runs"))
    .select_from(text("pg_prepared_statements"))
    .where(text("statement LIKE 'SELECT cardinality%'"))
)
ONE_PROCESS: Final = select(func.pg_backend_pid().label("pid"))

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def session(engine: Engine, session_factory: sessionmaker[Session]) -> Iterator[Session]:
    NOTES.create(engine)
    with session_factory() as opened:
        yield opened


def write(session: Session, number: int, words: str, at: datetime | None = None) -> None:
    change(session, WRITE, {"id": number, "words": words, "at": at})


def test_what_was_written_is_read_as_the_types_of_its_columns_say(session: Session) -> None:
    """The zone of an instant is given up, a fixed value of the statement counts."""
    write(session, 1, "hidden")
    write(session, 2, "seen", AT.astimezone(timezone(timedelta(hours=3))))

    found = look(session, READ, {"from": 1})

    assert found is not None
    assert found._asdict() == {"id": 2, "words": "seen", "at": AT}
    assert found.at.tzinfo is UTC
    assert look(session, READ, {"from": 3}) is None


def test_an_instant_without_a_zone_is_not_written(session: Session) -> None:
    with pytest.raises(ValueError, match="time zone"):
        write(session, 1, "seen", AT.replace(tzinfo=None))

    assert look(session, READ, {"from": 0}) is None


def test_two_rows_where_one_is_expected_are_an_error(session: Session) -> None:
    write(session, 1, "one")
    write(session, 2, "two")

    with pytest.raises(MultipleResultsFound):
        look(session, READ, {"from": 0})


def test_a_parameter_that_was_not_given_is_an_error(session: Session) -> None:
    with pytest.raises(KeyError, match="in_from"):
        look(session, READ, {})


def test_a_broken_constraint_is_told_as_sqlalchemy_tells_it(session: Session) -> None:
    """And the connection is as good as before."""
    write(session, 1, "one")

    with pytest.raises(IntegrityError) as told:
        write(session, 1, "two")

    assert not told.value.connection_invalidated
    write(session, 2, "two")


def test_what_the_driver_cannot_write_is_an_error_of_the_data(session: Session) -> None:
    with pytest.raises(DataError):
        write(session, 1, "a\0b")


def test_a_step_that_gave_nothing_leaves_its_connection_in_no_transaction(
    session: Session, engine: Engine
) -> None:
    assert ADD.run(session, {"id": 10, "words": "ten"}) is None
    assert ADD.run(session, {"id": 1, "words": "one"}) is not None

    with engine.connect() as connection:
        states = text(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE state LIKE 'idle in trans%' AND datname = current_database()"
        )
        assert connection.execute(states).scalar_one() == 0
        assert connection.execute(select(NOTES.c.words)).scalars().all() == ["one"]


def test_what_gives_no_row_is_undone_where_all_or_nothing_is_wanted(
    session: Session, engine: Engine
) -> None:
    """As when a turn was taken and there is no slot (``Step``, ``first``)."""
    written = insert(NOTES).values(id=7, words="turn").returning(NOTES.c.id).cte("turn")
    nothing = Prepared(select(NOTES.c.id).where(NOTES.c.id == 99).add_cte(written))

    made = each_statement(engine)
    assert nothing.run(made, {}, or_nothing=True) is None
    assert look(session, READ, {"from": 0}) is None

    assert nothing.run(made, {}) is None
    assert look(session, READ, {"from": 0}) is not None


def test_after_one_lost_connection_none_of_its_age_is_used_again(
    session: Session, engine: Engine
) -> None:
    """The server was restarted: one call fails, not as many as there were connections."""
    with ExitStack() as held:
        for _ in range(4):
            held.enter_context(engine.connect())
    lost = look(session, ONE_PROCESS, {})
    assert lost is not None
    with engine.connect() as apart:
        apart.detach()
        others = text(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert all(apart.execute(others).scalars())

    failed = 0
    for _ in range(8):
        try:
            look(session, ONE_PROCESS, {})
        except OperationalError as error:
            assert error.connection_invalidated  # noqa: PT017  # how often it fails is counted
            failed += 1

    # None, if all had rested so long that they were asked first.
    assert failed <= 1


@pytest.mark.parametrize(
    "made_anew",
    [
        select(NOTES.c.id).where(NOTES.c.words.in_(["one", "two"])),
        insert(MADE).values(words="one"),
    ],
    ids=["a list of values", "a default of Python's"],
)
@pytest.mark.usefixtures("database_url")
def test_a_statement_that_comes_to_be_at_each_run_is_refused(made_anew: object) -> None:
    with pytest.raises(TypeError, match="each run"):
        Prepared(made_anew)  # type: ignore[arg-type]  # one of several kinds


def test_a_plan_that_was_made_for_few_rows_is_not_used_for_many(session: Session) -> None:
    """After five runs PostgreSQL keeps one plan: a batch of 10 000 took ten seconds by it."""
    runs = []
    for many in (FEW, FEW + 1, FEW):
        counted = look(session, COUNT, {"many": list(range(many))})
        assert counted is not None
        assert counted.many == many
        with session.begin():
            runs.append(session.execute(RUNS).scalar_one())
    assert runs == [1, 1, 2]
