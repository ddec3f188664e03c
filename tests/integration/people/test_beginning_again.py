"""Pairing, step 1, again: a lost answer, a new ticket; on both databases."""

from uuid import uuid4

import pytest
from sqlalchemy import func, select

from backend.devices.enrolment.ticket import MOST_TICKETS
from backend.errors import (
    CellkeyError,
    PairingOver,
    WrongPassword,
)
from backend.model.tables import Pairing, Transaction
from tests.world.counter import Counter

on_one_engine = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what depends on no statement: a password costs a third of a second."""


def test_the_same_body_is_accepted_again(begun: Counter) -> None:
    """docs/phone-protocol.md, 8.2: a dead password and a new password that is right."""
    lost = begun.ticket
    again = begun.sign_in()

    assert again.ticket != lost
    assert begun.row(select(func.count()).select_from(Transaction)) == 2


@on_one_engine
def test_with_a_dead_password_and_a_wrong_new_one_nothing_is_given(begun: Counter) -> None:
    assert isinstance(begun.refused_sign_in(new_password="another one 55"), WrongPassword)


def test_beginning_again_ends_the_ticket_before(begun: Counter) -> None:
    lost = begun.ticket
    begun.sign_in()
    begun.ticket = lost

    with pytest.raises(CellkeyError, match="ticket"):
        begun.enrolment()


@pytest.mark.sms
def test_beginning_again_gives_new_tries_and_new_codes(enrolled: Counter) -> None:
    enrolled.send_code()
    enrolled.sign_in()
    pairing: Pairing = enrolled.row(select(Pairing))

    assert (pairing.state, pairing.codes_sent, pairing.code_tries) == ("printed", 0, 0)


def test_an_envelope_begins_only_so_many_pairings(begun: Counter) -> None:
    """T-15: each gives three tries of a code."""
    ask: Transaction = begun.row(select(Transaction))
    copied = {column.key: getattr(ask, column.key) for column in Transaction.__table__.columns}
    for number in range(MOST_TICKETS - 1):
        row = copied | {"id": uuid4(), "tx_hash": bytes([number])}
        begun.write(Transaction.__table__.insert().values(row))  # type: ignore[attr-defined]  # a Table

    assert isinstance(begun.refused_sign_in(), PairingOver)
