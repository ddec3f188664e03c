from datetime import UTC, datetime
from uuid import UUID

import click
import msgspec
import pytest
import segno

from backend.cli.envelope_paper import WIDTH, paper, replacement_paper
from backend.cli.qr_code import qr_code
from backend.devices.envelope import Envelope
from backend.devices.replacement import Replacement

ENVELOPE = Envelope(
    name="Иванова Анна Петровна",
    lang="ru",
    zone="Europe/Moscow",
    login="dfhj-3467",
    first_password="dfhj-mnrt-vwz3-4678",
    qr1="https://app.example/#as=https%3A%2F%2Fca.example&api=https%3A%2F%2Fphones.example",
    qr2="cellkey:pair?s=7X448971BCHAC3GK49Q9GJMQE7",
    secret_text="7X448-971BC-HAC3G-K49Q9-GJMQE-7",
    pairing=UUID(int=1),
    expires_at=datetime(2026, 11, 24, 12, 0, tzinfo=UTC),
)

REPLACEMENT = Replacement(
    name=ENVELOPE.name,
    lang="ru",
    zone=ENVELOPE.zone,
    login=ENVELOPE.login,
    first_password=None,
    qr1=ENVELOPE.qr1,
    qr2=f"{ENVELOPE.qr2}&k={'A' * 43}",
    pairing=ENVELOPE.pairing,
    expires_at=ENVELOPE.expires_at,
)


def test_everything_that_a_signer_needs_stands_on_the_paper() -> None:
    printed = paper(ENVELOPE)

    for fact in ("Иванова Анна Петровна", "dfhj-3467", "dfhj-mnrt-vwz3-4678", "24.11.2026"):
        assert fact in printed
    assert ENVELOPE.secret_text in printed
    assert qr_code(ENVELOPE.qr1) in printed
    assert qr_code(ENVELOPE.qr2) in printed


@pytest.mark.parametrize(("lang", "words"), [("ru", "Первый пароль"), ("en", "First password")])
def test_the_paper_speaks_the_signers_language(lang: str, words: str) -> None:
    assert words in paper(msgspec.structs.replace(ENVELOPE, lang=lang))


@pytest.mark.parametrize("lang", ["ru", "en"])
def test_the_paper_is_no_wider_than_a_page(lang: str) -> None:
    printed = paper(msgspec.structs.replace(ENVELOPE, lang=lang))

    assert max(len(line) for line in click.unstyle(printed).splitlines()) <= WIDTH


def test_a_qr_code_has_its_quiet_zone() -> None:
    """ISO/IEC 18004: four modules on each side; two rows of modules are one of characters."""
    rows = click.unstyle(qr_code(ENVELOPE.qr2)).splitlines()

    assert len({len(row) for row in rows}) == 1
    assert all(set(row) == {" "} for row in rows[:2] + rows[-2:])
    assert all(row.startswith("    ") and row.endswith("    ") for row in rows[2:-2])


def test_a_qr_code_is_black_on_white_also_where_the_terminal_is_black() -> None:
    rows = qr_code(ENVELOPE.qr2).splitlines()

    assert all(row.startswith("\x1b[30m\x1b[107m") and row.endswith("\x1b[0m") for row in rows)


def test_a_qr_code_is_drawn_module_by_module() -> None:
    drawn = click.unstyle(qr_code(ENVELOPE.qr2)).splitlines()
    modules = [[character in half for character in row] for row in drawn for half in ("▀█", "▄█")]

    wanted = segno.make_qr(ENVELOPE.qr2, error="m").matrix_iter(border=4)
    assert modules[:-1] == [[bool(module) for module in row] for row in wanted]
    assert not any(modules[-1])


@pytest.mark.parametrize(("lang", "words"), [("ru", "прежним"), ("en", "stays as it is")])
def test_the_paper_for_another_phone_says_that_the_password_stays(lang: str, words: str) -> None:
    printed = replacement_paper(msgspec.structs.replace(REPLACEMENT, lang=lang))

    assert words in printed
    assert qr_code(REPLACEMENT.qr2) in printed
    assert ENVELOPE.secret_text not in printed
    assert max(len(line) for line in click.unstyle(printed).splitlines()) <= WIDTH


def test_the_paper_for_another_phone_has_the_first_password_where_it_was_reset() -> None:
    reset = msgspec.structs.replace(REPLACEMENT, first_password="dfhj-mnrt-vwz3-4678")
    printed = replacement_paper(reset)

    assert "dfhj-mnrt-vwz3-4678" in printed
    assert "прежним" not in printed
