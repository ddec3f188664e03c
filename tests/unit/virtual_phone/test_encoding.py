"""Bytes as text: sections 1 and 5."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.virtual_phone.encoding import (
    CROCKFORD,
    b64u,
    in_groups,
    raw_uuid,
    read_json,
    secret_of,
    secret_text,
    strict_json,
    unb64u,
)
from backend.virtual_phone.errors import MessageRefused


class Pair(msgspec.Struct, forbid_unknown_fields=True):
    a: int
    b: str | None


@given(st.binary(max_size=80))
def test_base64url_comes_back_as_it_went(data: bytes) -> None:
    assert unb64u(b64u(data)) == data


@pytest.mark.parametrize("text", ["QQ==", "QR", "Q", "Q+8", "Q/8", "QQ\n", " QQ", "QÄ", "A A"])
def test_base64url_that_is_not_canonical_is_refused(text: str) -> None:
    with pytest.raises(MessageRefused):
        unb64u(text)


def test_a_value_of_another_length_is_refused() -> None:
    with pytest.raises(MessageRefused, match="31 bytes, not 32"):
        unb64u(b64u(bytes(31)), length=32)


@given(st.binary(min_size=16, max_size=16))
def test_sixteen_bytes_come_back_from_26_characters(secret: bytes) -> None:
    text = secret_text(secret)
    assert len(text) == 26
    assert text[0] in "01234567"
    assert set(text) <= set(CROCKFORD)
    assert secret_of(text) == secret


@given(st.integers(min_value=0, max_value=2**128 - 1))
def test_the_26_characters_are_the_big_endian_number(number: int) -> None:
    value = 0
    for character in secret_text(number.to_bytes(16)):
        value = value * 32 + CROCKFORD.index(character)
    assert value == number


def test_hyphens_case_and_look_alikes_do_not_count_in_a_typed_code() -> None:
    assert secret_of("0123-4567-89AB-CDEF-GHJK-MNPQ-10") == secret_of("o123456789abcdefghjkmnpqLO")
    assert secret_of(f" {'0' * 25}i ") == bytes(15) + b"\1"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0" * 25,
        "0" * 27,
        "8" + "0" * 25,
        "U" * 26,
        "0" * 25 + "!",
        "\u0131" * 26,
        "0" * 25 + "\u0661",
    ],
)
def test_a_code_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(MessageRefused):
        secret_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "6BA7B810-9DAD-11D1-80B4-00C04FD430C8",
        "6ba7b8109dad11d180b400c04fd430c8",
        "{6ba7b810-9dad-11d1-80b4-00c04fd430c8}",
    ],
)
def test_an_id_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(MessageRefused):
        raw_uuid(text)


def test_an_id_is_its_16_bytes() -> None:
    expected = bytes.fromhex("6ba7b8109dad11d180b400c04fd430c8")
    assert raw_uuid("6ba7b810-9dad-11d1-80b4-00c04fd430c8") == expected


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":2}',
        b'{"x":{"a":1,"a":1}}',
        b"NaN",
        b'{"a":-Infinity}',
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"a":1.0}',
        b'{"a":1e3}',
        b'{"a":-0}',
        b'{"a":12345678901234567}',
        b'{"a":"\\ud800"}',
        b'{"\\udfff":1}',
        b"\xef\xbb\xbf{}",
        b"[" * 17 + b"]" * 17,
    ],
)
def test_json_that_could_be_read_in_two_ways_or_in_none_is_refused(text: bytes) -> None:
    with pytest.raises(MessageRefused):
        strict_json(text)


@pytest.mark.parametrize(
    "text", [b"1234567890123456", b"-1", b'"\\ud83d\\ude00"', b"[" * 16 + b"]" * 16, b" {} "]
)
def test_json_up_to_the_limits_is_read(text: bytes) -> None:
    assert strict_json(text) == json.loads(text)


@pytest.mark.parametrize(
    "text",
    [b'{"a":1}', b'{"a":1,"b":null,"c":0}', b'{"a":"1","b":null}', b"[]", b'{"a":1.5,"b":""}'],
)
def test_a_message_with_missing_foreign_or_mistyped_members_is_refused(text: bytes) -> None:
    with pytest.raises(MessageRefused):
        read_json(text, Pair)


def test_a_text_is_grouped_by_four() -> None:
    assert in_groups("ABCDEFGHIJKL", size=4) == "ABCD-EFGH-IJKL"
