"""Codes as people type them, and the number by which page and SMS belong together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import MalformedMessage
from backend.protocol.codes import DIGITS, digits, operation_number, typed_code, typed_codes
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


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("0123 4567", "01234567"),
        ("0123456789012345", "0123456789012345"),
        (" 01234567 89-01-23-45\n", "0123456789012345"),
        ("0123 4567 8901 2345", "0123456789012345"),
    ],
)
def test_an_app_that_counts_may_show_two_codes_in_a_row(typed: str, read: str) -> None:
    assert typed_codes(typed) == read


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "0" * 7,
        "0" * 9,
        "0" * 15,
        "0" * 17,
        "0" * 24,
        "0" * 15 + "x",
        "\u0660" * 16,
        "1" * 10**6,
    ],
)
def test_what_is_neither_one_code_nor_two_is_refused(typed: str) -> None:
    with pytest.raises(MalformedMessage):
        typed_codes(typed)


@given(st.binary(min_size=32, max_size=32))
def test_an_operation_is_named_by_eight_characters_without_look_alikes(tx_hash: bytes) -> None:
    named = operation_number(tx_hash)
    assert named == by_hand.operation(tx_hash)
    assert len(named) == 8
    assert not set(named) & set("ILOU")
