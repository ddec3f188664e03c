"""The money of a request, by currency: what a policy's caps are compared with (R-126).

Every amount that the signer reads counts, by itself: of a kind's fields each that is money.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from backend.summary.catalogue import Group, Leaf, Money
from backend.summary.reading import find_kind
from backend.summary.text import Reader
from backend.time_zones import time_zone

_READER: Final = Reader(lang="en", zone=time_zone("UTC"))
"""Amounts are checked as for any reader; nothing that it writes is shown."""


def amounts(fields: Mapping[str, object]) -> tuple[tuple[str, Decimal], ...]:
    """Give each amount with its currency.

    Raises:
        SummaryRefused: the kind is not known, or an amount is none.
    """
    kind = find_kind(fields)
    found: list[tuple[str, Decimal]] = []
    for path, leaf, value in _present(kind.fields, fields):
        if isinstance(leaf, Money):
            # Whatever passes this is an amount, or a list of them.
            leaf.read(value, path=path, reader=_READER)
            several = value if isinstance(value, list) else [value]
            found += [(one["currency"], Decimal(one["value"])) for one in several]
    return tuple(found)


def _present(
    declared: Iterable[Leaf | Group], values: Mapping[str, Any]
) -> Iterator[tuple[str, Leaf, Any]]:
    for field in declared:
        if field.name not in values:
            continue
        value = values[field.name]
        if not isinstance(field, Group):
            yield field.name, field, value
        elif isinstance(value, dict):
            yield from _present(field.members, value)
