"""Currencies (ISO 4217): how many decimals an amount has, and how it is shown.

An amount has exactly its currency's decimals, no fewer: ``12500`` roubles and ``12500`` kopecks are
not told apart by guessing. Russian: ``12 500,00 ₽`` and, where no sign is one currency's alone,
``12 500,00 USD``. English: ``RUB 12,500.00``. Spaces inside are no-break spaces.
"""

from collections.abc import Mapping
from typing import Final, final

import msgspec

from backend.summary.package_data import read_toml
from backend.summary.text import Language
from backend.summary.words import DECIMAL, NO_BREAK_SPACE, grouped


@final
class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    symbols: dict[str, str]
    decimals: dict[int, str]


_TABLE: Final = read_toml("currencies.toml", kind=_Table)
DECIMALS: Final[Mapping[str, int]] = {
    currency: decimals
    for decimals, currencies in _TABLE.decimals.items()
    for currency in currencies.split()
}
"""Digits after the decimal sign, by currency."""


def money_text(value: str, currency: str, lang: Language) -> str:
    """Write an amount: ``value`` with a point and its currency's decimals."""
    whole, point, decimals = value.partition(".")
    number = grouped(whole, lang) + (DECIMAL[lang] if point else "") + decimals
    if lang == "ru":
        return f"{number}{NO_BREAK_SPACE}{_TABLE.symbols.get(currency, currency)}"
    return f"{currency}{NO_BREAK_SPACE}{number}"
