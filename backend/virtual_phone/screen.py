"""What the phone shows, as text in a frame.

The frame is drawn by columns, not by characters, so wide and combining ones keep it straight.
Characters that would move the cursor, hide text or turn its direction are shown as �: what you see
is what you sign.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import accumulate

from backend.virtual_phone.asks import Ask
from backend.virtual_phone.documents import Item
from backend.virtual_phone.transactions import Shown

COLUMNS = 62
LABELS_SHOWN = 20
INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
NOT_SHOWN = "\ufffd"

WORDS = {
    "en": {
        "asks": "asks:",
        "says": "The relying party says:",
        "documents": "Documents",
        "more": "and {count} more",
        "until": "Answer until",
        "number": "Type the number that the other screen shows.",
    },
    "ru": {
        "asks": "просит:",
        "says": "Запрашивающая сторона сообщает:",
        "documents": "Документы",
        "more": "и ещё {count}",
        "until": "Ответить до",
        "number": "Введите число, которое видно на другом экране.",
    },
}


def columns(text: str) -> int:
    """How many columns of a terminal the text takes."""
    return sum(_width(character) for character in text)


def visible(text: str) -> str:
    """The text with every character that could deceive made visible."""
    return "".join(
        NOT_SHOWN if unicodedata.category(character) in INVISIBLE else character
        for character in text
    )


def transaction_screen(shown: Shown, *, width: int = COLUMNS) -> str:
    """The whole screen of one transaction."""
    ask = shown.checked.ask
    words = WORDS.get(ask.text.lang, WORDS["en"])
    sections = [
        [f"{ask.rp.name} {words['asks']}", ask.text.title],
        [*_heading(ask, words), *ask.text.lines],
    ]
    if shown.checked.items:
        sections.append([f"{words['documents']}:", *_labels(shown.checked.items, words)])
    until = datetime.fromtimestamp(ask.exp, tz=UTC)
    foot = [f"{words['until']} {until:%Y-%m-%d %H:%M:%S} UTC"]
    sections.append([words["number"], *foot] if ask.number_asked else foot)
    return frame(sections, width=width)


def frame(sections: Sequence[Sequence[str]], *, width: int = COLUMNS) -> str:
    """Sections of lines in a box, ``width`` columns wide inside."""
    edge = "─" * (width + 2)
    drawn = [f"┌{edge}┐"]
    for place, section in enumerate(sections):
        if place:
            drawn.append(f"├{edge}┤")
        for line in section:
            for piece in wrapped(visible(line), width=width):
                drawn.append(f"│ {piece}{' ' * (width - columns(piece))} │")  # noqa: PERF401
    drawn.append(f"└{edge}┘")
    return "\n".join(drawn)


def wrapped(text: str, *, width: int) -> Iterator[str]:
    """The text in pieces of at most ``width`` columns, cut at spaces where there are any."""
    while columns(text) > width:
        cut = _fitting(text, width=width)
        space = text.rfind(" ", 1, cut + 1)
        cut = space if space > 0 else cut
        yield text[:cut].rstrip()
        text = text[cut:].lstrip()
    yield text


def _fitting(text: str, *, width: int) -> int:
    """How many characters fit into ``width`` columns; one at least."""
    taken = accumulate(_width(character) for character in text)
    return max(1, sum(1 for columns_so_far in taken if columns_so_far <= width))


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _heading(ask: Ask, words: dict[str, str]) -> list[str]:
    """Lines of ``generic`` come from outside; all others are the SAM's own words."""
    return [words["says"]] if ask.fields["type"] == "generic" else []


def _labels(items: Sequence[Item], words: dict[str, str]) -> list[str]:
    labels = [f"• {item.label}" for item in items[:LABELS_SHOWN]]
    more = len(items) - LABELS_SHOWN
    return [*labels, words["more"].format(count=more)] if more > 0 else labels
