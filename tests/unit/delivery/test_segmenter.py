"""backend/delivery/segmenter.py: what is cut comes together again, to the letter."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backend.delivery.segmenter import ESCAPE, Alphabet, Segment, segments
from backend.errors import SmsRefused
from backend.summary.sms_parts import GSM_BASIC, GSM_EXTENSION, sms_parts

# What a phone knows of TS 23.038, written down apart from the code.
BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = dict(
    zip((10, 20, 40, 41, 47, 60, 61, 62, 64, 101), "\f^{}\\[~]|€", strict=True),
)

GSM_TEXT = st.text(alphabet=st.sampled_from(sorted(GSM_BASIC | GSM_EXTENSION)), min_size=1)
ANY_TEXT = st.text(
    alphabet=st.one_of(st.sampled_from("ЖЯ₽«»№😀🇷aZ[€"), st.characters(exclude_categories=["Cs"])),
    min_size=1,
    max_size=800,
)
LONG_GSM = st.text(alphabet=st.sampled_from("a|[€§~\n@"), min_size=1, max_size=500)


def read(segment: Segment) -> str:
    """Read one part as a phone does."""
    if segment.alphabet is Alphabet.UCS2:
        return segment.body.decode("utf-16-be")
    text, octets = "", iter(segment.body)
    for septet in octets:
        text += EXTENDED[next(octets)] if septet == ESCAPE else BASIC[septet]
    return text


@given(st.one_of(GSM_TEXT, LONG_GSM, ANY_TEXT), st.integers(0, 1000))
@example("|" * 77, 7)  # 154 septets: an escape would be torn at the border
@example("a" * 152 + "|" + "a" * 152, 7)
@example("ж" * 66 + "😀" + "ж" * 66, 7)
@example("`" * 10, 0)  # smpplib's own table makes another character of it
@example("§" * 160, 0)
def test_a_text_comes_together_again_to_the_letter(text: str, reference: int) -> None:
    parts = segments(text, reference=reference, most=255)

    assert "".join(read(part) for part in parts) == text
    assert [read(part) for part in parts] == [part.text for part in parts]
    assert len(parts) == sms_parts(text), "what is counted is what is sent"
    assert {part.alphabet for part in parts} == {parts[0].alphabet}
    assert all(part.body for part in parts)
    room = 140 if parts[0].alphabet is Alphabet.UCS2 else 160
    if len(parts) == 1:
        assert (parts[0].header, len(parts[0].body) <= room) == (b"", True)
        return
    for number, part in enumerate(parts, 1):
        assert part.header == bytes([5, 0, 3, reference % 256, len(parts), number])
        # Seven octets of the header are as long as the eight septets that they stand for.
        header = 6 if part.alphabet is Alphabet.UCS2 else 7
        assert header + len(part.body) <= room


def test_the_alphabet_is_the_one_by_which_the_sam_counts() -> None:
    assert frozenset(BASIC) - {"\x1b"} == GSM_BASIC
    assert frozenset(EXTENDED.values()) == GSM_EXTENSION


@pytest.mark.parametrize(
    "text", ["", "a" * 460, "ж" * 202, "😀" * 100, "ok \ud800"], ids=lambda text: str(len(text))
)
def test_a_text_of_too_many_parts_of_none_or_of_half_a_character_is_refused(text: str) -> None:
    with pytest.raises(SmsRefused):
        segments(text, reference=0)


@pytest.mark.parametrize("text", ["a" * 459, "ж" * 201])
def test_three_parts_are_not_too_many(text: str) -> None:
    assert len(segments(text, reference=0)) == 3
