"""Codes as people type them, and the number by which page and SMS belong together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import MalformedMessage
from backend.protocol.codes import DIGITS, digits, operation_number, typed_code
from tests.unit.protocol import by_hand


@given(st.binary(min_size=32, max_size=32))
def test_a_mac_gives_eight_digits(mac: bytes) -> None:
    assert digits(mac) == by_hand.eight_digits(mac)
    assert len(digits(mac)) == DIGITS


@pytest.mark.parametrize(
    "typed", ["01234567", "0123 4567", " 01-23-45-67 ", "0123-4567\n", "\t01 23 45 67"]
)
def test_spaces_and_hyphens_do_not_count(typed: str) -> None:
    assert typed_code(typed) == "01234567"


@pytest.mark.parametrize(
    "typed",
    ["", "0123456", "012345678", "0123456x", "\u0660" * 8, "\uff11" * 8, "1" * 39, "1" * 10**6],
)
def test_what_is_not_eight_digits_is_refused(typed: str) -> None:
    with pytest.raises(MalformedMessage):
        typed_code(typed)


@given(st.binary(min_size=32, max_size=32))
def test_an_operation_is_named_by_eight_characters_without_look_alikes(tx_hash: bytes) -> None:
    named = operation_number(tx_hash)
    assert named == by_hand.operation(tx_hash)
    assert len(named) == 8
    assert not set(named) & set("ILOU")
