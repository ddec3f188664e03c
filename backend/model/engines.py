"""One pool of connections, used in two ways: with transactions, and with each statement its own.

A connection of PostgreSQL leaves the pool with each statement its own transaction: so the hot path
uses it (``steps.py``), and nothing has to be set for it. Sessions, and everybody else, set it to
transactions for the time they have it.
"""

from typing import Any, Final, cast

from sqlalchemy import Engine

EACH_STATEMENT: Final[dict[str, Any]] = {"isolation_level": "AUTOCOMMIT"}
"""Option of an engine on PostgreSQL that is given to :func:`with_transactions`."""

_MADE: Final = "cellkey_made"
"""Option in which an engine with transactions keeps the one that it was made of."""


def with_transactions(made: Engine) -> Engine:
    """Give an engine the use with transactions; the pool stays one."""
    if made.dialect.name != "postgresql":
        return made
    return made.execution_options(isolation_level="READ COMMITTED", **{_MADE: made})


def each_statement(engine: Engine) -> Engine:
    """The other use of the same pool."""
    return cast("Engine", engine.get_execution_options()[_MADE])
