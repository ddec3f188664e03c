"""Pairing, step 3: an operator confirms (T-10); on both databases."""

import pytest
from sqlalchemy import func, select

from backend.access.phones import verified_record
from backend.devices.enrolment.confirmation import confirm_by_operator
from backend.errors import (
    EnrolmentRefused,
    NotConfirmed,
    NotFound,
    RequestRefused,
)
from backend.model.tables import (
    Device,
    Enrolment,
    Pairing,
    Record,
)
from tests.world.counter import OTHER_OPERATOR, PRINTER, Counter


def confirm_as(counter: Counter, operator: str, twelve: str) -> str:
    with counter.session_factory() as session:
        return confirm_by_operator(
            session,
            counter.world.sam,
            login=counter.envelope.login,
            operator=operator,
            twelve=twelve,
            now=counter.clock(),
        )


def test_another_operator_confirms_by_the_twelve_characters(waiting: tuple[Counter, str]) -> None:
    counter, twelve = waiting

    assert confirm_as(counter, OTHER_OPERATOR, twelve.lower()) == "confirmed"
    record = verified_record(
        counter.row(select(Record.record).where(Record.epoch == 2)), counter.public_keys.ks
    )
    assert record.devices[0].confirmed_by == ("operator",)


@pytest.mark.parametrize("same", [PRINTER, f"  {PRINTER.upper()} "])
def test_who_printed_does_not_confirm(waiting: tuple[Counter, str], same: str) -> None:
    """T-10: an operator alone pairs no phone."""
    counter, twelve = waiting

    with pytest.raises(RequestRefused):
        confirm_as(counter, same, twelve)
    assert counter.rows(select(Device)) == []


@pytest.mark.parametrize("other", ["AAAA-BBBB-CCCC", "", "ж" * 12])
def test_other_characters_confirm_nothing(waiting: tuple[Counter, str], other: str) -> None:
    counter, _ = waiting
    with pytest.raises(EnrolmentRefused) as refused:
        confirm_as(counter, OTHER_OPERATOR, other)

    assert refused.value.rule == 6
    assert counter.row(select(Pairing.state)) == "enrolled"


def test_an_operators_confirmation_repeated_answers_the_same(
    waiting: tuple[Counter, str],
) -> None:
    counter, twelve = waiting
    confirm_as(counter, OTHER_OPERATOR, twelve)

    assert confirm_as(counter, OTHER_OPERATOR, twelve) == "confirmed"
    assert counter.row(select(func.count()).select_from(Device)) == 1


@pytest.mark.sms
def test_where_a_code_is_demanded_an_operators_word_is_not_enough(enrolled: Counter) -> None:
    """The policy stands in the signed record."""
    twelve = enrolled.present(
        enrolled.row(select(Enrolment.enrolment)), enrolled.row(select(Enrolment.sealed))
    ).twelve

    with pytest.raises(EnrolmentRefused) as refused:
        confirm_as(enrolled, OTHER_OPERATOR, twelve)
    assert refused.value.rule == 6


def test_an_operator_confirms_no_phone_that_is_not_there(begun: Counter) -> None:
    with pytest.raises(NotConfirmed):
        confirm_as(begun, OTHER_OPERATOR, "AAAA-BBBB-CCCC")


def test_an_operator_confirms_nobody_who_has_not_begun(printed: Counter) -> None:
    with pytest.raises(NotFound):
        confirm_as(printed, OTHER_OPERATOR, "AAAA-BBBB-CCCC")
