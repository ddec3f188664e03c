"""Types of fields that hold several things: totals by currency, documents by type.

The rules of ``fields.py`` hold for them too. What adds up is added up here, not believed.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, final

import msgspec

from backend.errors import SummaryRefused
from backend.summary.fields import (
    Field,
    JsonSchema,
    Name,
    Rows,
    check_members,
    join,
    object_schema,
)
from backend.summary.quantities import AmountField, CountField
from backend.summary.text import Language, Reader
from backend.summary.words import Plural, Words

MOST_CURRENCIES: Final = 5
MOST_DOCUMENTS: Final = 10_000
MOST_COUNTED: Final = 1_000_000

Counted = Annotated[int, msgspec.Meta(ge=1, le=MOST_COUNTED)]


def _check_list(unverified: object, *, path: str, most: int) -> Sequence[object]:
    if type(unverified) is not list or not 1 <= len(unverified) <= most:
        raise SummaryRefused(path, f"is not a list of 1 to {most}")
    return unverified


@final
class TotalsField(Field, frozen=True, kw_only=True, tag="totals"):
    """Amounts, one for each currency; ``count`` says how many things make it up, if counted."""

    counted: Plural | None = None
    most: Counted = MOST_COUNTED

    def read(self, unverified: object, *, path: str, reader: Reader) -> Rows:
        """Read a row for each currency, the amount before the count."""
        rows: list[str] = []
        seen: set[object] = set()
        for position, total in enumerate(_check_list(unverified, path=path, most=MOST_CURRENCIES)):
            where = f"{path}[{position}]"
            rows.append(self._row(total, where=where, reader=reader))
            currency = total["currency"] if isinstance(total, dict) else None
            if currency in seen:
                raise SummaryRefused(join(where, "currency"), "stands twice")
            seen.add(currency)
        return tuple(rows)

    def _row(self, unverified: object, *, where: str, reader: Reader) -> str:
        amount = AmountField(name="amount", required=True)
        if self.counted is None:
            return amount.read(unverified, path=where, reader=reader)[0]
        all_three = frozenset({"value", "currency", "count"})
        members = dict(
            check_members(unverified, path=where, required=all_three, optional=frozenset())
        )
        count = self._count(self.counted)
        (counted,) = count.read(members.pop("count"), path=join(where, "count"), reader=reader)
        (text,) = amount.read(members, path=where, reader=reader)
        return f"{text} ({counted})"

    def _count(self, counted: Plural) -> CountField:
        return CountField(name="count", required=True, least=1, most=self.most, plural=counted)

    def schema(self) -> JsonSchema:
        """State the list; that no currency stands twice is said in words."""
        amount: dict[str, Any] = AmountField(name="amount", required=True).schema()
        if self.counted is not None:
            for one in amount["oneOf"]:
                one["properties"]["count"] = self._count(self.counted).schema()
                one["required"] = sorted([*one["required"], "count"])
        return {
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_CURRENCIES,
            "items": amount,
            "description": "One for each currency.",
        }


@final
class DocumentType(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A type of document, as a package counts it."""

    name: Name
    one: Words
    """A single one, before its number: the label of a document that was given none."""
    plural: Plural


@final
class ContentsField(Field, frozen=True, kw_only=True, tag="contents"):
    """How many documents of which type, in the order of the list; each type stands once.

    So each document of the list has a type by its place. The counts add up to the list, or the
    request is refused (T-33).
    """

    types: tuple[DocumentType, ...]

    def read(self, unverified: object, *, path: str, reader: Reader) -> Rows:
        """Read a row for each type."""
        return tuple(
            kind.plural.of(reader.lang, count)
            for kind, count in self._runs(unverified, path=path).items()
        )

    def check_sum(self, unverified: object, *, path: str, documents: int) -> None:
        """Refuse contents that do not add up to the list (T-33)."""
        counted = sum(self._runs(unverified, path=path).values())
        if counted != documents:
            raise SummaryRefused(path, f"counts {counted} documents, the list has {documents}")

    def labels(self, unverified: object, *, path: str, lang: Language) -> tuple[str, ...]:
        """Name each document by its type and a number."""
        return tuple(
            f"{kind.one.of(lang)} {number}"
            for kind, count in self._runs(unverified, path=path).items()
            for number in range(1, count + 1)
        )

    def _runs(self, unverified: object, *, path: str) -> Mapping[DocumentType, int]:
        by_name = {kind.name: kind for kind in self.types}
        runs: dict[DocumentType, int] = {}
        for position, run in enumerate(_check_list(unverified, path=path, most=len(self.types))):
            where = f"{path}[{position}]"
            members = check_members(
                run,
                path=where,
                required=frozenset({"type", "documents"}),
                optional=frozenset(),
            )
            name, count = members["type"], members["documents"]
            if type(name) is not str or name not in by_name:
                raise SummaryRefused(join(where, "type"), "is no known type of document")
            if by_name[name] in runs:
                raise SummaryRefused(join(where, "type"), "stands twice")
            if type(count) is not int or not 1 <= count <= MOST_DOCUMENTS:
                raise SummaryRefused(
                    join(where, "documents"), f"is not a whole number from 1 to {MOST_DOCUMENTS}"
                )
            runs[by_name[name]] = count
        return runs

    def schema(self) -> JsonSchema:
        """State types and counts; that each stands once and the sum is said in words."""
        run = object_schema(
            {
                "type": {"enum": [kind.name for kind in self.types]},
                "documents": {"type": "integer", "minimum": 1, "maximum": MOST_DOCUMENTS},
            },
            required=frozenset({"type", "documents"}),
        )
        return {
            "type": "array",
            "minItems": 1,
            "maxItems": len(self.types),
            "items": run,
            "description": "In the order of the list, each type once; adds up to its length.",
        }
