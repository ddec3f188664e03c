"""The freeze: by one, lifted by two (R-048); on both databases."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from backend.errors import (
    NotFound,
    RequestRefused,
    SignerFrozen,
)
from backend.model.tables import Freeze
from backend.signers import freeze as access
from tests.world.counter import OTHER_OPERATOR, PRINTER, Counter

CODE = bytes(range(16))


def freeze(counter: Counter, *, by: str = access.BY_PHONE) -> None:
    with counter.session_factory() as session:
        access.freeze(session, signer=counter.signer, by=by, now=counter.clock())


def lift(counter: Counter, operator: str, second: str) -> None:
    with counter.session_factory() as session:
        access.lift(
            session,
            signer=counter.signer,
            operator=operator,
            second=second,
            now=counter.clock(),
        )


def test_a_freeze_is_one_whoever_asks_for_it(paired: Counter) -> None:
    freeze(paired)
    freeze(paired, by=PRINTER)

    assert paired.row(select(Freeze.frozen_by)) == "phone"
    with paired.session_factory() as session, pytest.raises(SignerFrozen):
        access.refuse_frozen(session, paired.signer)


def test_lifting_takes_two_people_and_both_are_remembered(paired: Counter) -> None:
    """R-048."""
    freeze(paired)
    lift(paired, PRINTER, OTHER_OPERATOR)
    lifted: Freeze = paired.row(select(Freeze))

    assert lifted.lifted_at == paired.clock()
    assert lifted.lifted_by == f"{PRINTER}, {OTHER_OPERATOR}"
    with paired.session_factory() as session:
        access.refuse_frozen(session, paired.signer)


@pytest.mark.parametrize("second", [PRINTER, PRINTER.upper(), f" {PRINTER}  "])
def test_one_person_lifts_nothing(paired: Counter, second: str) -> None:
    """R-048."""
    freeze(paired)
    with pytest.raises(RequestRefused):
        lift(paired, PRINTER, second)

    assert paired.row(select(Freeze.lifted_at)) is None


def test_what_is_not_frozen_is_not_lifted(paired: Counter) -> None:
    with pytest.raises(NotFound):
        lift(paired, PRINTER, OTHER_OPERATOR)


def test_a_signer_may_be_frozen_again(paired: Counter) -> None:
    freeze(paired)
    lift(paired, PRINTER, OTHER_OPERATOR)
    freeze(paired)

    assert paired.row(select(func.count()).select_from(Freeze)) == 2
    with paired.session_factory() as session:
        assert access.is_frozen(session, paired.signer)


def test_nobody_freezes_a_signer_who_is_not_there(paired: Counter) -> None:
    with paired.session_factory() as session, pytest.raises(NotFound):
        access.freeze(session, signer=uuid4(), by=PRINTER, now=paired.clock())


def test_freezes_at_once_are_lifted_together(paired: Counter) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: freeze(paired), range(4)))
    lift(paired, PRINTER, OTHER_OPERATOR)

    with paired.session_factory() as session:
        assert not access.is_frozen(session, paired.signer)
