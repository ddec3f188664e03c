"""Rules that all signed messages share (docs/phone-protocol.md, 1 and 2)."""

import re
from collections.abc import Iterator
from copy import deepcopy
from itertools import permutations
from typing import Any

import pytest

from backend.errors import MalformedMessage
from backend.protocol.encoding import write_message
from tests.unit.protocol import by_hand
from tests.unit.protocol.examples import BY_TYP, EXAMPLES, Example

Path = tuple[str | int, ...]

WRONG: dict[type, tuple[object, ...]] = {
    str: (0, 1, True, [], {}, 1.5, "\ud800"),
    int: ("1", True, 1.5, [], {}, -1, 2**70, "", 1e3),
    bool: (0, 1, "true", [], {}),
    list: ({}, "x", 0, True),
    dict: ([], "x", 0, True),
    type(None): (0, False, [], "?"),
}
NULL_IS_A_VALUE = {
    "cell-approval+jwt": {("number",), ("webauthn",)},
    "cell-record+jwt": {("sms",)},
}
"""Where null stands for what may be absent, and nothing else of the example contradicts it."""

each_message = pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: message.typ)


def places(value: object, at: Path = ()) -> Iterator[tuple[Path, object]]:
    """Every value inside, but what a typed request says of itself."""
    if at:
        yield at, value
    if at == ("fields",):
        return
    members = value.items() if isinstance(value, dict) else ()
    elements = enumerate(value) if isinstance(value, list) else ()
    for name, part in (*members, *elements):
        yield from places(part, (*at, name))


def changed(claims: dict[str, Any], at: Path, value: object) -> dict[str, Any]:
    whole = deepcopy(claims)
    inner: Any = whole
    for name in at[:-1]:
        inner = inner[name]
    inner[at[-1]] = value
    return whole


def refused(message: Example, claims: dict[str, Any] | bytes) -> None:
    compact = by_hand.jws(claims, message.key, typ=message.typ)
    with pytest.raises(MalformedMessage):
        message.read(compact)


@each_message
def test_a_good_message_is_read_and_written_again_member_for_member(message: Example) -> None:
    read = message.read(message.compact())
    if message.typ == "cell-keys+jwt":
        assert write_message(read) == by_hand.compact_json(message.good["new"])  # type: ignore[arg-type]  # a Struct
    else:
        assert write_message(read) == by_hand.compact_json(message.good)  # type: ignore[arg-type]  # a Struct


@pytest.mark.parametrize(
    ("here", "there"), list(permutations(BY_TYP, 2)), ids=lambda typ: typ.removesuffix("+jwt")
)
def test_no_message_stands_in_the_place_of_another(here: str, there: str) -> None:
    """T-34: the place's own key signed all three, only type or claims are another's."""
    place, other = BY_TYP[here], BY_TYP[there]
    for claims, typ in ((other.good, there), (place.good, there), (other.good, here)):
        with pytest.raises(MalformedMessage):
            place.read(by_hand.jws(claims, place.key, typ=typ))


@each_message
def test_no_claim_may_be_missing(message: Example) -> None:
    for at, _ in places(message.good):
        if isinstance(at[-1], int):
            continue
        claims = deepcopy(message.good)
        inner: Any = claims
        for name in at[:-1]:
            inner = inner[name]
        del inner[at[-1]]
        if at[0] != "fields" or at == ("fields",):
            refused(message, claims)


@each_message
def test_no_claim_may_be_added(message: Example) -> None:
    for at, value in (((), message.good), *places(message.good)):
        if isinstance(value, dict) and at != ("fields",):
            refused(message, changed(message.good, (*at, "extra"), 1))


@each_message
def test_null_stands_only_where_a_value_is_said_to_be_optional(message: Example) -> None:
    optional = NULL_IS_A_VALUE.get(message.typ, set())
    for at, value in places(message.good):
        if value is None or at in optional:
            continue
        refused(message, changed(message.good, at, None))
    for at in optional:
        message.read(message.compact(**{str(at[0]): None}))


@each_message
def test_no_claim_may_be_of_another_type(message: Example) -> None:
    for at, value in places(message.good):
        for wrong in WRONG[type(value)]:
            text = by_hand.compact_json(changed(message.good, at, "@@"))
            hostile = rb'"\ud800"' if wrong == "\ud800" else by_hand.compact_json(wrong)
            refused(message, text.replace(b'"@@"', hostile))


@each_message
def test_bytes_have_one_form(message: Example) -> None:
    """Stray bits, padding, the other alphabet and white space are other texts of the same bytes."""
    for at, value in places(message.good):
        if isinstance(value, str) and re.fullmatch(r"[\w-]{43}", value):
            stray = value[:-1] + chr(ord(value[-1]) + 1)
            for wrong in (f"{value}=", f"{value}\n", value[:-1], f"{value}A", stray, "+" * 43, ""):
                refused(message, changed(message.good, at, wrong))


@each_message
def test_ids_have_one_form(message: Example) -> None:
    for at, value in places(message.good):
        if isinstance(value, str) and re.fullmatch(r"[0-9a-f-]{36}", value):
            for wrong in (
                value.upper(),
                value.replace("-", ""),
                f"{{{value}}}",
                f"urn:uuid:{value}",
                value[:-1],
                f" {value}",
            ):
                refused(message, changed(message.good, at, wrong))


@each_message
def test_no_member_may_stand_twice(message: Example) -> None:
    text = by_hand.compact_json(message.good)
    first = next(iter(message.good))
    twice = b'{"%s":%s,' % (first.encode(), by_hand.compact_json(message.good[first]))
    refused(message, twice + text[1:])


@each_message
def test_a_message_is_bounded(message: Example) -> None:
    """T-39. White space is JSON, so nothing but the length is wrong."""
    most = 4 * 1024 * 1024 if message.typ == "cell-receipt+jwt" else 64 * 1024
    with pytest.raises(MalformedMessage, match="longer than"):
        message.read(
            by_hand.jws(
                by_hand.compact_json(message.good) + b" " * most, message.key, typ=message.typ
            )
        )


@each_message
@pytest.mark.parametrize(
    "text",
    [b"", b"null", b"[]", b"0", b'"x"', b"{", b"{}", b"\xff", b"\xef\xbb\xbf{}", b"[" * 9000],
    ids=ascii,
)
def test_claims_that_are_no_object_are_refused(message: Example, text: bytes) -> None:
    refused(message, text)


@each_message
def test_another_key_does_not_count(message: Example) -> None:
    stranger = by_hand.private_key("stranger")
    for head in (by_hand.header(message.typ, stranger), by_hand.header(message.typ, message.key)):
        compact = by_hand.jws(message.good, stranger, head=head)
        if message.typ == "cell-keys+jwt" and head["kid"] != by_hand.header("", message.key)["kid"]:
            continue  # a change before the known key is passed over
        with pytest.raises(MalformedMessage):
            message.read(compact)
