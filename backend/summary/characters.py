"""Which characters a signer may be shown. Hostile text is refused, never cut or mended (T-06).

The rules, each for every text that comes from outside:

1. it is a string, not empty, and not longer than its place allows;
2. it is in Unicode's normal form C: one look, one spelling;
3. each character stands in the table below. What is not named there is not shown: controls and
   newlines, bidirectional and zero-width marks, letters of scripts that run from right to left,
   combining marks, other digits, look-alike alphabets, private and unassigned characters;
4. spaces are single and stand inside;
5. nothing is repeated more than ``LONGEST_RUN`` times: padding hides what follows it.

A name keeps one more: 6. it has a letter, and no word of it mixes scripts (a payee with a Cyrillic
letter in a Latin word is another payee).

The table is of code points and not of Unicode's categories, so that it is the same in each version
of Python, and so that adding a script is a decision.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from backend.errors import SummaryRefused

LONGEST_RUN: Final = 12


def _letters(*ranges: tuple[int, int]) -> frozenset[str]:
    return frozenset(chr(code) for first, last in ranges for code in range(first, last + 1))


LATIN: Final = _letters(
    (0x41, 0x5A),
    (0x61, 0x7A),
    (0xC0, 0xD6),
    (0xD8, 0xF6),
    (0xF8, 0x131),  # western and central Europe, Baltic, Turkish …
    (0x134, 0x13E),  # … without the ligatures and compatibility forms between them
    (0x141, 0x148),
    (0x14A, 0x17E),
    (0x18F, 0x18F),  # Azerbaijani schwa
    (0x259, 0x259),
    (0x218, 0x21B),  # Romanian
    (0x1E9E, 0x1E9E),  # German capital sharp s
)
CYRILLIC: Final = _letters(
    (0x400, 0x45F),  # Russian, Ukrainian, Belarusian, Serbian, Macedonian
    (0x48A, 0x4FF),  # Kazakh, Kyrgyz, Tatar, Bashkir and other living languages
)
GREEK: Final = _letters(
    (0x386, 0x386), (0x388, 0x38A), (0x38C, 0x38C), (0x38E, 0x3A1), (0x3A3, 0x3CE)
)
SIGNS: Final = frozenset(
    chr(code) for code in range(0x20, 0x7F) if not chr(code).isalpha()
) | frozenset(
    "\u00a3\u00a5\u00a7\u00a9\u00ab\u00ae\u00b0\u00b1\u00b2\u00b3\u00b7\u00bb\u00bc\u00bd\u00be"
    "\u2013\u2014\u2018\u2019\u201c\u201d\u201e\u2022\u2026\u2030\u20ac\u20b4\u20b8\u20ba\u20bd\u2116\u2122"
)
"""Printable ASCII and common typography. Not the multiplication sign: it is ours, before labels."""

SCRIPTS: Final = (LATIN, CYRILLIC, GREEK)
SHOWN: Final = LATIN | CYRILLIC | GREEK | SIGNS

_RUN: Final = re.compile(rf"(.)\1{{{LONGEST_RUN}}}", re.DOTALL)
_LOOSE_SPACE: Final = re.compile(r"\A |  | \Z")
_WORD: Final = re.compile(r"[^\W_]+")


def check_text(unverified: object, *, field: str, longest: int) -> str:
    """Return the text if it keeps rules 1 to 5.

    Raises:
        SummaryRefused: it does not; nothing of it is repeated in the error but a code point.
    """
    # Rule 1; a subclass of str could show one thing and hold another.
    if type(unverified) is not str:
        raise SummaryRefused(field, "is not a string")
    if not 1 <= len(unverified) <= longest:
        raise SummaryRefused(field, f"must have 1 to {longest} characters")
    # Rule 2.
    if not unicodedata.is_normalized("NFC", unverified):
        raise SummaryRefused(field, "is not in Unicode normal form C")
    # Rule 3.
    if not SHOWN.issuperset(unverified):
        strange = next(character for character in unverified if character not in SHOWN)
        raise SummaryRefused(field, f"has U+{ord(strange):04X}, which is not shown")
    # Rule 4.
    if _LOOSE_SPACE.search(unverified):
        raise SummaryRefused(field, "has a space at an end, or two together")
    # Rule 5.
    if _RUN.search(unverified):
        raise SummaryRefused(field, f"repeats a character more than {LONGEST_RUN} times")
    return unverified


def check_name(unverified: object, *, field: str, longest: int) -> str:
    """Return the name if it keeps rules 1 to 6.

    Raises:
        SummaryRefused: it does not.
    """
    name = check_text(unverified, field=field, longest=longest)
    if not _scripts_of(name):
        raise SummaryRefused(field, "has no letter")
    if any(len(_scripts_of(word)) > 1 for word in _WORD.findall(name)):
        raise SummaryRefused(field, "has a word that mixes scripts")
    return name


def _scripts_of(characters: Iterable[str]) -> frozenset[frozenset[str]]:
    present = frozenset(characters)
    return frozenset(script for script in SCRIPTS if script & present)
