"""What libraries compile for each application or engine is compiled once a process.

The product makes one application and one engine a process; the tests make thousands, which differ
in their data alone. To compile the same again for each was a third of the work of many tests.
"""

from typing import Any, Final

import pytest
from sqlalchemy import Engine
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache
from werkzeug.routing import Rule

STATEMENTS: Final = 5000
"""More than the product has."""


def compile_routes_once(patched: pytest.MonkeyPatch) -> None:
    """Build addresses by the same function wherever a route is the same."""
    compile_builder = Rule._compile_builder
    made: dict[object, Any] = {}

    def compiled(rule: Rule, append_unknown: bool = True) -> Any:  # noqa: ANN401, FBT001, FBT002  # Werkzeug's signature
        if rule.defaults:
            return compile_builder(rule, append_unknown)
        key = (rule.rule, tuple(rule._trace), append_unknown)
        if key not in made:
            made[key] = compile_builder(rule, append_unknown)
        return made[key]

    patched.setattr(Rule, "_compile_builder", compiled)


def compile_statements_once(patched: pytest.MonkeyPatch) -> None:
    """Let all engines of one kind of database share what they compiled.

    A compiled statement is kept by statement and dialect. Each engine has a dialect of its own; all
    of one kind are made with the same options (``backend.database``), so they count as equal.
    """
    shared: LRUCache[Any, Any] = LRUCache(STATEMENTS)
    one_for_all = property(lambda _engine: shared, lambda _engine, _own: None)
    patched.setattr(Engine, "_compiled_cache", one_for_all, raising=False)
    patched.setattr(DefaultDialect, "__eq__", _same_kind)
    patched.setattr(DefaultDialect, "__hash__", _kind)


def _same_kind(one: object, other: object) -> bool:
    return type(one) is type(other)


def _kind(one: object) -> int:
    return hash(type(one))
