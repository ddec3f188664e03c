"""The reading of a name shows everything that will stand in the certificate."""

import pytest
from asn1crypto.x509 import Name
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import MalformedMessage
from backend.protocol.names import readable_name, salutation

PERSON = {
    "common_name": "Анна Ивановна Пример",
    "surname": "Пример",
    "given_name": "Анна Ивановна",
    "country_name": "RU",
}


def der(**attributes: str) -> bytes:
    return bytes(Name.build(attributes).dump())


GOOD = der(**PERSON)


def test_the_common_name_comes_first_and_nothing_is_said_twice() -> None:
    assert readable_name(der(common_name="Anna")) == "Anna"
    assert readable_name(GOOD) == "Анна Ивановна Пример, RU"


def test_what_the_common_name_does_not_say_is_shown() -> None:
    """Whole words count: a part of one is not said."""
    shown = readable_name(der(common_name="Anna Exampleton", surname="Example", title="Director"))
    assert shown.split(", ")[0] == "Anna Exampleton"
    assert set(shown.split(", ")[1:]) == {"Example", "Director"}


# A value whose type python's ASN.1 parser does not know, in an attribute that it does not know.
UNKNOWN = bytes.fromhex("3011310f300d06032a0304a306040461626364")


@pytest.mark.parametrize(
    "subject",
    [
        b"",
        b"\x30\x00",
        b"\x30\x80",
        GOOD + b"\0",
        GOOD[:-1],
        der(surname="Пример"),
        der(common_name="A") * 2,
        UNKNOWN,
        b"\x30\x80" * 8000,
    ],
    ids=range(9),
)
def test_what_is_no_name_of_somebody_is_refused(subject: bytes) -> None:
    with pytest.raises(MalformedMessage):
        readable_name(subject)


def test_two_common_names_are_refused() -> None:
    twice = GOOD[2:]
    length = len(twice) * 2
    assert length < 256
    with pytest.raises(MalformedMessage, match="exactly one"):
        readable_name(bytes([0x30, 0x81, length]) + twice * 2)


@given(
    st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4)
)
def test_a_changed_name_is_read_or_refused(changes: list[tuple[int, int]]) -> None:
    raw = bytearray(GOOD)
    for at, value in changes:
        raw[at] = value
    try:
        readable_name(bytes(raw))
    except MalformedMessage:
        return


def test_a_person_is_greeted_by_given_names_and_nobody_else_is() -> None:
    assert salutation(GOOD) == "Анна Ивановна"
    assert salutation(der(common_name="Робот", organization_name="Ромашка")) is None
    with pytest.raises(MalformedMessage):
        salutation(b"rubbish")
