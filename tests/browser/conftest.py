"""A Chromium for each module, and pages in it.

Not one for all: while it is open, no other test of the same process could run an event loop.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.world.chromium import DESKTOP, LONGEST_MS, PROGRAM, OpenPage, running_chromium


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The module's browser."""
    if not PROGRAM.exists():
        pytest.skip("Chromium is not installed")
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[OpenPage]:
    """Open a page of a new person: own cookies, own language."""
    contexts = []

    def opened(*, lang: str = "en-GB") -> Page:
        width, height = DESKTOP
        context = chromium.new_context(locale=lang, viewport={"width": width, "height": height})
        context.set_default_timeout(LONGEST_MS)
        contexts.append(context)
        return context.new_page()

    yield opened
    for context in contexts:
        context.close()
