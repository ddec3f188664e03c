"""The SMS of a transaction: what it says of a request beside the code. Nothing is sent here.

1. It names the operation, who asks, what and how much, until when the code is good; it says never
   to tell the code (R-129, T-32), and ends with the line by which browsers offer the code on one
   domain alone (WICG, origin-bound one-time codes).
2. It has at most ``MOST_PARTS`` parts. The kinds declare lines by level, each level shorter than
   the one before; the first that fits is taken. A value stands whole, or its line is left out.
3. It holds no link: a level in which a value looks like one is passed over.
4. Where no level is left the request is refused, by the name of the field.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, final

import msgspec

from backend.errors import SummaryRefused
from backend.summary.catalogue import PHRASES, SmsLine, levels
from backend.summary.characters import check_name
from backend.summary.fields import Rows
from backend.summary.moments import clock_text, reader
from backend.summary.reading import TIMES, read_request
from backend.summary.sms_parts import sms_parts
from backend.summary.text import Reader
from backend.summary.words import NO_BREAK_SPACE, fill, placeholders

MOST_PARTS: Final = 3
LONGEST_SALUTATION: Final = 120
SMS_AROUND: Final = frozenset(
    {"code", "operation", "domain", "valid_until", "valid_until_short", "salutation", "rp_name"}
)
"""What the lines around a kind's own may name."""

_LINK: Final = re.compile(r"://|@|\w\.[^\W\d_]{2}", re.IGNORECASE)
"""What phones make a link of; a date, ``21.11.2025``, is none."""
_FORMS: Final[Mapping[str, str]] = {
    "code": "[0-9]{8}",
    "operation": "[0-9A-Z]{4,12}",
    "domain": r"(?=.{1,60}\Z)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*",
}


@final
class SmsFrame(msgspec.Struct, frozen=True, kw_only=True):
    """What stands around a request in its SMS."""

    code: str
    """Eight digits."""
    operation: str
    """The number by which page and SMS are told to belong together."""
    domain: str
    """Host of the page on which the code is typed."""
    valid_until: datetime
    salutation: str | None
    """Name and patronymic, if there are any."""


def render_sms(
    *,
    fields: Mapping[str, object],
    lang: str,
    zone: str,
    rp_name: str,
    document_labels: Sequence[str],
    frame: SmsFrame,
) -> str:
    """Write the SMS; the arguments before ``frame`` are those of ``render``.

    Raises:
        SummaryRefused: a value is not fit to be shown, looks like a link that cannot be left out,
            or leaves no room; or the kind is not asked by SMS.
    """
    read = read_request(
        fields,
        reader=reader(lang=lang, zone=zone),
        rp_name=rp_name,
        document_labels=document_labels,
    )
    if not read.kind.sms:
        raise SummaryRefused("type", "is no kind that is asked by SMS")
    around = _around(frame, read.reader)
    shown = {name: ", ".join(rows) for name, rows in {**read.shown, **around}.items()}
    lines = (*PHRASES.sms_head, *read.kind.sms, *PHRASES.sms_foot)
    return _first_that_fits(lines, shown, read.reader)


def _first_that_fits(lines: Sequence[SmsLine], shown: Mapping[str, str], reader: Reader) -> str:
    """Rules 2 to 4."""
    refused = SummaryRefused("fields", "have no SMS")
    for level in levels(lines):
        standing = [line for line in lines if line.at(level) and line.stands(shown.keys())]
        values = {name: shown[name] for name in _names(standing)}
        link = next((name for name, value in values.items() if _LINK.search(value)), None)
        if link is not None:
            refused = SummaryRefused(link, "looks like a link, which no SMS holds")
            continue
        text = "\n".join(fill(line.of(reader.lang), shown) for line in standing)
        # Both are ours, no value from outside has one; the GSM alphabet has neither.
        text = text.replace(NO_BREAK_SPACE, " ").replace(TIMES, "x")
        if sms_parts(text) <= MOST_PARTS:
            return text
        longest = max(values, key=lambda name: len(values[name]))
        refused = SummaryRefused(longest, f"leaves no room in an SMS of {MOST_PARTS} parts")
    raise refused


def _names(lines: Sequence[SmsLine]) -> Iterator[str]:
    """Name the values that come from outside, in their order; the domain is no link by rule 1."""
    for line in lines:
        yield from sorted(placeholders(line.ru) - {"domain"})


def _around(frame: SmsFrame, reader: Reader) -> dict[str, Rows]:
    """Check what stands around the request."""
    for name, form in _FORMS.items():
        if not re.fullmatch(form, getattr(frame, name)):
            raise SummaryRefused(name, "is not of its form")
    around: dict[str, Rows] = {
        "code": (frame.code,),
        "operation": (frame.operation,),
        "domain": (frame.domain,),
        "valid_until": (clock_text(frame.valid_until, reader),),
        "valid_until_short": (clock_text(frame.valid_until, reader, with_city=False),),
    }
    if frame.salutation is not None:
        name = check_name(frame.salutation, field="salutation", longest=LONGEST_SALUTATION)
        around["salutation"] = (name,)
    return around
