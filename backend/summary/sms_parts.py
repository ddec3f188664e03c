"""How many parts a text has as an SMS (3GPP TS 23.038, 23.040).

Wholly in the GSM 7-bit alphabet: 160 septets in one part, 153 in each of several; a character of
the extension table counts as two. Otherwise UCS-2: 70 units of UTF-16 in one part, 67 in each of
several. What counts as two is not torn: a part may end one short.
"""

from collections.abc import Iterable, Sequence
from typing import Final

GSM_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENSION: Final = frozenset("\f^{}\\[~]|€")
"""Each is an escape and a septet."""

_LAST_BMP: Final = 0xFFFF


def sms_parts(text: str) -> int:
    """Count the parts that a text is sent in."""
    if is_gsm(text):
        return _parts([1 + (character in GSM_EXTENSION) for character in text], alone=160, each=153)
    return _parts([1 + (ord(character) > _LAST_BMP) for character in text], alone=70, each=67)


def is_gsm(text: str) -> bool:
    """Tell whether all of a text is in the GSM 7-bit alphabet."""
    return (GSM_BASIC | GSM_EXTENSION).issuperset(text)


def _parts(widths: Sequence[int], *, alone: int, each: int) -> int:
    if sum(widths) <= alone:
        return 1
    return 1 + sum(_breaks(widths, each))


def _breaks(widths: Iterable[int], each: int) -> Iterable[bool]:
    """Tell of each character whether it begins another part."""
    used = 0
    for width in widths:
        begins = used + width > each
        used = width if begins else used + width
        yield begins
