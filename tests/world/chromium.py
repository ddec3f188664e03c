"""A real Chromium without a screen, and what is asked of each of our pages in it.

While Playwright is open, its event loop counts as the thread's own: what calls ``asyncio.run``, as
our worker does, goes through :func:`beside`.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from os import environ
from pathlib import Path
from typing import Final, TypeVar

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

T = TypeVar("T")
OpenPage = Callable[..., Page]
"""Of the fixture ``open_page``."""

PROGRAM: Final = Path("/usr/bin/chromium")
SWITCHES: Final = (
    "--no-sandbox",  # it would not start for root; it meets no page but ours
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
RULES: Final = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }
}
PHONE: Final = (360, 780)
TABLET: Final = (820, 1180)
DESKTOP: Final = (1280, 800)
TAKES_PICTURES: Final = "CELLKEY_PICTURES" in environ


@contextmanager
def running_chromium(*switches: str) -> Iterator[Browser]:
    """Start it, with further switches where a test needs them."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=PROGRAM, args=[*SWITCHES, *switches], headless=True
        )
        yield browser
        browser.close()


def beside(work: Callable[[], T]) -> T:
    """Do it in a thread that has no event loop yet."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(work).result()


def assert_accessible(page: Page) -> None:
    """Have axe look for breaches of WCAG 2.2 A and AA, and of what is good practice."""
    found = Axe().run(page, options=RULES).response
    breaches = [
        (breach["id"], breach["help"], [node["html"][:200] for node in breach["nodes"]])
        for breach in found["violations"]
    ]
    assert not breaches, f"{page.url}: {breaches}"


def picture(page: Page, name: str) -> None:
    """Keep a screenshot where ``CELLKEY_PICTURES`` names a folder: people look at them."""
    if folder := environ.get("CELLKEY_PICTURES"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
