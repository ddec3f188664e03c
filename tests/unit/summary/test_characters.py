"""The rules of ``characters.py``, against a corpus of attacks and against chance (T-06)."""

import tomllib
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import SummaryRefused
from backend.summary.characters import LONGEST_RUN, SHOWN, check_name, check_text
from tests.unit.summary.requests import HERE, golden, rendered, with_field

CORPUS: dict[str, dict[str, Any]] = tomllib.loads(
    (HERE / "hostile.toml").read_text(encoding="utf-8")
)
FRIENDLY = CORPUS.pop("friendly")["texts"]
OF_NAMES = {"mixed_scripts_in_names", "names_without_letters"}
EVERYWHERE = sorted(CORPUS.keys() - OF_NAMES)

NAMES = (
    ("payment", "payee.name"),
    ("payment", "payee.bank"),
    ("payment", "prepared_by.family"),
    ("payment", "prepared_by.given"),
    ("payment", "prepared_by.patronymic"),
    ("enrol", "name"),
    ("certificate_request", "ca"),
)
TEXTS = (
    ("payment", "purpose"),
    ("payment", "document.number"),
    ("enrol", "cell"),
)


def field_of(unverified: object, *, longest: int = 500, name: bool = False) -> str:
    check = check_name if name else check_text
    with pytest.raises(SummaryRefused) as refused:
        check(unverified, field="payee.name", longest=longest)
    return refused.value.field


@pytest.mark.parametrize("category", EVERYWHERE)
def test_a_hostile_text_is_refused(category: str) -> None:
    for text in CORPUS[category]["texts"]:
        assert field_of(text) == "payee.name", ascii(text)


def test_who_wrote_another_normal_form_is_told_so() -> None:
    """Rule 2 comes before the table: the writer learns what to mend."""
    for text in CORPUS["not_normal"]["texts"]:
        with pytest.raises(SummaryRefused, match=r"^x: is not in Unicode normal form C$"):
            check_text(text, field="x", longest=500)


def test_the_corpus_has_several_hundred_texts() -> None:
    assert sum(len(entry["texts"]) for entry in CORPUS.values()) > 400


@pytest.mark.parametrize("category", sorted(CORPUS))
@pytest.mark.parametrize(("kind", "path"), NAMES)
def test_a_hostile_text_is_refused_as_a_name(kind: str, path: str, category: str) -> None:
    request = golden(kind)
    for text in CORPUS[category]["texts"]:
        with pytest.raises(SummaryRefused) as refused:
            rendered(with_field(request, path, text))
        assert refused.value.field == path, ascii(text)


@pytest.mark.parametrize("category", EVERYWHERE)
@pytest.mark.parametrize(("kind", "path"), TEXTS)
def test_a_hostile_text_is_refused_as_words(kind: str, path: str, category: str) -> None:
    request = golden(kind)
    for text in CORPUS[category]["texts"]:
        with pytest.raises(SummaryRefused) as refused:
            rendered(with_field(request, path, text))
        assert refused.value.field == path, ascii(text)


@pytest.mark.parametrize("category", EVERYWHERE)
def test_a_hostile_text_is_refused_as_a_documents_label(category: str) -> None:
    request = golden("generic_hash_only")
    for text in CORPUS[category]["texts"]:
        with pytest.raises(SummaryRefused, match=r"^documents\[1\]\.label: "):
            rendered(request | {"document_labels": ["contract.pdf", text]})


@pytest.mark.parametrize("category", sorted(CORPUS))
def test_a_hostile_text_is_refused_as_the_asking_partys_name(category: str) -> None:
    request = golden("generic_hash_only")
    for text in CORPUS[category]["texts"]:
        with pytest.raises(SummaryRefused, match=r"^rp_name: "):
            rendered(request | {"rp_name": text})


@pytest.mark.parametrize("category", sorted(set(EVERYWHERE) - {"newline_flooding", "controls"}))
def test_a_hostile_text_is_refused_as_a_description(category: str) -> None:
    """Its newlines are the only thing that a description may have beyond other texts."""
    request = golden("generic")
    for text in CORPUS[category]["texts"]:
        with pytest.raises(SummaryRefused, match=r"^description: "):
            rendered(with_field(request, "description", text))


@pytest.mark.parametrize("text", FRIENDLY)
def test_an_honest_text_is_shown_as_it_is(text: str) -> None:
    assert check_text(text, field="purpose", longest=500) == text


@pytest.mark.parametrize("category", sorted(OF_NAMES))
def test_words_that_are_no_name_may_mix_scripts_or_have_no_letter(category: str) -> None:
    for text in CORPUS[category]["texts"]:
        assert check_text(text, field="purpose", longest=500) == text


def test_a_name_may_have_words_of_several_scripts() -> None:
    name = "IT-\u0421\u0435\u0440\u0432\u0438\u0441 24, \u039d\u03af\u03ba\u03b7"
    assert check_name(name, field="payee.name", longest=500) == name


def test_a_surrogate_is_refused() -> None:
    """JSON can spell one half of a pair; no TOML file can."""
    assert field_of("A\ud83d") == "payee.name"


@pytest.mark.parametrize("value", [None, True, 5, 5.0, b"bytes", ["a"], {"a": "b"}])
def test_what_is_no_string_is_no_text(value: object) -> None:
    assert field_of(value) == "payee.name"


def test_a_subclass_of_a_string_is_no_text() -> None:
    class Chameleon(str):
        __slots__ = ()

    assert field_of(Chameleon("text")) == "payee.name"


def test_the_bounds_of_a_text_are_one_and_the_longest() -> None:
    assert check_text("a", field="x", longest=3) == "a"
    assert check_text("abc", field="x", longest=3) == "abc"
    assert field_of("", longest=3) == "payee.name"
    assert field_of("abcd", longest=3) == "payee.name"


def test_the_longest_run_is_shown_and_one_more_is_not() -> None:
    assert check_text("-" * LONGEST_RUN, field="x", longest=500)
    assert field_of("-" * (LONGEST_RUN + 1)) == "payee.name"


def test_the_error_names_the_code_point_and_does_not_repeat_the_text() -> None:
    with pytest.raises(SummaryRefused) as refused:
        check_text("pay \u202e500", field="purpose", longest=500)
    assert str(refused.value) == "purpose: has U+202E, which is not shown"


def test_the_table_holds_only_letters_digits_and_signs_that_run_from_left_to_right() -> None:
    """Rule 3, against Unicode's own properties: nothing invisible, no direction of its own."""
    for character in SHOWN - {" "}:
        assert unicodedata.category(character)[0] in "LNPS", ascii(character)
        assert unicodedata.bidirectional(character) not in {"R", "AL", "AN"}, ascii(character)
        assert unicodedata.is_normalized("NFC", character), ascii(character)
        assert character.isprintable(), ascii(character)


def test_every_digit_that_is_shown_is_an_ascii_digit() -> None:
    assert {c for c in SHOWN if unicodedata.category(c) == "Nd"} == set("0123456789")


@given(st.text(max_size=60))
def test_any_text_is_refused_or_returned_as_it_is(text: str) -> None:
    try:
        shown = check_text(text, field="purpose", longest=50)
    except SummaryRefused:
        return
    assert shown == text
    assert shown.isprintable()
    assert unicodedata.normalize("NFC", shown) == shown
    assert len(shown) <= 50


@given(st.text(alphabet=sorted(SHOWN), min_size=1, max_size=20), st.characters())
def test_one_strange_character_anywhere_is_enough(text: str, strange: str) -> None:
    if strange in SHOWN:
        return
    for place in range(len(text) + 1):
        with pytest.raises(SummaryRefused):
            check_text(text[:place] + strange + text[place:], field="purpose", longest=50)
