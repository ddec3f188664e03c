"""JSON Schema (2020-12) of each kind, for those who write requests.

What a schema refuses, ``render`` refuses too; ``render`` refuses more, which the descriptions say
in words: characters that are not shown, days that no calendar has.
"""

from collections.abc import Iterable

from backend.errors import SummaryRefused
from backend.summary.catalogue import KINDS, Group, Leaf
from backend.summary.fields import JsonSchema, object_schema


def json_schema(kind: str) -> JsonSchema:
    """State what the ``fields`` of a kind may be.

    Raises:
        SummaryRefused: there is no such kind.
    """
    if kind not in KINDS:
        raise SummaryRefused("type", "is no known kind")
    declared = KINDS[kind]
    properties: dict[str, JsonSchema] = {"type": {"const": kind}}
    body = object_schema(
        properties | _properties(declared.fields),
        required=_required(declared.fields) | {"type"},
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": declared.title.en,
    } | body


def _properties(fields: Iterable[Leaf | Group]) -> dict[str, JsonSchema]:
    return {field.name: _schema(field) for field in fields}


def _required(fields: Iterable[Leaf | Group]) -> frozenset[str]:
    return frozenset(field.name for field in fields if field.required)


def _schema(field: Leaf | Group) -> JsonSchema:
    if isinstance(field, Group):
        return object_schema(_properties(field.members), required=_required(field.members))
    return field.schema()
