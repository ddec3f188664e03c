"""The corpus of hostile text: 5000 strings with what becomes of each (T-06).

Some are written by hand (``hostile.toml``, ``nasty.json``: JSON can spell half of a surrogate
pair), the others are made from a seed: the same ones in every run. The verdict of each follows from
how it was made, not from the code that is tested.
"""

import json
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Any, Final

from tests.unit.summary.requests import HERE

SEED: Final = 20261128
SIZE: Final = 5000
ROOM: Final = 40
"""What is to be shown fits into the shortest field of words."""


class Verdict(Enum):
    """What becomes of a string."""

    REFUSED = "refused"
    NOT_A_NAME = "refused in names"
    SHOWN = "shown"


@dataclass(frozen=True)
class Case:
    """A string, and what becomes of it."""

    text: str
    verdict: Verdict


NASTY: Final[dict[str, Any]] = json.loads((HERE / "nasty.json").read_text(encoding="utf-8"))
HONEST: Final[list[str]] = NASTY["made of"]["honest texts"]
NAMES: Final[list[str]] = NASTY["made of"]["names"]
AROUND_NAMES: Final[list[str]] = NASTY["made of"]["around names"]
RUNS: Final[str] = NASTY["made of"]["runs"]
HARMLESS: Final[list[str]] = NASTY["made of"]["harmless"]
HOMOGLYPHS: Final[dict[str, str]] = NASTY["made of"]["homoglyphs"]
"""Cyrillic to Latin."""


def _strange(*ranges: tuple[int, int]) -> tuple[str, ...]:
    return tuple(chr(code) for first, last in ranges for code in range(first, last + 1))


STRANGE: Final = {
    "controls": _strange((0x00, 0x09), (0x0B, 0x1F), (0x7F, 0x9F)),
    "bidi": _strange((0x202A, 0x202E), (0x2066, 0x2069), (0x200E, 0x200F), (0x61C, 0x61C)),
    "zero width": _strange((0x200B, 0x200D), (0x2060, 0x2064), (0xFEFF, 0xFEFF), (0xAD, 0xAD)),
    "separators": _strange((0x2028, 0x2029)),
    "spaces": _strange((0xA0, 0xA0), (0x2000, 0x200A), (0x202F, 0x202F), (0x3000, 0x3000)),
    "tags": _strange((0xE0001, 0xE0001), (0xE0020, 0xE007F)),
    "variations": _strange((0xFE00, 0xFE0F), (0xE0100, 0xE01EF), (0x180B, 0x180D)),
    "marks": _strange((0x300, 0x36F), (0x483, 0x489), (0x20D0, 0x20F0)),
    "private": _strange((0xE000, 0xE0FF), (0xF0000, 0xF00FF), (0x10FFF0, 0x10FFFD)),
    "unassigned": _strange((0x378, 0x379), (0xFDD0, 0xFDEF), (0x2FE0, 0x2FEF), (0xFFFE, 0xFFFF)),
    "surrogates": _strange((0xD800, 0xD83F), (0xDC00, 0xDC3F)),
    "right to left": _strange((0x5D0, 0x5EA), (0x620, 0x64A), (0x660, 0x669), (0x6F0, 0x6F9)),
    "wide": _strange((0xFF01, 0xFF5E)),
    "mathematics": _strange((0x1D400, 0x1D454), (0x1D7CE, 0x1D7FF)),
    "other scripts": _strange((0x13A0, 0x13F5), (0x531, 0x556), (0x10A0, 0x10C5), (0x2C80, 0x2CB1)),
    "pictures": _strange((0x2500, 0x257F), (0x2600, 0x26FF), (0x1F300, 0x1F3FF)),
}


def corpus() -> tuple[Case, ...]:
    """All of them, each once, in the same order in every run."""
    cases = {case.text: case for case in _by_hand()}
    chance = Random(SEED)  # noqa: S311  # to repeat itself is what it is for
    makers = (_with_strange, _with_strange, _flooded, _mixed, _harmless)
    while len(cases) < SIZE:
        case = chance.choice(makers)(chance)
        cases.setdefault(case.text, case)
    return tuple(cases.values())


def _by_hand() -> Iterator[Case]:
    names = {"mixed_scripts_in_names", "names_without_letters"}
    for category, entry in tomllib.loads((HERE / "hostile.toml").read_text()).items():
        verdict = Verdict.NOT_A_NAME if category in names else Verdict.REFUSED
        if category != "friendly":  # those are of any length; test_characters.py has them
            yield from (Case(text, verdict) for text in entry["texts"])
    for verdict in Verdict:
        for texts in NASTY[verdict.value].values():
            yield from (Case(text, verdict) for text in texts)


def _with_strange(chance: Random) -> Case:
    """Something strange in an honest text, once or often, anywhere."""
    text = chance.choice(HONEST)
    for character in chance.choices(
        STRANGE[chance.choice(sorted(STRANGE))], k=chance.choice((1, 1, 2, 30))
    ):
        place = chance.randint(0, len(text))
        text = text[:place] + character + text[place:]
    return Case(text, Verdict.REFUSED)


def _flooded(chance: Random) -> Case:
    """What hides the rest: newlines, runs, doubled spaces, sheer length."""
    text, n = chance.choice(HONEST), chance.randint(13, 300)
    makers: tuple[Callable[[], str], ...] = (
        lambda: text + "\n" * n + "500",
        lambda: "\r\n".join([text] * (n % 7 + 2)),
        lambda: f"{text} {chance.choice(RUNS) * n} 500",
        lambda: text + " " * n + "500",
        lambda: chance.choice((" " + text, text + " ", "\t" + text, text.replace(" ", "  "))),
        lambda: " ".join(chance.choices(HONEST, k=n + 60)),
    )
    return Case(chance.choice(makers)(), Verdict.REFUSED)


def _mixed(chance: Random) -> Case:
    """A payee with some letters of another alphabet, and not all of them."""
    word = chance.choice(NAMES)
    places = [place for place, letter in enumerate(word) if letter in HOMOGLYPHS]
    swapped = set(chance.sample(places, chance.randint(1, len(places))))
    if len(swapped) == len(word):
        swapped.pop()
    changed = "".join(
        HOMOGLYPHS[letter] if place in swapped else letter for place, letter in enumerate(word)
    )
    around = chance.choice(AROUND_NAMES)
    return Case(around.format(changed), Verdict.NOT_A_NAME)


def _harmless(chance: Random) -> Case:
    """Looks dangerous to some program, and is words to a person: shown as it is."""
    text = " ".join([chance.choice(HONEST), *chance.choices(HARMLESS, k=chance.randint(1, 3))])
    return Case(text, Verdict.SHOWN)
