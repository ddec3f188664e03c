"""Words of the browser's pages, in both languages; each page takes what it needs."""

from importlib.resources import files
from typing import Final, Literal

import msgspec
from flask import Request

Language = Literal["ru", "en"]

WORDS: Final = msgspec.json.decode(
    files("backend.oauth").joinpath("words.json").read_bytes(),
    type=dict[Language, dict[str, str]],
)


def language_of(request: Request, wanted: Language | None) -> Language:
    """The language that the relying party named, or the browser's."""
    if wanted is not None:
        return wanted
    return "ru" if request.accept_languages.best_match(["en", "ru"]) == "ru" else "en"
