"""One pool of connections, used in two ways: with transactions, and with each statement its own.

A connection of PostgreSQL leaves the pool with each statement its own transaction: so the hot path
uses it (``steps.py``), and nothing has to be set for it. Sessions, and everybody else, set it to
transactions for the time they have it.
"""

from typing import Any, Final
from weakref import WeakKeyDictionary, ref

from sqlalchemy import Dialect, Engine

EACH_STATEMENT: Final[dict[str, Any]] = {"isolation_level": "AUTOCOMMIT"}
"""Option of an engine on PostgreSQL that is given to :func:`with_transactions`."""

_MADE: Final[WeakKeyDictionary[Dialect, ref[Engine]]] = WeakKeyDictionary()
"""Engines as they were made, by their dialect: both uses share it, and each engine has its own."""


def with_transactions(made: Engine) -> Engine:
    """Give an engine the use with transactions; the pool stays one."""
    if made.dialect.name != "postgresql":
        return made
    _MADE[made.dialect] = ref(made)
    return made.execution_options(isolation_level="READ COMMITTED")


def each_statement(engine: Engine) -> Engine:
    """The other use of the same pool."""
    made = _MADE[engine.dialect]()
    if made is None:
        raise ReferenceError("the engine is not used any more")
    return made
