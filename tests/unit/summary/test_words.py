"""Plurals, numbers and dates, in both languages."""

from datetime import date
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.summary.currencies import DECIMALS, money_text
from backend.summary.words import (
    EnglishForms,
    Plural,
    RussianForms,
    date_text,
    fill,
    grouped,
    in_fours,
    period_text,
    placeholders,
)

FORMS = Plural(
    ru=RussianForms(one="{n} one", few="{n} few", many="{n} many"),
    en=EnglishForms(one="{n} one", other="{n} other"),
)
RUSSIAN = {
    "one": (1, 21, 31, 101, 121, 9991),
    "few": (2, 3, 4, 22, 24, 102, 104, 122),
    "many": (0, 5, 9, 10, 11, 12, 13, 14, 15, 19, 20, 25, 100, 111, 112, 113, 114, 211, 311, 9911),
}


@pytest.mark.parametrize(("form", "n"), [(form, n) for form, ns in RUSSIAN.items() for n in ns])
def test_russian_counts_take_their_form(form: str, n: int) -> None:
    """CLDR: one, few, many; ``other`` belongs to fractions."""
    assert FORMS.of("ru", n).endswith(f" {form}")


@pytest.mark.parametrize("n", [0, 2, 5, 11, 21, 101, 111])
def test_english_counts_are_other_but_for_one(n: int) -> None:
    assert FORMS.of("en", 1) == "1 one"
    assert FORMS.of("en", n) == f"{n} other"


def test_a_count_is_grouped_by_thousands() -> None:
    assert FORMS.of("ru", 10_000) == "10\u00a0000 many"
    assert FORMS.of("en", 10_000) == "10,000 other"


@pytest.mark.parametrize(
    ("digits", "ru", "en"),
    [
        ("0", "0", "0"),
        ("999", "999", "999"),
        ("1000", "1\u00a0000", "1,000"),
        ("999999999999999", "999\u00a0999\u00a0999\u00a0999\u00a0999", "999,999,999,999,999"),
    ],
)
def test_thousands_are_grouped(digits: str, ru: str, en: str) -> None:
    assert grouped(digits, "ru") == ru
    assert grouped(digits, "en") == en


@pytest.mark.parametrize(
    ("value", "currency", "ru", "en"),
    [
        ("12500.00", "RUB", "12\u00a0500,00\u00a0\u20bd", "RUB\u00a012,500.00"),
        ("0.01", "RUB", "0,01\u00a0\u20bd", "RUB\u00a00.01"),
        ("1000.50", "USD", "1\u00a0000,50\u00a0USD", "USD\u00a01,000.50"),
        ("12500", "JPY", "12\u00a0500\u00a0JPY", "JPY\u00a012,500"),
        ("1.234", "BHD", "1,234\u00a0BHD", "BHD\u00a01.234"),
    ],
)
def test_an_amount_is_written_as_its_language_writes_it(
    value: str, currency: str, ru: str, en: str
) -> None:
    assert money_text(value, currency, "ru") == ru
    assert money_text(value, currency, "en") == en


def test_currencies_have_the_decimals_of_iso_4217() -> None:
    assert {DECIMALS[code] for code in ("RUB", "USD", "EUR", "KZT", "CNY", "BYN")} == {2}
    assert {DECIMALS[code] for code in ("JPY", "KRW", "VND", "XOF", "CLP")} == {0}
    assert {DECIMALS[code] for code in ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")} == {3}
    assert all(len(code) == 3 and code.isupper() and code.isascii() for code in DECIMALS)
    assert not DECIMALS.keys() & {"XAU", "XXX", "XTS", "CLF", "USN", "SUR", "RUR"}


def test_no_two_months_are_written_alike() -> None:
    assert len({date_text(date(2025, month, 1), "ru") for month in range(1, 13)}) == 12
    assert len({date_text(date(2025, month, 1), "en") for month in range(1, 13)}) == 12


def test_a_whole_month_is_called_by_its_name() -> None:
    for first, last, ru, en in (
        (date(2025, 10, 1), date(2025, 10, 31), "октябрь 2025", "October 2025"),
        (date(2024, 2, 1), date(2024, 2, 29), "февраль 2024", "February 2024"),
        (
            date(2025, 2, 1),
            date(2025, 2, 27),
            "01.02.2025–27.02.2025",
            "1 February 2025 to 27 February 2025",
        ),
        (
            date(2025, 10, 1),
            date(2025, 12, 31),
            "01.10.2025–31.12.2025",
            "1 October 2025 to 31 December 2025",
        ),
        (
            date(2025, 10, 2),
            date(2025, 10, 2),
            "02.10.2025–02.10.2025",
            "2 October 2025 to 2 October 2025",
        ),
    ):
        assert period_text(first, last, "ru") == ru
        assert period_text(first, last, "en") == en


def russian_by_hand(n: int) -> str:
    """The school rule, said over the last digits as they are written."""
    digits = f"{n:02}"
    if digits[-2] == "1" or digits[-1] in "056789":
        return "many"
    return "one" if digits[-1] == "1" else "few"


def test_plural_forms_agree_with_the_school_rule() -> None:
    for n in (*range(201), *range(990, 1131), *range(9_990, 10_001), 21_001, 112_112, 1_000_000):
        assert FORMS.of("ru", n).endswith(f" {russian_by_hand(n)}"), n
        assert FORMS.of("en", n).endswith(" one" if n == 1 else " other"), n


@given(
    st.integers(min_value=0, max_value=10**15 - 1),
    st.sampled_from(sorted(DECIMALS)),
    st.randoms(use_true_random=False),
)
def test_an_amount_that_is_shown_can_be_read_back_to_the_digit(
    whole: int, currency: str, chance: Random
) -> None:
    """Nothing is rounded, in no currency and in no language."""
    decimals = "".join(chance.choice("0123456789") for _ in range(DECIMALS[currency]))
    value = f"{whole}.{decimals}" if decimals else str(whole)

    ru = money_text(value, currency, "ru").removesuffix("\u20bd").removesuffix(currency)
    en = money_text(value, currency, "en").removeprefix(currency)
    assert Decimal(ru.replace("\u00a0", "").replace(",", ".")) == Decimal(value)
    assert Decimal(en.replace("\u00a0", "").replace(",", "")) == Decimal(value)
    assert en.strip("\u00a0") == f"{Decimal(value):,}"


def test_what_is_filled_in_is_not_read_as_a_template() -> None:
    """T-06: a payee called ``{amount}`` stays one."""
    assert fill("{payee.name}: {amount}", {"payee.name": "{amount}", "amount": "{payee.name}"}) == (
        "{amount}: {payee.name}"
    )


def test_a_templates_placeholders_are_named() -> None:
    assert placeholders("{a} and {b.c}, not {D} or {}") == {"a", "b.c"}


@given(st.text(alphabet="0123456789ABCDEF", max_size=34))
def test_grouping_by_four_changes_nothing_but_the_gaps(characters: str) -> None:
    shown = in_fours(characters, " ")
    assert shown.replace(" ", "") == characters
    assert all(len(group) == 4 for group in shown.split(" ")[:-1])
