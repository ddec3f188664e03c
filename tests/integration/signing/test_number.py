"""Number matching (T-01): who does not see the other screen does not approve."""

from dataclasses import replace
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import select, update

from backend.errors import MalformedMessage, TransactionOver
from backend.model.tables import Approval, Transaction
from backend.signing.number import new_number
from backend.signing.pending import pending, show
from backend.signing.request import RequestedTransaction
from tests.world.screen_number import number_on_screen
from tests.world.signing_world import SigningWorld, hashes

NOWHERE = UUID(int=7)


@pytest.fixture
def matching(world: SigningWorld) -> SigningWorld:
    """The relying party's asks want a number."""
    return replace(world, shop=msgspec.structs.replace(world.shop, asks_number=True))


@pytest.fixture
def asked(matching: SigningWorld) -> RequestedTransaction:
    return matching.request(*hashes(1))


def on_the_screen(world: SigningWorld, asked: RequestedTransaction) -> str:
    return number_on_screen(world.sessions, asked.id)


def another(number: str) -> str:
    return f"{(int(number) + 1) % 100:02}"


def answer(world: SigningWorld, asked: RequestedTransaction, number: str | None) -> tuple[str, str]:
    secret = world.cell.phone.secret_in_lock(world.cell.device_lock)
    return world.cell.phone.approve(world.read_ask(asked.id), secret, number=number)


def test_the_number_of_the_screen_approves(
    matching: SigningWorld, asked: RequestedTransaction
) -> None:
    made = answer(matching, asked, on_the_screen(matching, asked))

    assert matching.send(asked.id, *made) == "approved"
    assert matching.send(asked.id, *made) == "approved"
    assert len(matching.collect(matching.csc_sad(asked), *hashes(1))) == 1


def test_t_01_another_number_ends_it_and_keeps_nothing_of_the_approval(
    matching: SigningWorld, asked: RequestedTransaction
) -> None:
    right = on_the_screen(matching, asked)

    with pytest.raises(TransactionOver) as over:
        matching.send(asked.id, *answer(matching, asked, another(right)))
    with pytest.raises(TransactionOver):
        matching.send(asked.id, *answer(matching, asked, right))

    ended = matching.transaction(asked.id)
    assert (over.value.state, ended.state, ended.ended_because) == (
        "failed",
        "failed",
        "wrong number",
    )
    with matching.sessions() as session:
        assert not session.scalars(select(Approval.transaction_id)).all()
    with pytest.raises(TransactionOver):
        matching.check(asked)


def test_another_number_after_the_right_one_changes_nothing(
    matching: SigningWorld, asked: RequestedTransaction
) -> None:
    right = on_the_screen(matching, asked)
    late = answer(matching, asked, another(right))
    matching.send(asked.id, *answer(matching, asked, right))

    with pytest.raises(TransactionOver) as over:
        matching.send(asked.id, *late)

    assert over.value.state == matching.state(asked.id) == "approved"


def test_an_approval_without_the_number_that_is_asked_is_malformed(
    matching: SigningWorld, asked: RequestedTransaction
) -> None:
    with pytest.raises(MalformedMessage):
        matching.send(asked.id, *answer(matching, asked, None))
    assert matching.state(asked.id) == "pending"


def test_a_number_that_nobody_asked_for_is_malformed(world: SigningWorld) -> None:
    asked = world.request(*hashes(1))

    with pytest.raises(MalformedMessage):
        world.send(asked.id, *answer(world, asked, "42"))
    assert world.state(asked.id) == "pending"


def test_where_the_row_has_no_number_none_is_right(
    matching: SigningWorld, asked: RequestedTransaction
) -> None:
    """T-09: the ask is signed, the row is not."""
    matching.overwrite(lambda session: session.execute(update(Transaction).values(number=None)))

    with pytest.raises(TransactionOver):
        matching.send(asked.id, *answer(matching, asked, "00"))


def test_the_phone_is_told_that_a_number_is_asked_and_never_which(
    matching: SigningWorld, asked: RequestedTransaction
) -> None:
    matching.overwrite(lambda session: session.execute(update(Transaction).values(number="CANARY")))
    with matching.sessions() as session:
        listed = pending(session, cell=matching.phone.cell, now=matching.clock())
        shown = show(
            session,
            phone=matching.phone,
            transaction=asked.id,
            sightings=matching.sightings,
            now=matching.clock(),
        )

    assert matching.read_ask(asked.id).ask.number_asked
    assert "CANARY" not in repr((listed, shown, asked, matching.check(asked)))


def test_numbers_have_two_digits_and_are_not_all_the_same() -> None:
    made = {new_number() for _ in range(500)}

    assert {len(number) for number in made} == {2}
    assert len(made) > 50
