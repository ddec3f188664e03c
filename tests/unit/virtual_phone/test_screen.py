"""What the signer sees: straight, whole, and without deceit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.virtual_phone.asks import check_documents, read_ask, trust
from backend.virtual_phone.jose import Jwk
from backend.virtual_phone.screen import columns, frame, transaction_screen, visible, wrapped
from backend.virtual_phone.transactions import Shown
from tests.unit.virtual_phone.other_side import OtherSide, public


def shown(service: OtherSide, *, items: tuple[str, ...] = (), **claims: object) -> str:
    ks = Jwk(**public(service.ks))
    kind = "sign" if items else "enrol"
    signed = read_ask(service.ask(kind, items=items, **claims), ks=ks)
    trusted = trust(signed, pin=ks.thumbprint(), pinned=ks, keys=())
    checked = check_documents(trusted, items)
    return transaction_screen(
        Shown(id=checked.ask.jti, state="pending", checked=checked, lock=None), width=40
    )


@given(st.lists(st.lists(st.text(max_size=120), max_size=4), min_size=1, max_size=4))
def test_every_line_of_a_frame_is_as_wide_as_every_other(sections: list[list[str]]) -> None:
    assert {columns(line) for line in frame(sections, width=30).split("\n")} == {34}


def test_wide_and_combining_characters_keep_the_frame_straight() -> None:
    drawn = frame([["Перевод на счёт: сто тысяч рублей", "東京支店 口座振替", "и" + "\u0306" * 3]])
    assert {columns(line) for line in drawn.split("\n")} == {66}
    assert columns("東京") == 4
    assert columns("и\u0306") == columns("Ж") == 1


@given(st.text(alphabet="жд ы", max_size=200), st.integers(min_value=2, max_value=40))
def test_wrapping_loses_nothing_but_spaces(text: str, width: int) -> None:
    pieces = list(wrapped(text, width=width))
    assert all(columns(piece) <= width for piece in pieces)
    assert "".join(pieces).replace(" ", "") == text.replace(" ", "")


def test_a_line_is_cut_at_a_space_where_there_is_one() -> None:
    assert list(wrapped("сто тысяч рублей", width=10)) == ["сто тысяч", "рублей"]
    assert list(wrapped("Превосходительство", width=10)) == ["Превосходи", "тельство"]


@pytest.mark.parametrize(
    "character",
    ["\u202e", "\u2066", "\u200b", "\u200d", "\x1b", "\r", "\n", "\0", "\u2028", "\ufeff"],
)
def test_characters_that_could_deceive_are_made_visible(character: str) -> None:
    """T-06."""
    assert visible(f"100{character}1") == "100\ufffd1"
    assert "100\ufffd1" in frame([[f"100{character}1"]])


def test_the_screen_shows_who_asks_what_for_which_documents_and_until_when(
    service: OtherSide,
) -> None:
    items = tuple(service.item(f"Договор {number}.pdf") for number in range(22))
    screen = shown(service, items=items)
    for expected in (
        "Брокер просит:",
        "Договор",
        "Сумма: 100 ₽",
        "• Договор 0.pdf",
        "• Договор 19.pdf",
        "и ещё 2",
        "Ответить до 2026-11-18 11:11:40 UTC",
    ):
        assert expected in screen
    assert "Договор 20.pdf" not in screen
    assert "сообщает" not in screen


def test_lines_from_outside_are_said_to_be_the_relying_partys(service: OtherSide) -> None:
    text = {"lang": "en", "title": "Request", "lines": ["Trust me"]}
    screen = shown(service, fields={"type": "generic"}, text=text)
    assert screen.index("The relying party says:") < screen.index("Trust me")


def test_a_screen_in_an_unknown_language_has_english_words(service: OtherSide) -> None:
    text = {"lang": "de", "title": "Vertrag", "lines": []}
    assert "Answer until" in shown(service, text=text)


def test_the_number_is_asked_for_where_the_ask_wants_it(service: OtherSide) -> None:
    assert "Введите число" in shown(service, number_asked=True)
    assert "Введите число" not in shown(service, number_asked=False)
