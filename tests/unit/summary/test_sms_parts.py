"""How many parts a text has as an SMS (3GPP TS 23.038 and 23.040)."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backend.summary.sms_parts import GSM_BASIC, GSM_EXTENSION, is_gsm, sms_parts

RUSSIAN = "\N{CYRILLIC SMALL LETTER ZHE}"
BEYOND = "\N{GRINNING FACE}"  # two units of UTF-16
TEXTS = st.text(
    alphabet=st.sampled_from("aZ0 @\n\u20ac[]{}~^|\\\u0416\u20bd\u00ab\u2116\U0001f600"),
    max_size=500,
)


def parts_by_hand(text: str) -> list[str]:
    """Cut a text as an SMS centre would: octets, and nothing torn."""
    gsm = is_gsm(text)
    alone, each = (160, 153) if gsm else (70, 67)
    if width(text, gsm=gsm) <= alone:
        return [text]
    parts = [""]
    for character in text:
        if width(parts[-1] + character, gsm=gsm) > each:
            parts.append("")
        parts[-1] += character
    return parts


def width(text: str, *, gsm: bool) -> int:
    if gsm:
        return len(text) + sum(text.count(character) for character in "\f^{}\\[~]|\u20ac")
    return len(text.encode("utf-16-be")) // 2


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("a" * 459, 3),
        ("a" * 460, 4),
        ("\u20ac" * 80, 1),
        ("\u20ac" * 81, 2),
        ("\u20ac" * 152, 2),
        ("\u20ac" * 153, 3),  # 153 is odd: a septet of each part stays empty
        ("a" + "\u20ac" * 152, 2),
        (RUSSIAN * 70, 1),
        (RUSSIAN * 71, 2),
        (RUSSIAN * 134, 2),
        (RUSSIAN * 201, 3),
        (RUSSIAN * 202, 4),
        ("a" * 70 + RUSSIAN, 2),
        (BEYOND * 35, 1),
        (BEYOND * 36, 2),
        (BEYOND * 66, 2),
        (BEYOND * 67, 3),  # 67 is odd: a pair is not torn
    ],
)
def test_a_text_has_so_many_parts(text: str, parts: int) -> None:
    assert sms_parts(text) == parts


@given(TEXTS)
@example("a" * 152 + "\u20ac" * 5)
@example(RUSSIAN * 66 + BEYOND * 3)
def test_no_centre_would_cut_it_otherwise(text: str) -> None:
    parts = parts_by_hand(text)
    assert sms_parts(text) == len(parts)
    assert "".join(parts) == text


@given(TEXTS, TEXTS)
def test_more_text_never_has_fewer_parts(text: str, more: str) -> None:
    assert sms_parts(text + more) >= sms_parts(text)


def test_the_alphabet_is_that_of_the_standard() -> None:
    """TS 23.038, 6.2.1: 128 septets, of which one is the escape to ten others here."""
    assert len(GSM_BASIC) == 127
    assert len(GSM_EXTENSION) == 10
    assert not GSM_BASIC & GSM_EXTENSION
    assert is_gsm("@\u00a3$\u00a5 \u00e8\u00d8\u0394\u03a9 \u00bf\u00df 2 + 2 = 4 \u20ac")
    for strange in (
        "`",
        "\u00e7",
        "\u00a0",
        "\u00ab",
        "\u2116",
        "\u20bd",
        "\u2013",
        "\u0410",
        "\t",
    ):
        assert not is_gsm(strange)


def test_one_letter_of_another_alphabet_makes_all_of_it_ucs_2() -> None:
    assert sms_parts("a" * 140) == 1
    assert sms_parts("a" * 139 + RUSSIAN) == 3
