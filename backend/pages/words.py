"""Words of the browser's pages, in both languages; each page takes what it needs.

A page speaks the language that was chosen on one of our pages, else the one that the relying party
named, else the browser's. The choice is a cookie that says nothing else.
"""

from importlib.resources import files
from typing import Final, Literal

import msgspec
from flask import Request

Language = Literal["ru", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("ru", "en")
CHOICE: Final = "language"
"""What the switch adds to a page's address."""
COOKIE: Final = "__Host-cellkey-language"

WORDS: Final = msgspec.json.decode(
    files("backend.pages").joinpath("words.json").read_bytes(),
    type=dict[Language, dict[str, str]],
)


def language_of(request: Request, wanted: Language | None = None) -> Language:
    """The language in which a browser is answered; ``wanted`` by the relying party."""
    chosen = chosen_language(request) or _known(request.cookies.get(COOKIE)) or wanted
    if chosen is not None:
        return chosen
    return "ru" if request.accept_languages.best_match(["en", "ru"]) == "ru" else "en"


def chosen_language(request: Request) -> Language | None:
    """The language that was chosen just now, if one was."""
    return _known(request.args.get(CHOICE))


def _known(unverified: str | None) -> Language | None:
    if unverified == "ru":
        return "ru"
    return "en" if unverified == "en" else None
