"""How `cellkey demo` tells its story: numbered steps, facts, frames, and the messages on the wire.

Rules: what takes time is named before it is done; nothing that came from outside moves the cursor;
secrets in messages are never printed (``SECRET``), what is long is cut.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from textwrap import fill, indent
from typing import Final, final
from urllib.parse import urlsplit

import click

from backend.cli.demo_words import DemoWords
from backend.summary.text import Language
from backend.summary.words import Words
from backend.summary.words import fill as fill_in
from backend.virtual_phone.screen import columns, frame, visible
from backend.virtual_phone.transport import Http, Request, Response

WIDTH: Final = 76
MARGIN: Final = "    "
LABEL_COLUMNS: Final = 22
ID_CHARACTERS: Final = 36
BEGIN_CHARACTERS: Final = 16
LONGEST_BODY: Final = 400
SECRET: Final = frozenset(
    {"SAD", "access_token", "auth", "code", "handle", "new_password", "password", "ticket"}
)


@final
class Teller:
    """Speaks to the person at the terminal, in one language."""

    def __init__(self, words: DemoWords, lang: Language, *, verbose: bool) -> None:
        """Begin before the first step."""
        self.words = words
        self.lang = lang
        self.verbose = verbose
        self.steps = 0
        self._is_line_open = False

    def begin(self) -> None:
        """Tell what it is about."""
        self._echo(click.style(self.say(self.words.title), bold=True))
        for words in (self.words.nothing_acted, self.words.other_language):
            self._echo(self.say(words))

    def say(self, words: Words, **values: str) -> str:
        """Give words in the story's language."""
        return fill_in(words.of(self.lang), values)

    def step(self, words: Words, **values: str) -> None:
        """Begin the next step."""
        self.steps += 1
        self._echo(click.style(f"\n{self.steps:>2}. {self.say(words, **values)}", bold=True))

    def line(self, words: Words, **values: str) -> None:
        """Tell in a paragraph."""
        self._echo(indent(fill(self.say(words, **values), WIDTH, break_on_hyphens=False), MARGIN))

    def fact(self, label: Words, value: str) -> None:
        """Tell a fact under its name; the value is never broken, so that it can be copied."""
        name = self.say(label)
        self._echo(f"{MARGIN}{name}{' ' * (LABEL_COLUMNS - columns(name))}{visible(value)}")

    def warn(self, text: str) -> None:
        """Shout."""
        self._echo(click.style(indent(fill(text, WIDTH), MARGIN), fg="yellow"))

    def succeed(self, words: Words, **values: str) -> None:
        """Tell what was reached."""
        self._echo(click.style(f"{MARGIN}✓ {self.say(words, **values)}", fg="green"))

    def block(self, text: str) -> None:
        """Show something as it is."""
        self._echo(indent(text, MARGIN))

    def screen(self, title: Words, *sections: Sequence[str], **values: str) -> None:
        """Show what stands on a screen, in a frame under its title."""
        self.framed(title, frame(sections), **values)

    def framed(self, title: Words, drawn: str, **values: str) -> None:
        """Show a frame that is drawn already."""
        self._echo(f"{MARGIN}{click.style(self.say(title, **values), dim=True)}")
        self.block(drawn)

    def command(self, text: str) -> None:
        """Show a command, in one line however long, so that it can be pasted."""
        self._echo(f"{MARGIN}  {click.style(text, bold=True)}")

    @contextmanager
    def working(self, words: Words, **values: str) -> Iterator[None]:
        """Name what takes time, and how long it took."""
        click.echo(f"{MARGIN}{self.say(words, **values)} … ", nl=False)
        self._is_line_open = True
        began = time.monotonic()
        try:
            yield
        except BaseException:
            self._end_line()
            raise
        took = click.style(
            f"{time.monotonic() - began:.1f} {self.say(self.words.seconds)}", dim=True
        )
        click.echo(took if self._is_line_open else f"{MARGIN}… {took}")
        self._is_line_open = False

    def wire(self, begin: str, content: bytes | None) -> None:
        """Tell of a message, if messages are wanted."""
        if self.verbose:
            line = f"{begin} {body(content)}".rstrip()
            self._echo(click.style(f"{MARGIN}{visible(line)}", fg="cyan"))

    def _echo(self, text: str) -> None:
        self._end_line()
        click.echo(text)

    def _end_line(self) -> None:
        if self._is_line_open:
            click.echo()
            self._is_line_open = False


@final
class ToldHttp:
    """A way to servers that tells of each message."""

    def __init__(self, http: Http, tell: Teller) -> None:
        """Send by ``http``."""
        self._http = http
        self._tell = tell

    def send(self, request: Request, *, timeout_seconds: float) -> Response:
        """Carry one request, and tell of it and of its answer."""
        self._tell.wire(f"→ {request.method} {address(request.url)}", request.body)
        answer = self._http.send(request, timeout_seconds=timeout_seconds)
        self._tell.wire(f"← {answer.status}", answer.body)
        return answer


def address(url: str) -> str:
    """Give an address with its long parts cut: an inbox's last part is a secret."""
    parts = urlsplit(url)
    path = "/".join(cut(part) for part in parts.path.split("/"))
    query = f"?{cut(parts.query)}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}{path}{query}"


def body(content: bytes | None) -> str:
    """Give a body in one line: JSON without secrets and long strings, else only its length."""
    if not content:
        return ""
    try:
        members = json.loads(content)
    except ValueError:
        return f"({len(content)} bytes)"
    told = json.dumps(_shortened(members), ensure_ascii=False)
    return told if len(told) <= LONGEST_BODY else f"{told[:LONGEST_BODY]}…"


def cut(text: str) -> str:
    """Give a text, or the begin of one that is longer than an id."""
    return text if len(text) <= ID_CHARACTERS else f"{text[:BEGIN_CHARACTERS]}…"


def _shortened(value: object) -> object:
    if isinstance(value, dict):
        return {
            name: "•••" if name in SECRET and isinstance(member, str) else _shortened(member)
            for name, member in value.items()
        }
    if isinstance(value, list):
        return [_shortened(member) for member in value]
    return cut(value) if isinstance(value, str) else value
