"""The envelope as the terminal shows it, once: for the printer, and for nobody's file.

Two QR codes, because they do different things: the first may be seen by anyone and opens the app,
the second is the secret that binds a phone to the cell.
"""

import tomllib
from collections.abc import Sequence
from importlib.resources import files
from textwrap import fill
from typing import Final, final

import msgspec

from backend.cli.qr_code import qr_code
from backend.devices.envelope import Envelope
from backend.devices.replacement import Replacement
from backend.summary.moments import moment_text, reader
from backend.summary.text import Language
from backend.summary.words import Words

WIDTH: Final = 72
RULE: Final = "─" * WIDTH


@final
class PaperWords(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands on every envelope; ``envelope_paper.toml``."""

    title: Words
    signer: Words
    login: Words
    first_password: Words
    valid_until: Words
    qr_1: Words
    qr_2: Words
    typed: Words
    steps: tuple[Words, ...]
    replacement_title: Words
    replacement_steps: tuple[Words, ...]
    password_stays: Words
    warning: Words
    once: Words


def paper(envelope: Envelope) -> str:
    """Lay an envelope out, in the signer's language."""
    words, lang = _words(), _language(envelope.lang)
    typed = f"{words.typed.of(lang)}:  {envelope.secret_text}"
    return _paper(envelope, words, lang, title=words.title, typed=[typed], steps=words.steps)


def replacement_paper(envelope: Replacement) -> str:
    """Lay an envelope for a cell that exists out, in the signer's language."""
    words, lang = _words(), _language(envelope.lang)
    kept = () if envelope.first_password else (words.password_stays,)
    steps = (*kept, *words.replacement_steps)
    return _paper(envelope, words, lang, title=words.replacement_title, typed=[], steps=steps)


def _paper(
    envelope: Envelope | Replacement,
    words: PaperWords,
    lang: Language,
    *,
    title: Words,
    typed: Sequence[str],
    steps: Sequence[Words],
) -> str:
    clock = reader(lang=lang, zone=envelope.zone)
    facts = [
        (words.signer, envelope.name),
        (words.login, envelope.login),
        (words.first_password, envelope.first_password),
        (words.valid_until, moment_text(envelope.expires_at, clock)),
    ]
    width = max(len(label.of(lang)) for label, _ in facts)
    lines = [
        RULE,
        title.of(lang).center(WIDTH).rstrip(),
        RULE,
        *(f"  {label.of(lang):<{width}}  {fact}" for label, fact in facts if fact is not None),
        "",
        words.qr_1.of(lang),
        qr_code(envelope.qr1),
        words.qr_2.of(lang),
        qr_code(envelope.qr2),
        *typed,
        "",
        *(fill(step.of(lang), WIDTH, subsequent_indent="   ") for step in steps),
        fill(words.warning.of(lang), WIDTH),
        RULE,
        words.once.of(lang),
    ]
    return "\n".join(lines)


def _language(kept: str) -> Language:
    return "en" if kept == "en" else "ru"


def _words() -> PaperWords:
    text = files("backend.cli").joinpath("envelope_paper.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), PaperWords)
