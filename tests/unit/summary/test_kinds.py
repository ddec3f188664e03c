"""What every kind keeps, as its file declares it: a new file is held to it without a new test."""

from typing import Any

import pytest

from backend.errors import SummaryRefused
from backend.summary.catalogue import AROUND, KINDS, Money
from backend.summary.fields import NameField, SubjectField, TextField
from backend.summary.package_data import toml_names
from backend.summary.words import placeholders
from tests.unit.summary.declared import leaves, paths, whole
from tests.unit.summary.requests import golden, rendered, with_field, without_field

EVERY_PATH = [(kind, path) for kind in sorted(KINDS) for path, _ in paths(kind)]
BOUNDED = [
    (kind, path, leaf.longest)
    for kind in sorted(KINDS)
    for path, leaf in leaves(kind)
    if isinstance(leaf, (NameField, TextField)) and (kind, path) != ("certificate_request", "name")
]
WITH_MONEY = [
    (kind, path) for kind in sorted(KINDS) for path, leaf in leaves(kind) if isinstance(leaf, Money)
]


def refused_at(request: dict[str, Any]) -> str | None:
    try:
        rendered(request)
    except SummaryRefused as refused:
        return refused.field
    return None


def words_of(length: int) -> str:
    return ("word " * length)[: length - 1] + "z"


def test_a_file_in_the_folder_is_a_kind() -> None:
    assert [f"{name}.toml" for name in KINDS] == list(toml_names("kinds"))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_golden_requests_show_every_field_of_their_kind(kind: str) -> None:
    fields = golden(whole(kind))["fields"]
    for path, _ in paths(kind):
        place = fields
        for part in path.split("."):
            place = place[part]
        assert place


@pytest.mark.parametrize(("kind", "path"), EVERY_PATH)
def test_what_is_required_cannot_be_left_out_and_what_is_not_can(kind: str, path: str) -> None:
    expected = path if dict(paths(kind))[path] else None
    assert refused_at(without_field(golden(whole(kind)), path)) == expected


@pytest.mark.parametrize("value", [None, True, 1.5, {}, [], ["x"], b"x", 10**30, "", "\u202e"])
@pytest.mark.parametrize(("kind", "path"), EVERY_PATH)
def test_what_is_of_no_field_is_refused_by_the_fields_name(
    kind: str, path: str, value: object
) -> None:
    refused = refused_at(with_field(golden(whole(kind)), path, value))
    assert refused is not None
    assert refused == path or refused.startswith((f"{path}.", f"{path}["))


@pytest.mark.parametrize(("kind", "path", "longest"), BOUNDED)
def test_a_text_is_shown_up_to_its_bound_and_refused_beyond(
    kind: str, path: str, longest: int
) -> None:
    request = golden(whole(kind))
    text = words_of(longest)
    assert any(text in line for line in rendered(with_field(request, path, text)).lines)
    assert refused_at(with_field(request, path, words_of(longest + 1))) == path


@pytest.mark.parametrize(("kind", "path"), WITH_MONEY)
@pytest.mark.parametrize("lang", ["ru", "en"])
def test_money_stands_before_everything_else(kind: str, path: str, lang: str) -> None:
    """T-06."""
    shown = [path in placeholders(line.ru) for line in KINDS[kind].lines]
    money = ("\u20bd", "RUB", "CNY", "USD")
    rows = [any(sign in row for sign in money) for row in rendered(golden(whole(kind)), lang).lines]
    assert any(shown[:2])
    assert rows == sorted(rows, reverse=True)
    assert rows[0]


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.ask == "sign"])
def test_who_asks_and_how_many_documents_stand_in_every_text(kind: str) -> None:
    request = golden(whole(kind))
    text = "\n".join(rendered(request).lines)
    assert request["rp_name"] in text
    assert f"{len(request['document_labels'])} document" in text


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_an_sms_names_nothing_that_the_phone_does_not_show(kind: str) -> None:
    shown = frozenset[str]().union(*(placeholders(line.ru) for line in KINDS[kind].lines))
    for line in KINDS[kind].sms:
        assert placeholders(line.ru) <= shown | AROUND


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_two_fields_of_a_kind_are_told_by_the_same_words(kind: str) -> None:
    """A signer must not take one for the other."""
    shown = {path for path, leaf in leaves(kind) if not isinstance(leaf, SubjectField)}
    for lang in ("ru", "en"):
        told = [
            line.of(lang).partition("{")[0]
            for line in KINDS[kind].lines
            if placeholders(line.ru) & shown
        ]
        assert len(told) == len(set(told))
