"""Bytes, numbers, ids and secrets as text: one form each."""

import json
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import MalformedMessage
from backend.protocol.encoding import (
    Octets,
    Octets32,
    ascii_bytes,
    b64u,
    parse_json,
    read_id,
    read_message,
    read_octets,
    secret_bytes,
    secret_text,
    unb64u,
    write_message,
    write_octets,
)
from tests.unit.protocol import by_hand


class Sample(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    anything: Any = None
    octets: Octets = Octets(b"")


@given(st.binary(max_size=100))
def test_base64url_is_read_as_it_was_written(value: bytes) -> None:
    assert b64u(value) == by_hand.b64(value)
    assert unb64u(b64u(value)) == value


@given(st.text(alphabet="AQgw-_+/= \n9é", max_size=9))
def test_of_all_texts_only_the_canonical_ones_are_base64url(text: str) -> None:
    try:
        value = unb64u(text)
    except MalformedMessage:
        return
    assert by_hand.b64(value) == text


@pytest.mark.parametrize(
    "text", ["A", "AB", "AA=", "AA==", "A A", "AA\n", "+/", "é", "\ud800", "\u0663\u0663"]
)
def test_other_base64_is_refused(text: str) -> None:
    with pytest.raises(MalformedMessage):
        unb64u(text)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_32_bytes_are_32(length: int) -> None:
    with pytest.raises(MalformedMessage):
        Octets32(bytes(length))


def test_bytes_are_bounded_and_never_made_of_a_number() -> None:
    """``bytes(2**40)`` would be a terabyte of zeros."""
    assert Octets(bytes(16 * 1024)) == bytes(16 * 1024)
    with pytest.raises(MalformedMessage):
        Octets(bytes(16 * 1024 + 1))
    for kind in (Octets, Octets32):
        with pytest.raises(TypeError):
            kind(32)  # type: ignore[arg-type]  # what a careless parser would hand over


AMBIGUOUS = [
    '{"a":1,"a":1}',
    '{"a":{"b":1,"b":2}}',
    "[1.0]",
    "[1e2]",
    "[NaN]",
    "[Infinity]",
    "[-Infinity]",
    "[-0]",
    "[12345678901234567]",
    "[" + "1" * 5000 + "]",
    '["\\ud800"]',
    '["\\udc00\\ud800"]',
    '{"\\ud800":1}',
    '[{"a":["\\udfff"]}]',
    "[" * 17 + "]" * 17,
    '{"a":' * 17 + "1" + "}" * 17,
    "[" * 60_000,
    '{"a":' * 10_000,
    '["\n"]',
    "[01]",
    "['a']",
    "[1,]",
    "// a\n1",
    "",
    " ",
    "1 2",
]


@pytest.mark.parametrize("text", AMBIGUOUS, ids=range(len(AMBIGUOUS)))
def test_json_that_two_readers_could_read_differently_is_refused(text: str) -> None:
    with pytest.raises(MalformedMessage):
        parse_json(text.encode())


@pytest.mark.parametrize(
    "raw", [b"\xff", b"\xef\xbb\xbf1", b"\xc0\x80", b'"\xed\xa0\x80"', b"1\x00"]
)
def test_json_that_is_not_utf8_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedMessage):
        parse_json(raw)


@pytest.mark.parametrize(
    "text",
    [
        '"\\ud83d\\ude00"',
        "[" * 16 + "]" * 16,
        '{"a":' * 16 + "1" + "}" * 16,
        "-1",
        "1234567890123456",
        "true",
        "null",
        ' { "a" : 1 } ',
    ],
)
def test_other_json_is_read(text: str) -> None:
    assert parse_json(text.encode()) == json.loads(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**14), 10**14) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(json_values)
def test_what_is_read_is_written_again(value: object) -> None:
    raw = by_hand.compact_json({"anything": value, "octets": "AQ"})
    read = read_message(raw, Sample)
    assert read == Sample(anything=value, octets=Octets(b"\x01"))
    assert json.loads(write_message(read)) == json.loads(raw)


@pytest.mark.parametrize("raw", [b'{"octets":""}', b'{"anything":1}', b"{}"])
def test_a_member_with_a_default_must_stand_all_the_same(raw: bytes) -> None:
    with pytest.raises(MalformedMessage, match="one form"):
        read_message(raw, Sample)


def test_an_error_does_not_repeat_what_came_at_length_or_raw() -> None:
    """T-44: the name of an unknown member comes from outside."""
    raw = by_hand.compact_json({"x\n\x1b[31m" + "é" * 5000: 1})
    with pytest.raises(MalformedMessage) as refused:
        read_message(raw, Sample)
    assert len(str(refused.value)) < 1500
    assert str(refused.value).isprintable()
    assert str(refused.value).isascii()


def test_only_our_bytes_have_a_form_in_messages() -> None:
    with pytest.raises(NotImplementedError):
        write_octets(object())
    with pytest.raises(MalformedMessage):
        read_octets(complex, "1")
    with pytest.raises(MalformedMessage):
        read_octets(Octets, b"1")


def test_ascii_is_bounded() -> None:
    assert ascii_bytes("abc", longest=3) == b"abc"
    for text in ("abcd", "é", "\ud800"):
        with pytest.raises(MalformedMessage):
            ascii_bytes(text, longest=3)


@given(st.binary(min_size=16, max_size=16))
def test_a_secret_is_26_crockford_characters(secret: bytes) -> None:
    text = secret_text(secret)
    assert text.replace("-", "") == by_hand.crockford(secret)
    assert text[0] in "01234567"
    for typed in (
        text,
        text.lower(),
        text.replace("-", ""),
        text.replace("1", "l").replace("0", "O"),
    ):
        assert secret_bytes(typed) == secret
    assert secret_bytes(text.replace("1", "i")) == secret


@pytest.mark.parametrize("length", [0, 15, 17])
def test_only_16_bytes_are_a_secret(length: int) -> None:
    with pytest.raises(MalformedMessage):
        secret_text(bytes(length))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0" * 25,
        "0" * 27,
        "8" + "0" * 25,
        "U" * 26,
        "0" * 25 + " ",
        "0" * 25 + "\N{LATIN SMALL LETTER DOTLESS I}",  # its upper case is I, which would read as 1
        "0" * 25 + "\N{LATIN SMALL LETTER LONG S}",
        "\N{ARABIC-INDIC DIGIT ZERO}" * 26,
        "-" * 100 + "0" * 26,
        "\ud800" * 26,
    ],
    ids=ascii,
)
def test_what_is_no_secret_is_refused(text: str) -> None:
    with pytest.raises(MalformedMessage):
        secret_bytes(text)


@given(st.uuids())
def test_an_id_is_lower_case_text(value: UUID) -> None:
    assert read_id(str(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "6F0F1F43-6A0B-4F39-9D0A-1D0F0D8F6F01",
        "6f0f1f436a0b4f399d0a1d0f0d8f6f01",
        "{6f0f1f43-6a0b-4f39-9d0a-1d0f0d8f6f01}",
        "urn:uuid:6f0f1f43-6a0b-4f39-9d0a-1d0f0d8f6f01",
        "6f0f1f43-6a0b-4f39-9d0a-1d0f0d8f6f0",
        "6f0f1f43-6a0b-4f39-9d0a-1d0f0d8f6f0\uff11",
        "6f0f1f43-6a0b-4f39-9d0a-1d0f0d8f6f01\n",
        "\ud800",
        "x" * 5000,
    ],
    ids=lambda text: ascii(text[:50]),
)
def test_an_id_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(MalformedMessage):
        read_id(text)
