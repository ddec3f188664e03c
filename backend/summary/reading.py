"""From a typed request to the values that templates show, each checked, none altered.

1. A request is of a known kind, and holds what the kind allows, nothing else.
2. Hostile text is refused, never cut: also in who asks and in the documents' labels (T-06).
3. Documents are counted, in all and for each label (R-129); a count stands before the label, which
   cannot pretend to be one. More than ``MOST_LABELS`` different labels are counted only: the list
   beside the ask shows them all.
4. Where a request counts its documents by type, the counts add up to the list (T-33).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, final

import msgspec

from backend.errors import SummaryRefused
from backend.summary.catalogue import KINDS, PHRASES, Group, Kind, Leaf
from backend.summary.characters import check_name, check_text
from backend.summary.fields import Rows, SubjectField, check_members, join
from backend.summary.moments import read_language
from backend.summary.several import ContentsField
from backend.summary.text import Reader
from backend.summary.words import grouped

LONGEST_NAME: Final = 100
LONGEST_LABEL: Final = 200
MOST_LABELS: Final = 12

TIMES: Final = "\N{MULTIPLICATION SIGN}"
"""Stands between a count and a label; no text from outside has it."""


@final
class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was read: its kind, and rows of text by the names that templates know."""

    kind: Kind
    reader: Reader
    shown: Mapping[str, Rows]


def read_request(
    fields: Mapping[str, object],
    *,
    reader: Reader,
    rp_name: str,
    document_labels: Sequence[str],
) -> Reading:
    """Read a request; the arguments are those of :func:`backend.summary.render.render`.

    Raises:
        SummaryRefused: a value is not fit to be shown; it names the field.
    """
    kind = find_kind(fields)
    unverified = {name: value for name, value in fields.items() if name != "type"}
    shown = dict(_read(kind.fields, unverified, path="", reader=reader))
    _check_subject(kind, unverified, shown)
    shown["rp_name"] = (check_name(rp_name, field="rp_name", longest=LONGEST_NAME),)
    shown |= _documents(kind, document_labels, reader)
    _check_contents(kind, unverified, len(document_labels))
    return Reading(kind=kind, reader=reader, shown=shown)


def numbered_labels(fields: Mapping[str, object], *, count: int, lang: str) -> tuple[str, ...]:
    """Name documents that the relying party did not name: by their type, where it is told.

    What has no known kind is numbered like any other: the SAM refuses it.

    Raises:
        SummaryRefused: the language is not known, or the contents are none, or do not add up.
    """
    language = read_language(lang)
    kind = KINDS.get(str(fields.get("type")))
    for field in () if kind is None else kind.fields:
        if isinstance(field, ContentsField) and field.name in fields:
            contents = fields[field.name]
            field.check_sum(contents, path=field.name, documents=count)
            return field.labels(contents, path=field.name, lang=language)
    word = PHRASES.numbered.of(language)
    return tuple(f"{word} {number}" for number in range(1, count + 1))


def find_kind(fields: Mapping[str, object]) -> Kind:
    """Find the kind that a request names.

    Raises:
        SummaryRefused: there is none of that name.
    """
    name = fields.get("type")
    if type(name) is not str or name not in KINDS:
        raise SummaryRefused("type", "is no known kind")
    return KINDS[name]


def _read(
    declared: Iterable[Leaf | Group], unverified: object, *, path: str, reader: Reader
) -> Iterator[tuple[str, Rows]]:
    """Read an object's members into rows, by their paths."""
    by_name = {field.name: field for field in declared}
    required = frozenset(name for name, field in by_name.items() if field.required)
    members = check_members(unverified, path=path, required=required, optional=frozenset(by_name))
    for name, field in by_name.items():
        if name not in members:
            continue
        if isinstance(field, Group):
            yield from _read(field.members, members[name], path=name, reader=reader)
        else:
            where = join(path, name)
            yield where, field.read(members[name], path=where, reader=reader)


def _check_subject(kind: Kind, unverified: Mapping[str, object], shown: Mapping[str, Rows]) -> None:
    """Hold what is shown of a DER Name to the DER Name."""
    for field in kind.fields:
        if isinstance(field, SubjectField):
            (reading,) = shown[field.read_as]
            field.check_reading(unverified[field.name], path=field.name, shown=reading)


def _check_contents(kind: Kind, unverified: Mapping[str, object], documents: int) -> None:
    """Rule 4."""
    for field in kind.fields:
        if isinstance(field, ContentsField) and field.name in unverified:
            field.check_sum(unverified[field.name], path=field.name, documents=documents)


def _documents(kind: Kind, labels: Sequence[str], reader: Reader) -> dict[str, Rows]:
    """Rule 3."""
    if not kind.least_documents <= len(labels) <= kind.most_documents:
        bounds = f"{kind.least_documents} to {kind.most_documents}"
        raise SummaryRefused("documents", f"must be {bounds}")
    counts = Counter(
        check_text(label, field=f"documents[{position}].label", longest=LONGEST_LABEL)
        for position, label in enumerate(labels)
    )
    if len(counts) > MOST_LABELS:
        rows: Rows = (PHRASES.many_labels.of(reader.lang, len(counts)),)
    else:
        rows = tuple(
            f"{grouped(str(n), reader.lang)} {TIMES} {label}" for label, n in counts.items()
        )
    return {"documents": (PHRASES.documents.of(reader.lang, len(labels)),), "labels": rows}
