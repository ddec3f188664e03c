"""Contents of a package, totals of a register, periods: what adds up is added up here (T-33)."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import SummaryRefused
from backend.summary.catalogue import KINDS
from backend.summary.reading import numbered_labels
from backend.summary.several import MOST_CURRENCIES, ContentsField
from tests.unit.summary.requests import golden, rendered, with_field

(CONTENTS,) = (field for field in KINDS["package"].fields if isinstance(field, ContentsField))
TYPES = [kind.name for kind in CONTENTS.types]


def refused_at(request: dict[str, Any]) -> str:
    with pytest.raises(SummaryRefused) as refused:
        rendered(request)
    return refused.value.field


def package(*runs: tuple[str, int], documents: int | None = None) -> dict[str, Any]:
    """A package of so many documents of each type, in a list of so many."""
    request = copy.deepcopy(golden("package"))
    request["fields"]["contents"] = [{"type": name, "documents": n} for name, n in runs]
    count = sum(n for _, n in runs) if documents is None else documents
    return request | {"document_labels": ["Document"] * count}


def contents_of(request: dict[str, Any]) -> list[str]:
    start = "In the package: "
    return [line.removeprefix(start) for line in rendered(request).lines if start in line]


# --- contents -------------------------------------------------------------------------------------


@pytest.mark.parametrize("documents", [0, 1, 29, 31, 10_000])
def test_contents_that_do_not_add_up_to_the_list_are_refused(documents: int) -> None:
    """T-33: the 31st document."""
    runs = (("invoice", 20), ("act", 7), ("waybill", 3))
    request = package(*runs, documents=documents)
    assert refused_at(request) == ("contents" if documents else "documents")
    assert contents_of(package(*runs)) == ["20 invoices", "7 acts", "3 waybills"]


@given(st.permutations(TYPES), st.lists(st.integers(1, 60), min_size=1, max_size=len(TYPES)))
def test_the_counts_that_are_read_are_those_of_the_list_in_its_order(
    names: list[str], counts: list[int]
) -> None:
    runs = tuple(zip(names, counts, strict=False))
    said = contents_of(package(*runs))
    assert [int(line.split(" ")[0]) for line in said] == [n for _, n in runs]
    for change in (-1, 1):
        assert refused_at(package(*runs, documents=sum(counts) + change or 10_001)) in {
            "contents",
            "documents",
        }


@pytest.mark.parametrize("kind", CONTENTS.types, ids=lambda kind: str(kind.name))
def test_every_type_has_its_forms_in_both_languages(kind: Any) -> None:  # noqa: ANN401  # DocumentType
    assert kind.plural.of("en", 1).startswith("1 ")
    for lang in ("ru", "en"):
        said = [kind.plural.of(lang, n) for n in (1, 2, 5, 11, 21)]
        assert all(kind.one.of(lang) for _ in said)
        assert all("{" not in text for text in said)
    one, few, many, eleven, again = (kind.plural.of("ru", n) for n in (1, 2, 5, 11, 21))
    assert (again[2:], eleven[2:]) == (one[1:], many[1:])
    assert few[1:] != many[1:] or kind.name == "transfer_document"


@pytest.mark.parametrize(
    ("contents", "where"),
    [
        ([], "contents"),
        ({}, "contents"),
        (None, "contents"),
        ("act", "contents"),
        ([{"type": "act", "documents": 15}, {"type": "act", "documents": 15}], "contents[1].type"),
        ([{"type": "deed", "documents": 30}], "contents[0].type"),
        ([{"type": ["act"], "documents": 30}], "contents[0].type"),
        ([{"type": "\u202eact", "documents": 30}], "contents[0].type"),
        ([{"type": "act", "documents": 0}], "contents[0].documents"),
        ([{"type": "act", "documents": -30}], "contents[0].documents"),
        ([{"type": "act", "documents": True}], "contents[0].documents"),
        ([{"type": "act", "documents": 30.0}], "contents[0].documents"),
        ([{"type": "act", "documents": "30"}], "contents[0].documents"),
        ([{"type": "act", "documents": 10_001}], "contents[0].documents"),
        ([{"type": "act"}], "contents[0].documents"),
        ([{"documents": 30}], "contents[0].type"),
        ([{"type": "act", "documents": 30, "label": "x"}], "contents[0]"),
        ([{"type": "act", "documents": 30}, 7], "contents[1]"),
        ([{"type": "act", "documents": 1}] * 14, "contents"),
    ],
)
def test_contents_of_another_form_are_refused_by_their_place(contents: object, where: str) -> None:
    assert refused_at(with_field(golden("package"), "contents", contents)) == where


def test_a_document_without_a_label_is_named_by_its_type() -> None:
    """So the list on the phone says which documents the counts are of."""
    fields = package(("invoice", 2), ("act", 1))["fields"]
    assert numbered_labels(fields, count=3, lang="ru") == ("Счёт 1", "Счёт 2", "Акт 1")
    assert numbered_labels(fields, count=3, lang="en") == ("Invoice 1", "Invoice 2", "Act 1")
    assert numbered_labels({"type": "generic"}, count=2, lang="en") == ("Document 1", "Document 2")
    assert numbered_labels({"type": ["?"]}, count=1, lang="ru") == ("Документ 1",)
    assert numbered_labels({"type": "package"}, count=1, lang="en") == ("Document 1",)


@pytest.mark.parametrize("contents", [None, [], [{"type": "act", "documents": 2}], ["act"]])
def test_contents_are_checked_before_anything_is_named_by_them(contents: object) -> None:
    fields = {"type": "package", "contents": contents}
    with pytest.raises(SummaryRefused, match=r"^contents"):
        numbered_labels(fields, count=1, lang="ru")


# --- totals ---------------------------------------------------------------------------------------


def total(value: str = "5.00", currency: str = "RUB", **more: object) -> dict[str, object]:
    return {"value": value, "currency": currency, "count": 1} | more


def test_a_total_stands_for_each_currency_the_amount_before_the_count() -> None:
    totals = [total("1234567.80", count=21), total("90", "JPY", count=1000)]
    lines = rendered(with_field(golden("register"), "totals", totals), "ru").lines
    assert lines[0] == "Итого: 1\u00a0234\u00a0567,80\u00a0\u20bd (21 платёж)"
    assert lines[1] == "Итого: 90\u00a0JPY (1\u00a0000 платежей)"


@pytest.mark.parametrize(
    ("totals", "where"),
    [
        ([], "totals"),
        (total(), "totals"),
        (None, "totals"),
        ([total(), total("6.00")], "totals[1].currency"),
        ([total(currency="RUR")], "totals[0].currency"),
        ([total(currency="JPY")], "totals[0].value"),
        ([total("0.00")], "totals[0].value"),
        ([total(count=0)], "totals[0].count"),
        ([total(count=100_001)], "totals[0].count"),
        ([total(count="1")], "totals[0].count"),
        ([total(count=True)], "totals[0].count"),
        ([{"value": "5.00", "currency": "RUB"}], "totals[0].count"),
        ([{"currency": "RUB", "count": 1}], "totals[0].value"),
        ([total(more="x")], "totals[0]"),
        ([total(), "x"], "totals[1]"),
        (
            [total(currency=code) for code in ("RUB", "USD", "EUR", "CNY", "KZT", "BYN")],
            "totals",
        ),
    ],
)
def test_totals_of_another_form_are_refused_by_their_place(totals: object, where: str) -> None:
    assert refused_at(with_field(golden("register"), "totals", totals)) == where


def test_as_many_currencies_are_shown_as_there_may_be() -> None:
    codes = ("RUB", "USD", "EUR", "CNY", "KZT")
    request = with_field(golden("register"), "totals", [total(currency=code) for code in codes])
    assert len(codes) == MOST_CURRENCIES
    assert all(code in line for code, line in zip(codes[1:], rendered(request).lines[1:]))  # noqa: B905  # the lines go on


def test_totals_that_count_nothing_have_no_count() -> None:
    request = golden("package_whole")
    assert rendered(request).lines[0] == "Amount: RUB\u00a0980,000.00"
    assert refused_at(with_field(request, "totals", [total()])) == "totals[0]"
    assert refused_at(with_field(request, "totals", [{"value": "1.00"}])) == "totals[0].currency"


# --- periods --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("period", "where"),
    [
        ({"from": "2025-10-31", "to": "2025-10-30"}, "period.to"),
        ({"from": "2025-02-30", "to": "2025-03-01"}, "period.from"),
        ({"from": "2025-10-01", "to": "2025-11-31"}, "period.to"),
        ({"from": "2025-10-01"}, "period.to"),
        ({"to": "2025-10-01"}, "period.from"),
        ({"from": "2025-10-01", "to": "2025-10-31", "more": "x"}, "period"),
        ({"from": None, "to": "2025-10-31"}, "period.from"),
        ("2025-10", "period"),
        (["2025-10-01", "2025-10-31"], "period"),
    ],
)
def test_a_period_has_two_days_that_follow_each_other(period: object, where: str) -> None:
    assert refused_at(with_field(golden("invoice"), "period", period)) == where


def test_a_period_may_be_one_day() -> None:
    one = {"from": "2025-10-02", "to": "2025-10-02"}
    assert "Period: 2 October 2025 to 2 October 2025" in (
        rendered(with_field(golden("invoice"), "period", one)).lines
    )
