"""Types of fields that count, cost or date; the rules of ``fields.py`` hold for them too."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Final, final

import msgspec

from backend.errors import SummaryRefused
from backend.summary.currencies import DECIMALS, money_text
from backend.summary.fields import Field, JsonSchema, Rows, check_members, join, object_schema
from backend.summary.moments import moment_text
from backend.summary.text import Reader
from backend.summary.words import NO_BREAK_SPACE, Plural, date_text, in_fours, period_text

WHOLE: Final = "(?:0|[1-9][0-9]{0,14})"
"""Up to 999 999 999 999 999: more is a mistake, and an exact double."""
ZERO: Final = "^[0.]*$"
ACCOUNT: Final = "^[0-9A-Z]{5,34}$"
"""IBAN (ISO 13616) and national account numbers, without spaces."""
DATE: Final = "^20[0-9]{2}-[0-9]{2}-[0-9]{2}$"
INSTANT: Final = "^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"


def _value_pattern(decimals: int) -> str:
    return f"^{WHOLE}$" if decimals == 0 else f"^{WHOLE}\\.[0-9]{{{decimals}}}$"


def _matching(pattern: str, unverified: object, *, path: str, what: str) -> str:
    """Return the string if all of it is of the pattern (``$`` alone lets a last newline pass)."""
    if type(unverified) is not str or not re.fullmatch(pattern, unverified):
        raise SummaryRefused(path, f"is not {what}")
    return unverified


@final
class AmountField(Field, frozen=True, kw_only=True, tag="amount"):
    """Money: ``value`` as a decimal string, ``currency`` by ISO 4217. More than nothing."""

    def read(self, unverified: object, *, path: str, reader: Reader) -> Rows:
        """Read an amount that has exactly its currency's decimals."""
        both = frozenset({"value", "currency"})
        members = check_members(unverified, path=path, required=both, optional=frozenset())
        currency = members["currency"]
        if type(currency) is not str or currency not in DECIMALS:
            raise SummaryRefused(join(path, "currency"), "is no currency of ISO 4217")
        decimals = DECIMALS[currency]
        value = _matching(
            _value_pattern(decimals),
            members["value"],
            path=join(path, "value"),
            what=f"a decimal string with {decimals} decimals, as {currency} has",
        )
        if re.fullmatch(ZERO, value):
            raise SummaryRefused(join(path, "value"), "is zero")
        return (money_text(value, currency, reader.lang),)

    def schema(self) -> JsonSchema:
        """State which decimals go with which currency."""
        both = frozenset({"value", "currency"})
        return {
            "oneOf": [
                object_schema(
                    {
                        "value": {
                            "type": "string",
                            "pattern": _value_pattern(decimals),
                            "not": {"pattern": ZERO},
                        },
                        "currency": {
                            "enum": sorted(code for code in DECIMALS if DECIMALS[code] == decimals)
                        },
                    },
                    required=both,
                )
                for decimals in sorted(set(DECIMALS.values()))
            ]
        }


@final
class AccountField(Field, frozen=True, kw_only=True, tag="account"):
    """An account's number, shown in groups of four."""

    def read(self, unverified: object, *, path: str, reader: Reader) -> Rows:
        """Read capital letters and digits, without spaces."""
        del reader
        number = _matching(
            ACCOUNT, unverified, path=path, what="an account of 5 to 34 digits and capital letters"
        )
        return (in_fours(number, NO_BREAK_SPACE),)

    def schema(self) -> JsonSchema:
        """State the form."""
        return {"type": "string", "pattern": ACCOUNT}


@final
class DateField(Field, frozen=True, kw_only=True, tag="date"):
    """A day of this century, ``2025-11-21``."""

    def read(self, unverified: object, *, path: str, reader: Reader) -> Rows:
        """Read a day that the calendar has."""
        text = _matching(DATE, unverified, path=path, what="a date as 2025-11-21")
        try:
            return (date_text(date.fromisoformat(text), reader.lang),)
        except ValueError as error:
            raise SummaryRefused(path, "is no day of the calendar") from error

    def schema(self) -> JsonSchema:
        """State the form."""
        return {"type": "string", "format": "date", "pattern": DATE}


@final
class PeriodField(Field, frozen=True, kw_only=True, tag="period"):
    """From a day to a day, ``from`` and ``to``, both in it; a whole month is called by its name."""

    def read(self, unverified: object, *, path: str, reader: Reader) -> Rows:
        """Read two days that follow each other."""
        both = frozenset({"from", "to"})
        members = check_members(unverified, path=path, required=both, optional=frozenset())
        day = DateField(name="day", required=True)
        for name in ("from", "to"):
            day.read(members[name], path=join(path, name), reader=reader)
        first, last = (date.fromisoformat(str(members[name])) for name in ("from", "to"))
        if last < first:
            raise SummaryRefused(join(path, "to"), "is before its beginning")
        return (period_text(first, last, reader.lang),)

    def schema(self) -> JsonSchema:
        """State the two days."""
        day = DateField(name="day", required=True).schema()
        return object_schema({"from": day, "to": day}, required=frozenset({"from", "to"}))


@final
class InstantField(Field, frozen=True, kw_only=True, tag="instant"):
    """A moment of this century in UTC, ``2025-11-21T14:30:00Z``; shown by the reader's clock."""

    def read(self, unverified: object, *, path: str, reader: Reader) -> Rows:
        """Read a moment that the calendar and the clock have."""
        what = "an instant as 2025-11-21T14:30:00Z"
        text = _matching(INSTANT, unverified, path=path, what=what)
        try:
            at = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError as error:
            raise SummaryRefused(path, "is no moment of the calendar") from error
        return (moment_text(at, reader),)

    def schema(self) -> JsonSchema:
        """State the form."""
        return {"type": "string", "format": "date-time", "pattern": INSTANT}


@final
class CountField(Field, frozen=True, kw_only=True, tag="count"):
    """How many of something."""

    least: Annotated[int, msgspec.Meta(ge=0)]
    most: Annotated[int, msgspec.Meta(le=1_000_000)]
    plural: Plural

    def read(self, unverified: object, *, path: str, reader: Reader) -> Rows:
        """Read a whole number within the bounds, and say it with its noun."""
        if type(unverified) is not int or not self.least <= unverified <= self.most:
            raise SummaryRefused(path, f"is not a whole number from {self.least} to {self.most}")
        return (self.plural.of(reader.lang, unverified),)

    def schema(self) -> JsonSchema:
        """State the bounds."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}
