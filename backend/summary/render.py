"""From a typed request to what the signer reads; the SAM calls it and signs what comes out.

1. A request is of a known kind and language, and holds what the kind allows, nothing else.
2. Hostile text is refused, never cut: also in who asks and in the documents' labels (T-06).
3. Documents are counted, in all and for each label (R-129, T-33); a count stands before the
   label, which cannot pretend to be one. More than ``MOST_LABELS`` different labels are counted
   only: the list beside the ask shows them all.
4. The same request gives the same text, to the byte.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Final

from backend.errors import SummaryRefused
from backend.summary.catalogue import KINDS, PHRASES, Group, Kind, Leaf, Line
from backend.summary.characters import check_name, check_text
from backend.summary.fields import Rows, SubjectField, check_members, join
from backend.summary.text import Language, PushText, Text
from backend.summary.words import fill, grouped, in_fours, placeholders

LONGEST_NAME: Final = 100
LONGEST_LABEL: Final = 200
MOST_LABELS: Final = 12
LONGEST_TEXT: Final = 2000
"""Characters of all lines together: what somebody can be asked to read on a phone."""

TIMES: Final = "\N{MULTIPLICATION SIGN}"
"""Stands between a count and a label; no text from outside has it."""

_LINK: Final = re.compile(r"\w\.\w{2}|/|@")


def render(
    *, fields: Mapping[str, object], lang: str, rp_name: str, document_labels: Sequence[str]
) -> Text:
    """Render what the signer reads.

    Args:
        fields: the request as a JSON parser gave it; ``type`` names its kind.
        lang: ``ru`` or ``en``.
        rp_name: who asks, as registered; the authority's name where no relying party does.
        document_labels: the label of each item of the list, in its order.

    Raises:
        SummaryRefused: a value is not fit to be shown; it names the field.
    """
    language = _language(lang)
    kind = _kind(fields)
    unverified = {name: value for name, value in fields.items() if name != "type"}
    shown = dict(_read(kind.fields, unverified, path="", lang=language))
    _check_subject(kind, unverified, shown)
    shown["rp_name"] = (check_name(rp_name, field="rp_name", longest=LONGEST_NAME),)
    shown |= _documents(kind, document_labels, language)
    lines = tuple(row for line in kind.lines for row in _rows(line, shown, language))
    if sum(map(len, lines)) > LONGEST_TEXT:
        raise SummaryRefused("fields", f"make a text of more than {LONGEST_TEXT} characters")
    return Text(lang=language, title=kind.title.of(language), lines=lines)


def sms_pairing_code(*, lang: str, ca_name: str, twelve: str, code: str) -> str:
    """Write the SMS that carries a pairing code (protocol, section 5; T-32).

    It names the phone that is paired, says never to tell the code, and holds no link.

    Args:
        lang: ``ru`` or ``en``.
        ca_name: the authority's name.
        twelve: the 12 characters (base32) that the phone shows, without separators.
        code: the 8 digits.

    Raises:
        SummaryRefused: one of them is not of its form.
    """
    language = _language(lang)
    name = check_name(ca_name, field="ca_name", longest=LONGEST_NAME)
    if _LINK.search(name):
        raise SummaryRefused("ca_name", "looks like a link")
    if not re.fullmatch("[A-Z2-7]{12}", twelve):
        raise SummaryRefused("twelve", "is not 12 characters of base32")
    if not re.fullmatch("[0-9]{8}", code):
        raise SummaryRefused("code", "is not 8 digits")
    values = {"ca_name": name, "twelve": in_fours(twelve, " "), "code": code}
    return fill(PHRASES.sms_pairing_code.of(language), values)


def push_text(lang: str) -> PushText:
    """Give the neutral words of a push message (T-28).

    Raises:
        SummaryRefused: the language is not known.
    """
    language = _language(lang)
    return PushText(title=PHRASES.push_title.of(language), body=PHRASES.push_body.of(language))


def _language(unverified: str) -> Language:
    if unverified == "ru":
        return "ru"
    if unverified == "en":
        return "en"
    raise SummaryRefused("lang", "is not ru or en")


def _kind(fields: Mapping[str, object]) -> Kind:
    name = fields.get("type")
    if type(name) is not str or name not in KINDS:
        raise SummaryRefused("type", "is no known kind")
    return KINDS[name]


def _read(
    declared: Iterable[Leaf | Group], unverified: object, *, path: str, lang: Language
) -> Iterator[tuple[str, Rows]]:
    """Read an object's members into rows, by their paths."""
    by_name = {field.name: field for field in declared}
    required = frozenset(name for name, field in by_name.items() if field.required)
    members = check_members(unverified, path=path, required=required, optional=frozenset(by_name))
    for name, field in by_name.items():
        if name not in members:
            continue
        if isinstance(field, Group):
            yield from _read(field.members, members[name], path=name, lang=lang)
        else:
            where = join(path, name)
            yield where, field.read(members[name], path=where, lang=lang)


def _check_subject(kind: Kind, unverified: Mapping[str, object], shown: Mapping[str, Rows]) -> None:
    """Hold what is shown of a DER Name to the DER Name."""
    for field in kind.fields:
        if isinstance(field, SubjectField):
            (reading,) = shown[field.read_as]
            field.check_reading(unverified[field.name], path=field.name, shown=reading)


def _documents(kind: Kind, labels: Sequence[str], lang: Language) -> dict[str, Rows]:
    """Count the documents, in all and for each label."""
    if not kind.least_documents <= len(labels) <= kind.most_documents:
        bounds = f"{kind.least_documents} to {kind.most_documents}"
        raise SummaryRefused("documents", f"must be {bounds}")
    counts = Counter(
        check_text(label, field=f"documents[{position}].label", longest=LONGEST_LABEL)
        for position, label in enumerate(labels)
    )
    if len(counts) > MOST_LABELS:
        rows: Rows = (PHRASES.many_labels.of(lang, len(counts)),)
    else:
        rows = tuple(f"{grouped(str(n), lang)} {TIMES} {label}" for label, n in counts.items())
    return {"documents": (PHRASES.documents.of(lang, len(labels)),), "labels": rows}


def _rows(line: Line, shown: Mapping[str, Rows], lang: Language) -> Iterator[str]:
    """Fill in a line, once for each row of what it names."""
    if not line.names() <= shown.keys():
        return
    template = line.ru if lang == "ru" else line.en
    names = sorted(placeholders(template))
    for values in product(*(shown[name] for name in names)):
        yield fill(template, dict(zip(names, values, strict=True)))
