"""From a typed request to what the signer reads; the SAM calls it and signs what comes out.

What may stand in a request is held to in ``reading.py``. The same request gives the same text, to
the byte.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Final

from backend.errors import SummaryRefused
from backend.summary.catalogue import PHRASES, Line
from backend.summary.characters import check_name
from backend.summary.fields import Rows
from backend.summary.moments import read_language, reader
from backend.summary.reading import LONGEST_NAME, read_request
from backend.summary.text import Language, PushText, Text
from backend.summary.words import fill, in_fours, placeholders

LONGEST_TEXT: Final = 2000
"""Characters of all lines together: what somebody can be asked to read on a phone."""

_LINK: Final = re.compile(r"\w\.\w{2}|/|@")


def render(
    *,
    fields: Mapping[str, object],
    lang: str,
    zone: str,
    rp_name: str,
    document_labels: Sequence[str],
) -> Text:
    """Render what the signer reads.

    Args:
        fields: the request as a JSON parser gave it; ``type`` names its kind.
        lang: ``ru`` or ``en``.
        zone: the reader's time zone, by its IANA name.
        rp_name: who asks, as registered; the authority's name where no relying party does.
        document_labels: the label of each item of the list, in its order.

    Raises:
        SummaryRefused: a value is not fit to be shown; it names the field.
    """
    read = read_request(
        fields,
        reader=reader(lang=lang, zone=zone),
        rp_name=rp_name,
        document_labels=document_labels,
    )
    language = read.reader.lang
    lines = tuple(row for line in read.kind.lines for row in _rows(line, read.shown, language))
    if sum(map(len, lines)) > LONGEST_TEXT:
        raise SummaryRefused("fields", f"make a text of more than {LONGEST_TEXT} characters")
    return Text(lang=language, title=read.kind.title.of(language), lines=lines)


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
    language = read_language(lang)
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
    language = read_language(lang)
    return PushText(title=PHRASES.push_title.of(language), body=PHRASES.push_body.of(language))


def _rows(line: Line, shown: Mapping[str, Rows], lang: Language) -> Iterator[str]:
    """Fill in a line, once for each row of what it names."""
    if not line.stands(shown.keys()):
        return
    template = line.of(lang)
    names = sorted(placeholders(template))
    for values in product(*(shown[name] for name in names)):
        yield fill(template, dict(zip(names, values, strict=True)))
