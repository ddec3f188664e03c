"""The published schemas agree with what ``render`` reads."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import SummaryRefused
from backend.summary.catalogue import KINDS
from backend.summary.schema import json_schema
from tests.unit.summary.requests import golden, rendered, with_field, without_field

Schema = dict[str, Any]

TYPES: dict[str, Callable[[object], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
}
WORDS = {"$schema", "title", "description", "format"}
"""Keywords that judge nothing here."""


def faults(schema: Schema, value: object) -> Iterator[str]:
    """Judge a value by the keywords that our schemas use; another keyword is an error."""
    for keyword, wanted in schema.items():
        if keyword not in WORDS and not JUDGES[keyword](wanted, value, schema):
            yield keyword


def valid(schema: Schema, value: object) -> bool:
    return not any(faults(schema, value))


def _members(wanted: dict[str, Schema], value: object, _: Schema) -> bool:
    return not isinstance(value, dict) or all(
        valid(wanted[name], member) for name, member in value.items() if name in wanted
    )


JUDGES: dict[str, Callable[[Any, Any, Schema], bool]] = {
    "type": lambda wanted, value, _: TYPES[wanted](value),
    "const": lambda wanted, value, _: bool(value == wanted),
    "enum": lambda wanted, value, _: value in wanted,
    "pattern": lambda wanted, value, _: (
        not isinstance(value, str) or re.search(wanted.replace("$", r"\Z"), value) is not None
    ),
    "not": lambda wanted, value, _: not valid(wanted, value),
    "oneOf": lambda wanted, value, _: sum(valid(schema, value) for schema in wanted) == 1,
    "minLength": lambda wanted, value, _: not isinstance(value, str) or len(value) >= wanted,
    "maxLength": lambda wanted, value, _: not isinstance(value, str) or len(value) <= wanted,
    "minimum": lambda wanted, value, _: not TYPES["integer"](value) or value >= wanted,
    "maximum": lambda wanted, value, _: not TYPES["integer"](value) or value <= wanted,
    "minItems": lambda wanted, value, _: not isinstance(value, list) or len(value) >= wanted,
    "maxItems": lambda wanted, value, _: not isinstance(value, list) or len(value) <= wanted,
    "items": lambda wanted, value, _: (
        not isinstance(value, list) or all(valid(wanted, member) for member in value)
    ),
    "properties": _members,
    "required": lambda wanted, value, _: not isinstance(value, dict) or value.keys() >= set(wanted),
    "additionalProperties": lambda wanted, value, schema: (
        wanted is False
        and (not isinstance(value, dict) or value.keys() <= schema["properties"].keys())
    ),
}


def rendered_or_refused(request: dict[str, Any]) -> bool:
    try:
        rendered(request)
    except SummaryRefused:
        return False
    return True


def paths(kind: str) -> list[str]:
    """Name each member that the golden request of a kind has."""
    fields = golden(kind)["fields"]
    inner = [
        f"{name}.{part}"
        for name in fields
        if isinstance(fields[name], dict)
        for part in fields[name]
    ]
    return [*fields, *inner]


EVERY_PATH = [(kind, path) for kind in sorted(KINDS) for path in paths(kind)]
VALUES: list[object] = [
    None, True, 0, 1, 100_000, 100_001, -1, 1.5, [], {}, "", "x", "RUB", "JPY", "0", "1",
    "1.00", "0.00", "1.000", "12345", "a" * 5 + " b", "2025-11-21", "2025-11-21T14:30:00Z",
    "P-256", "payment", "word " * 150, {"value": "5", "currency": "JPY"},
    {"value": "5.00", "currency": "JPY"},
    {"value": "5.00", "currency": "RUB", "more": "x"}, {"family": "A", "given": "B"},
    {"name": "A", "account": "12345"}, {"number": "1"},
    {"from": "2025-10-01", "to": "2025-10-31"}, {"from": "2025-10-01"}, ["x"], [None], [{}],
    [{"value": "5.00", "currency": "RUB"}],
    [{"value": "5.00", "currency": "RUB"}, {"value": "5", "currency": "JPY"}],
    [{"value": "5.00", "currency": "RUB"}] * 6,
    [{"value": "5.00", "currency": "RUB", "count": 1}],
    [{"value": "5.00", "currency": "RUB", "count": 0}],
    [{"type": "act", "documents": 30}], [{"type": "act", "documents": 0}],
    [{"type": "act", "documents": True}], [{"type": "deed", "documents": 30}],
    [{"type": "act", "documents": 30, "more": 1}],
]  # fmt: skip  # a table of values, not a column


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_golden_request_keeps_its_schema(kind: str) -> None:
    assert valid(json_schema(kind), golden(kind)["fields"])


@pytest.mark.parametrize(("kind", "path"), EVERY_PATH)
def test_schema_and_reader_agree_on_each_field(kind: str, path: str) -> None:
    """What the schema refuses is refused; what is rendered keeps the schema."""
    for value in VALUES:
        request = with_field(golden(kind), path, value)
        if rendered_or_refused(request):
            assert valid(json_schema(kind), request["fields"]), value


@pytest.mark.parametrize(("kind", "path"), EVERY_PATH)
def test_schema_and_reader_agree_on_what_may_be_left_out(kind: str, path: str) -> None:
    request = without_field(golden(kind), path)
    assert valid(json_schema(kind), request["fields"]) is rendered_or_refused(request)


@pytest.mark.parametrize(
    "path", ["amount", "amount.value", "amount.currency", "payee.account", "payments"]
)
def test_schema_and_reader_agree_both_ways_where_no_calendar_or_alphabet_matters(
    path: str,
) -> None:
    for value in VALUES:
        request = with_field(golden("payment"), path, value)
        agreed = valid(json_schema("payment"), request["fields"])
        assert agreed is rendered_or_refused(request), value


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_schema_and_reader_refuse_an_unknown_field(kind: str) -> None:
    request = with_field(golden(kind), "more", "x")
    assert not valid(json_schema(kind), request["fields"])
    assert not rendered_or_refused(request)


@given(
    st.from_regex(r"[0-9]{0,3}\.?[0-9]{0,4}", fullmatch=True),
    st.sampled_from(["RUB", "JPY", "KWD"]),
)
def test_schema_and_reader_agree_on_any_amount(value: str, currency: str) -> None:
    request = with_field(golden("payment"), "amount", {"value": value, "currency": currency})
    assert valid(json_schema("payment"), request["fields"]) is rendered_or_refused(request)


def test_there_is_no_schema_of_an_unknown_kind() -> None:
    with pytest.raises(SummaryRefused, match=r"^type: "):
        json_schema("unknown")
