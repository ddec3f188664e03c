"""5000 hostile strings in every place of every kind: refused by the field's name, or shown (T-06).

Never cut, never altered. Every string goes into the rules themselves, and into places in turn.
"""

from collections import Counter
from itertools import cycle, islice
from typing import Any

import pytest

from backend.errors import SummaryRefused
from backend.summary.catalogue import KINDS
from backend.summary.characters import check_name, check_text
from tests.unit.summary.corpus import SIZE, Case, Verdict, corpus
from tests.unit.summary.declared import leaves, text_paths, whole
from tests.unit.summary.requests import golden, rendered, with_field

CORPUS = corpus()
PLACES_EACH = 2

PLACES: list[tuple[str, str, bool]] = [
    (kind, path, is_name)
    for kind in sorted(KINDS)
    for path, is_name in (*text_paths(kind), ("rp_name", True), ("documents[0].label", False))
    if KINDS[kind].ask == "sign" or not path.startswith("documents")
]
"""Kind, field, and whether the field is a name."""
WORDLESS = [
    (kind, path)
    for kind in sorted(KINDS)
    for path, leaf in leaves(kind)
    if type(leaf).__name__ in {"AccountField", "ChoiceField", "DateField", "InstantField"}
]


def asked(kind: str, path: str, text: str) -> dict[str, Any]:
    """A request of the kind with that text in that place."""
    request = BASE[kind]
    if path == "rp_name":
        return request | {"rp_name": text}
    if path.startswith("documents"):
        return request | {"document_labels": [text, *request["document_labels"][1:]]}
    return with_field(request, path, text)


BASE = {kind: golden(whole(kind)) for kind in KINDS}


def takes_one_row(kind: str, path: str) -> bool:
    return (kind, path) != ("generic", "description")


def refusal(request: dict[str, Any]) -> str | None:
    try:
        rendered(request)
    except SummaryRefused as refused:
        return refused.field
    return None


def test_the_corpus_has_5000_strings_of_each_verdict_enough() -> None:
    assert len(CORPUS) == len({case.text for case in CORPUS}) == SIZE
    assert min(Counter(case.verdict for case in CORPUS).values()) > 500
    assert corpus() == CORPUS


@pytest.mark.parametrize("verdict", Verdict)
def test_the_rules_judge_every_string_as_it_was_made(verdict: Verdict) -> None:
    for case in CORPUS:
        if case.verdict is not verdict:
            continue
        assert judged(check_text, case) is (verdict is not Verdict.REFUSED), ascii(case.text)
        assert judged(check_name, case) is (verdict is Verdict.SHOWN), ascii(case.text)


def judged(check: Any, case: Case) -> bool:  # noqa: ANN401  # one of two functions
    try:
        shown = check(case.text, field="payee.name", longest=500)
    except SummaryRefused as refused:
        return refused.field != "payee.name"
    assert shown == case.text
    return True


def test_no_place_shows_a_hostile_string_or_alters_one_that_it_shows() -> None:
    places = cycle(PLACES)
    for case in CORPUS:
        for kind, path, is_name in islice(places, PLACES_EACH):
            if takes_one_row(kind, path):
                check_place(case, kind, path, is_name=is_name)


def check_place(case: Case, kind: str, path: str, *, is_name: bool) -> None:
    where = f"{kind} {path} {case.text[:60]!a}"
    request = asked(kind, path, case.text)
    refused = {Verdict.REFUSED} | ({Verdict.NOT_A_NAME} if is_name else set())
    if case.verdict in refused:
        assert refusal(request) == path, where
    elif (kind, path) == ("certificate_request", "name"):
        assert refusal(request) == path, where  # it does not stand in the DER Name
    elif (kind, path) == ("certificate_request", "rp_name"):
        assert refusal(request) is None, where  # the authority; its lines say it as ``ca``
    else:
        assert any(case.text in line for line in rendered(request).lines), where


def test_a_description_shows_every_row_whole_or_is_refused() -> None:
    """It alone may have several lines; each is marked."""
    for case in CORPUS:
        request = asked("generic", "description", case.text)
        if refusal(request) is not None:
            assert refusal(request) == "description"
            assert case.verdict is Verdict.REFUSED, ascii(case.text)
            continue
        rows = [line[2:] for line in rendered(request).lines if line.startswith("> ")]
        assert "\n".join(rows) == case.text


@pytest.mark.parametrize(("kind", "path"), WORDLESS)
def test_where_no_words_stand_every_string_is_refused(kind: str, path: str) -> None:
    for case in CORPUS[::50]:
        if case.text != case.text.upper() or not case.text.isalnum():  # might be an account
            assert refusal(asked(kind, path, case.text)) == path, ascii(case.text)


def test_the_error_does_not_repeat_the_string() -> None:
    for case in CORPUS:
        if case.verdict is Verdict.REFUSED and len(case.text) > 1:
            with pytest.raises(SummaryRefused) as refused:
                check_text(case.text, field="purpose", longest=500)
            assert case.text not in str(refused.value)
            assert str(refused.value).isascii()
