"""JSON Schema (2020-12) of each kind, and of any of them, for those who write requests.

What a schema refuses, ``render`` refuses too; ``render`` refuses more, which the descriptions say
in words: characters that are not shown, days that no calendar has.
"""

from collections.abc import Iterable
from typing import Final

from backend.errors import SummaryRefused
from backend.summary.catalogue import KINDS, Group, Leaf
from backend.summary.fields import JsonSchema, object_schema

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
ASKED_FOR: Final = tuple(sorted(name for name, kind in KINDS.items() if kind.ask == "sign"))
"""Kinds that a relying party may ask for."""


def transaction_schema() -> JsonSchema:
    """State what a relying party's typed request may be, of whichever kind.

    The kind chooses the rest, so that a fault is told by its place and not as "none of these".
    """
    return {
        "$schema": DIALECT,
        "title": "Typed request for signatures",
        "type": "object",
        "properties": {"type": {"enum": list(ASKED_FOR)}},
        "required": ["type"],
        "allOf": [
            {
                "if": {"properties": {"type": {"const": kind}}, "required": ["type"]},
                "then": {"$ref": f"#/$defs/{kind}"},
            }
            for kind in ASKED_FOR
        ],
        "$defs": {kind: _body(kind) for kind in ASKED_FOR},
    }


def json_schema(kind: str) -> JsonSchema:
    """State what the ``fields`` of a kind may be.

    Raises:
        SummaryRefused: there is no such kind.
    """
    if kind not in KINDS:
        raise SummaryRefused("type", "is no known kind")
    return {"$schema": DIALECT} | _body(kind)


def _body(kind: str) -> JsonSchema:
    declared = KINDS[kind]
    properties: dict[str, JsonSchema] = {"type": {"const": kind}}
    body = object_schema(
        properties | _properties(declared.fields),
        required=_required(declared.fields) | {"type"},
    )
    return {"title": declared.title.en} | body


def _properties(fields: Iterable[Leaf | Group]) -> dict[str, JsonSchema]:
    return {field.name: _schema(field) for field in fields}


def _required(fields: Iterable[Leaf | Group]) -> frozenset[str]:
    return frozenset(field.name for field in fields if field.required)


def _schema(field: Leaf | Group) -> JsonSchema:
    if isinstance(field, Group):
        return object_schema(_properties(field.members), required=_required(field.members))
    return field.schema()
