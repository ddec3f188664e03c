"""A network that loses things: on the way there, or the answer on the way back."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Error, Route

from tests.world.chromium import LONGEST_MS


class Lost(Enum):
    """What does not arrive."""

    REQUEST = "the request"
    ANSWER = "the answer"


@contextmanager
def bad_network(
    context: BrowserContext, *origins: str, loses: Lost, times: int = 1
) -> Iterator[Counter[str]]:
    """Lose each call's first attempts, of all but CORS preflights; tells what was lost."""
    lost: Counter[str] = Counter()

    def pass_on(route: Route) -> None:
        request = route.request
        parts = urlsplit(request.url)
        call = f"{request.method} {parts.path}"
        # Who asked may be gone meanwhile.
        with suppress(Error):
            if f"{parts.scheme}://{parts.netloc}" not in origins or lost[call] >= times:
                route.continue_()
                return
            lost[call] += 1
            if loses is Lost.ANSWER:
                route.fetch(timeout=LONGEST_MS)
            route.abort("connectionreset")

    context.route("**/*", pass_on)
    try:
        yield lost
    finally:
        context.unroute("**/*", pass_on)
