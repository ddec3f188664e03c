"""Every bound of every field: the last value that is shown, and the first that is refused."""

from typing import Any

import pytest

from backend.errors import SummaryRefused
from tests.unit.summary.requests import golden, rendered, with_field, without_field

WORD = "abcdefghi "


def text_of(length: int) -> str:
    """Write honest words of exactly that length."""
    return (WORD * (length // len(WORD) + 1))[: length - 1] + "z"


def refused_at(request: dict[str, Any]) -> str:
    with pytest.raises(SummaryRefused) as refused:
        rendered(request)
    return refused.value.field


# --- objects --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("payment", "amount"),
        ("payment", "amount.value"),
        ("payment", "amount.currency"),
        ("payment", "payee"),
        ("payment", "payee.name"),
        ("payment", "payee.account"),
        ("payment", "purpose"),
        ("payment", "document.number"),
        ("payment", "prepared_by.family"),
        ("payment", "prepared_by.given"),
        ("enrol", "name"),
        ("set_password", "name"),
        ("set_password", "begun_at"),
        ("set_password", "session"),
        ("amend", "name"),
        ("amend", "delay"),
        ("certificate_request", "subject"),
        ("certificate_request", "name"),
        ("certificate_request", "ca"),
        ("certificate_request", "algorithm"),
    ],
)
def test_a_required_field_cannot_be_left_out(kind: str, path: str) -> None:
    assert refused_at(without_field(golden(kind), path)) == path


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("payment", "payee.bank"),
        ("payment", "document"),
        ("payment", "document.date"),
        ("payment", "payments"),
        ("payment", "execute_at"),
        ("payment", "prepared_by"),
        ("payment", "prepared_by.patronymic"),
        ("generic", "description"),
        ("enrol", "cell"),
    ],
)
def test_an_optional_field_may_be_left_out_and_its_line_goes_with_it(kind: str, path: str) -> None:
    request = golden(kind)
    whole, less = rendered(request).lines, rendered(without_field(request, path)).lines
    assert len(less) < len(whole) or path == "prepared_by.patronymic"
    assert not any("{" in line for line in less)


@pytest.mark.parametrize(
    ("kind", "path", "where"),
    [
        ("payment", "hash", "fields"),
        ("payment", "description", "fields"),
        ("payment", "amount.note", "amount"),
        ("payment", "payee.inn", "payee"),
        ("payment", "document.type", "document"),
        ("payment", "prepared_by.title", "prepared_by"),
        ("generic", "amount", "fields"),
        ("enrol", "code", "fields"),
        ("certificate_request", "issuer", "fields"),
        ("generic", "\u202e", "fields"),
    ],
)
def test_an_unknown_field_is_refused_and_its_name_is_not_repeated(
    kind: str, path: str, where: str
) -> None:
    """A field that is not shown is not signed for."""
    request = with_field(golden(kind), path, "x")
    with pytest.raises(SummaryRefused) as refused:
        rendered(request)
    assert str(refused.value) == f"{where}: has a member that is not known here"


ANY_FIELD = [
    ("payment", "amount"),
    ("payment", "amount.value"),
    ("payment", "amount.currency"),
    ("payment", "payee"),
    ("payment", "payee.name"),
    ("payment", "payee.account"),
    ("payment", "payee.bank"),
    ("payment", "purpose"),
    ("payment", "document"),
    ("payment", "document.number"),
    ("payment", "document.date"),
    ("payment", "payments"),
    ("payment", "execute_at"),
    ("payment", "prepared_by"),
    ("payment", "prepared_by.family"),
    ("generic", "description"),
    ("enrol", "name"),
    ("enrol", "cell"),
    ("set_password", "name"),
    ("set_password", "begun_at"),
    ("set_password", "session"),
    ("amend", "name"),
    ("amend", "number_end"),
    ("amend", "totp"),
    ("amend", "hotp"),
    ("amend", "counter"),
    ("amend", "delay"),
    ("certificate_request", "subject"),
    ("certificate_request", "name"),
    ("certificate_request", "ca"),
    ("certificate_request", "algorithm"),
]


@pytest.mark.parametrize("value", [None, True, False, 1.0, 1e3, float("nan"), [], ["a"], b"a", ()])
@pytest.mark.parametrize(("kind", "path"), ANY_FIELD)
def test_no_field_takes_a_float_a_boolean_null_or_a_list(
    kind: str, path: str, value: object
) -> None:
    field = refused_at(with_field(golden(kind), path, value))
    assert field == path


@pytest.mark.parametrize(("kind", "path"), ANY_FIELD)
def test_no_field_takes_an_object_where_words_stand_nor_words_where_an_object_stands(
    kind: str, path: str
) -> None:
    an_object = path in {"amount", "payee", "document", "prepared_by"}
    wrong: object = "words" if an_object else {"value": "words"}
    assert refused_at(with_field(golden(kind), path, wrong)) == path


# --- words ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "path", "longest"),
    [
        ("payment", "payee.name", 160),
        ("payment", "payee.bank", 100),
        ("payment", "purpose", 210),
        ("payment", "document.number", 40),
        ("payment", "prepared_by.family", 60),
        ("payment", "prepared_by.given", 60),
        ("payment", "prepared_by.patronymic", 60),
        ("generic", "description", 500),
        ("enrol", "name", 200),
        ("enrol", "cell", 60),
        ("certificate_request", "ca", 100),
    ],
)
def test_a_text_may_be_as_long_as_its_bound_and_no_longer(
    kind: str, path: str, longest: int
) -> None:
    request = golden(kind)
    longest_text = text_of(longest)
    assert len(longest_text) == longest
    assert any(
        longest_text in line for line in rendered(with_field(request, path, longest_text)).lines
    )
    assert refused_at(with_field(request, path, text_of(longest + 1))) == path
    assert refused_at(with_field(request, path, "")) == path


def test_a_description_has_at_most_eight_lines() -> None:
    request = golden("generic")
    rows = [f"line {n}" for n in range(1, 10)]
    shown = rendered(with_field(request, "description", "\n".join(rows[:8]))).lines
    assert shown[-8:] == tuple(f"> {row}" for row in rows[:8])
    assert refused_at(with_field(request, "description", "\n".join(rows))) == "description"


def test_a_descriptions_bound_is_of_all_its_lines_together() -> None:
    request = golden("generic")
    longest = "\n".join([text_of(62)] * 7 + [text_of(59)])
    assert len(longest) == 500
    rendered(with_field(request, "description", longest))
    assert refused_at(with_field(request, "description", longest + "z")) == "description"


@pytest.mark.parametrize("text", ["\n", "a\n\nb", "a\n", "\na", "a\r\nb", "a\rb", "a\n b", "a \nb"])
def test_a_description_has_no_empty_lines_and_newlines_of_one_kind(text: str) -> None:
    assert refused_at(with_field(golden("generic"), "description", text)) == "description"


def test_a_descriptions_lines_cannot_pass_for_lines_of_ours() -> None:
    """T-06: what comes from outside is marked, line by line, and said to be theirs."""
    forged = "To be signed: 1 document\nAmount: RUB 1.00"
    request = golden("generic_hash_only")
    lines = rendered(with_field(request, "description", forged)).lines
    assert lines[-3:] == (
        "The relying party says (Example Platform):",
        "> To be signed: 1 document",
        "> Amount: RUB 1.00",
    )


def test_a_template_in_a_value_stays_words() -> None:
    request = with_field(golden("payment"), "purpose", "{amount} {0} %s {payee.name}")
    assert "Purpose: {amount} {0} %s {payee.name}" in rendered(request).lines


# --- money, accounts, dates, counts -----------------------------------------------------


@pytest.mark.parametrize(
    ("value", "currency", "shown"),
    [
        ("0.01", "RUB", "RUB\u00a00.01"),
        ("999999999999999.99", "RUB", "RUB\u00a0999,999,999,999,999.99"),
        ("1", "JPY", "JPY\u00a01"),
        ("0.001", "KWD", "KWD\u00a00.001"),
    ],
)
def test_an_amount_within_its_bounds_stands_in_the_first_line(
    value: str, currency: str, shown: str
) -> None:
    amount = {"value": value, "currency": currency}
    lines = rendered(with_field(golden("payment"), "amount", amount)).lines
    assert lines[0] == f"Amount: {shown}"


@pytest.mark.parametrize(
    ("value", "currency"),
    [
        ("12500", "RUB"),
        ("12500.0", "RUB"),
        ("12500.000", "RUB"),
        ("12500.", "RUB"),
        (".50", "RUB"),
        ("12500.00", "JPY"),
        ("1.00", "KWD"),
        ("0.00", "RUB"),
        ("0", "JPY"),
        ("0.000", "KWD"),
        ("-1.00", "RUB"),
        ("+1.00", "RUB"),
        ("01.00", "RUB"),
        ("1,00", "RUB"),
        ("1 000.00", "RUB"),
        ("1_000.00", "RUB"),
        ("1e3.00", "RUB"),
        ("1000000000000000.00", "RUB"),
        ("NaN", "RUB"),
        ("Infinity", "RUB"),
        ("", "RUB"),
        ("1.00\n", "RUB"),
        ("\u0661.00", "RUB"),
        ("1.\uff10\uff10", "RUB"),
    ],
)
def test_an_amount_that_could_be_read_in_two_ways_is_refused(value: str, currency: str) -> None:
    amount = {"value": value, "currency": currency}
    assert refused_at(with_field(golden("payment"), "amount", amount)) == "amount.value"


@pytest.mark.parametrize(
    "currency", ["", "rub", "RUR", "XXX", "XAU", "RUB ", "\u0420UB", "$", "643"]
)
def test_an_unknown_currency_is_refused(currency: str) -> None:
    assert refused_at(with_field(golden("payment"), "amount.currency", currency)) == (
        "amount.currency"
    )


@pytest.mark.parametrize("account", ["12345", "A" * 34, "GB33BUKB20201555555555"])
def test_an_account_is_shown_whole_in_groups_of_four(account: str) -> None:
    lines = rendered(with_field(golden("payment"), "payee.account", account)).lines
    assert lines[2].removeprefix("Payee's account: ").replace("\u00a0", "") == account


@pytest.mark.parametrize(
    "account",
    [
        "",
        "1234",
        "A" * 35,
        "4070 2810",
        "gb33BUKB",
        "\u0410\u0412\u0421\u0415\u041d",
        "12345\n",
        "1234-5",
    ],
)
def test_an_account_of_another_form_is_refused(account: str) -> None:
    assert refused_at(with_field(golden("payment"), "payee.account", account)) == "payee.account"


@pytest.mark.parametrize("day", ["2000-01-01", "2024-02-29", "2099-12-31"])
def test_a_day_of_the_calendar_is_shown(day: str) -> None:
    rendered(with_field(golden("payment"), "document.date", day))


@pytest.mark.parametrize(
    "day",
    [
        "2025-02-29",
        "2025-13-01",
        "2025-00-10",
        "2025-01-32",
        "1999-12-31",
        "2100-01-01",
        "20250101",
        "2025-W01-1",
        "2025-1-1",
        "01.02.2025",
        "2025-01-01\n",
        "2025-01-01T00:00:00Z",
        "202\u0665-01-01",
        "",
    ],
)
def test_a_day_that_no_calendar_has_is_refused(day: str) -> None:
    assert refused_at(with_field(golden("payment"), "document.date", day)) == "document.date"


@pytest.mark.parametrize("at", ["2000-01-01T00:00:00Z", "2099-12-31T23:59:59Z"])
def test_a_moment_in_utc_is_shown(at: str) -> None:
    rendered(with_field(golden("payment"), "execute_at", at))


@pytest.mark.parametrize(
    "at",
    [
        "2025-02-29T00:00:00Z",
        "2025-01-01T24:00:00Z",
        "2025-01-01T23:60:00Z",
        "2025-01-01T23:59:62Z",
        "2025-01-01T23:59:60Z",
        "2025-01-01T00:00:00",
        "2025-01-01T00:00:00+03:00",
        "2025-01-01T00:00:00.5Z",
        "2025-01-01 00:00:00Z",
        "2025-01-01",
        "1999-12-31T23:59:59Z",
        "2025-01-01T00:00:00Z\n",
    ],
)
def test_a_moment_that_no_clock_has_is_refused(at: str) -> None:
    assert refused_at(with_field(golden("payment"), "execute_at", at)) == "execute_at"


@pytest.mark.parametrize(
    ("n", "ru", "en"),
    [
        (1, "1 \u043f\u043b\u0430\u0442\u0451\u0436", "1 payment"),
        (2, "2 \u043f\u043b\u0430\u0442\u0435\u0436\u0430", "2 payments"),
        (
            100_000,
            "100\u00a0000 \u043f\u043b\u0430\u0442\u0435\u0436\u0435\u0439",
            "100,000 payments",
        ),
    ],
)
def test_a_count_within_its_bounds_is_shown_with_its_noun(n: int, ru: str, en: str) -> None:
    request = with_field(golden("payment"), "payments", n)
    assert rendered(request, "en").lines[5] == f"In the register: {en}"
    assert rendered(request, "ru").lines[5].endswith(f": {ru}")


@pytest.mark.parametrize("n", [0, -1, 100_001, 10**30, "3"])
def test_a_count_beyond_its_bounds_is_refused(n: object) -> None:
    assert refused_at(with_field(golden("payment"), "payments", n)) == "payments"
