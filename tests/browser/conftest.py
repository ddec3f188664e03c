"""A Chromium for each module, and pages in it.

Not one for all: while it is open, no other test of the same process could run an event loop.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.world.chromium import DESKTOP, PROGRAM, OpenPage, running_chromium

LONGEST_MS = 20_000


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The module's browser."""
    if not PROGRAM.exists():
        pytest.skip("Chromium is not installed")
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[OpenPage]:
    """Open a page of a new person: own cookies, own language, own size of screen."""
    contexts = []

    def opened(*, lang: str = "en-GB", size: tuple[int, int] = DESKTOP, dark: bool = False) -> Page:
        width, height = size
        context = chromium.new_context(
            locale=lang,
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
        )
        context.set_default_timeout(LONGEST_MS)
        contexts.append(context)
        return context.new_page()

    yield opened
    for context in contexts:
        context.close()
