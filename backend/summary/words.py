"""Words in both languages: templates, plurals (CLDR), numbers and dates as people write them.

- Thousands are grouped from the first one on, with a no-break space in Russian and a comma in
  English; decimals follow a comma in Russian and a point in English.
- A date is ``21.11.2025`` in Russian and ``21 November 2025`` in English: no reading takes the day
  for the month.
- A template's ``{name}`` is filled in one pass: what is filled in is never read as a template.
"""

import re
from calendar import monthrange
from collections.abc import Mapping
from datetime import date
from typing import Final, final

import msgspec

from backend.summary.text import Language

NO_BREAK_SPACE: Final = "\u00a0"
THOUSANDS: Final[Mapping[Language, str]] = {"ru": NO_BREAK_SPACE, "en": ","}
DECIMAL: Final[Mapping[Language, str]] = {"ru": ",", "en": "."}
ENGLISH_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip  # a line a month says no more
RUSSIAN_MONTHS: Final = (
    "январь", "февраль", "март", "апрель", "май", "июнь", "июль",
    "август", "сентябрь", "октябрь", "ноябрь", "декабрь",
)  # fmt: skip  # as above

_PLACEHOLDER: Final = re.compile(r"\{([a-z_.]+)\}")


@final
class Words(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing said in both languages."""

    ru: str
    en: str

    def of(self, lang: Language) -> str:
        """Give the words in one language."""
        return self.ru if lang == "ru" else self.en


@final
class RussianForms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """CLDR's categories for whole numbers; ``other`` is for fractions, which no count has."""

    one: str
    few: str
    many: str


@final
class EnglishForms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """CLDR's categories for English."""

    one: str
    other: str


@final
class Plural(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A count with its noun: ``{n}`` and the form that the number asks for."""

    ru: RussianForms
    en: EnglishForms

    def of(self, lang: Language, n: int) -> str:
        """Say the count in one language."""
        form = self._russian(n) if lang == "ru" else self._english(n)
        return fill(form, {"n": grouped(str(n), lang)})

    def _russian(self, n: int) -> str:
        if n % 10 == 1 and n % 100 != 11:  # noqa: PLR2004  # CLDR's rule, as it is written there
            return self.ru.one
        if n % 10 in {2, 3, 4} and n % 100 not in {12, 13, 14}:
            return self.ru.few
        return self.ru.many

    def _english(self, n: int) -> str:
        return self.en.one if n == 1 else self.en.other


def placeholders(template: str) -> frozenset[str]:
    """Name what a template wants filled in."""
    return frozenset(_PLACEHOLDER.findall(template))


def fill(template: str, values: Mapping[str, str]) -> str:
    """Fill in a template; each of its placeholders has a value."""
    return _PLACEHOLDER.sub(lambda match: values[match[1]], template)


def grouped(digits: str, lang: Language) -> str:
    """Group a whole number's digits by thousands."""
    return f"{int(digits):,}".replace(",", THOUSANDS[lang])


def in_fours(characters: str, separator: str) -> str:
    """Group an account or a thumbprint by four, as it is compared by eye."""
    return separator.join(characters[start : start + 4] for start in range(0, len(characters), 4))


def date_text(day: date, lang: Language) -> str:
    """Write a date."""
    if lang == "ru":
        return f"{day:%d.%m.%Y}"
    return f"{day.day} {ENGLISH_MONTHS[day.month - 1]} {day.year}"


def period_text(first: date, last: date, lang: Language) -> str:
    """Write a period; a whole month as ``октябрь 2025``, ``October 2025``."""
    if first.day == 1 and last == _end_of_month(first):
        months = RUSSIAN_MONTHS if lang == "ru" else ENGLISH_MONTHS
        return f"{months[first.month - 1]} {first.year}"
    between = "–" if lang == "ru" else " to "
    return f"{date_text(first, lang)}{between}{date_text(last, lang)}"


def _end_of_month(day: date) -> date:
    return day.replace(day=monthrange(day.year, day.month)[1])
