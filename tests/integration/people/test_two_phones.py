"""Two phones for one envelope (T-02); on both databases."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, event, func, select, update

from backend.errors import (
    CellkeyError,
    PairingConflict,
    PairingOver,
)
from backend.model.tables import Device, Enrolment, Pairing
from tests.world.counter import Counter
from tests.world.paper_phone import PaperPhone


def state(counter: Counter) -> str:
    found: str = counter.row(select(Pairing.state))
    return found


@pytest.mark.sms
def test_a_second_phone_with_the_same_envelope_freezes_the_pairing(
    enrolled: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    """T-02: pair twice, the second is refused, nobody is believed, and it is reported."""
    code = enrolled.send_code()
    with pytest.raises(PairingConflict):
        enrolled.present(*enrolled.enrolment(PaperPhone()))

    assert state(enrolled) == "frozen"
    assert enrolled.row(select(Enrolment.sealed)) is None
    assert "two phones used one envelope" in caplog.text
    with pytest.raises(PairingOver):
        enrolled.confirm(code)
    assert enrolled.rows(select(Device)) == []


def test_a_frozen_pairing_takes_no_phone_any_more(enrolled: Counter) -> None:
    enrolment, sealed = enrolled.enrolment(PaperPhone())
    enrolled.write(update(Pairing).values(state="frozen"))

    with pytest.raises(PairingOver):
        enrolled.present(enrolment, sealed)


def test_a_second_phone_under_a_second_ticket_freezes_the_pairing_too(enrolled: Counter) -> None:
    """T-02: who knows envelope and password begins again while the first phone waits."""
    enrolled.sign_in()
    with pytest.raises(PairingConflict):
        enrolled.present(*enrolled.enrolment(PaperPhone()))

    assert state(enrolled) == "frozen"
    assert set(enrolled.rows(select(Enrolment.sealed))) == {None}


def test_the_same_phone_may_begin_again(enrolled: Counter) -> None:
    """The same keys are the same use, also under a new ask."""
    enrolled.sign_in()
    enrolled.present(*enrolled.enrolment())

    assert enrolled.confirm_by_operator() == "confirmed"


def test_after_the_first_ask_is_over_another_phone_may_come(enrolled: Counter) -> None:
    """A phone that lost its keys half-way: a quarter of an hour later the envelope still works."""
    enrolled.clock.advance(minutes=15)
    enrolled.sign_in()
    enrolled.present(*enrolled.enrolment(PaperPhone()))

    assert enrolled.confirm_by_operator() == "confirmed"


def test_after_the_confirmation_another_phone_is_only_reported(
    enrolled: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    """The paired phone is not touched: a thief's try must not lock its owner out (T-21)."""
    thief = enrolled.enrolment(PaperPhone())
    enrolled.confirm_by_operator()
    with pytest.raises(PairingConflict):
        enrolled.present(*thief)

    assert state(enrolled) == "confirmed"
    assert "another phone used a used envelope" in caplog.text
    with enrolled.session_factory() as session:
        assert enrolled.authenticate(session, enrolled.proof()).kid == enrolled.phone.kid


def test_of_two_phones_at_once_none_is_paired(begun: Counter) -> None:
    """T-02, T-07: whichever comes second freezes, on both engines."""
    presented = [begun.enrolment(), begun.enrolment(PaperPhone())]

    def attempt(messages: tuple[str, str]) -> str:
        try:
            return begun.present(*messages).state
        except CellkeyError as error:
            return type(error).__name__

    with ThreadPoolExecutor(2) as pool:
        answers = sorted(pool.map(attempt, presented))

    assert answers == ["PairingConflict", "enrolled"]
    assert state(begun) == "frozen"


def test_the_same_bytes_at_once_are_one_use(begun: Counter) -> None:
    messages = begun.enrolment()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: begun.present(*messages), range(4)))

    assert {answer.state for answer in answers} == {"enrolled"}
    assert begun.row(select(func.count()).select_from(Enrolment)) == 1


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_phone_whose_pairing_froze_before_the_commit_is_refused(
    begun: Counter, engine: Engine
) -> None:
    """SQLite locks out the other writer; on PostgreSQL it comes between look and update."""
    messages = begun.enrolment()
    other_writers: list[str] = ["another phone"]

    def come_first(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE pairings") and other_writers:
            other_writers.pop()
            begun.write(update(Pairing).values(state="frozen"))

    event.listen(engine, "before_cursor_execute", come_first)
    with pytest.raises(PairingOver):
        begun.present(*messages)

    assert begun.rows(select(Enrolment)) == []
