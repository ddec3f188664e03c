"""A real Chromium without a screen, and how a test waits for what it shows.

While Playwright is open, its event loop counts as the thread's own: what calls ``asyncio.run``, as
our worker does, goes through :func:`beside`. A click that leads to another document stands inside
:func:`another_page`: what is looked for afterwards is never found on the page that is left.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from playwright.sync_api import Browser, Page, expect, sync_playwright

T = TypeVar("T")
OpenPage = Callable[..., Page]
"""Of the fixture ``open_page``."""

PROGRAM: Final = Path("/usr/bin/chromium")
LEFT_OUT: Final = (
    # Of several such lists Chromium takes the last: what Playwright leaves out stands here again.
    "AimEnabled",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "ThirdPartyStoragePartitioning",
    # What hangs from the address bar, which nobody sees: two pages for each window. And a process
    # in advance for the next page.
    "WebUIOmniboxAimPopup",
    "WebUIOmniboxPopup",
    "SpareRendererForSitePerProcess",
)
SWITCHES: Final = (
    "--no-sandbox",  # it would not start for root; it meets no page but ours
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={','.join(LEFT_OUT)}",
)
LONGEST_MS: Final = 180_000
"""For what must come at last, also where the machine has much else to do."""
LOOK_MS: Final = 20
PHONE: Final = (360, 780)
TABLET: Final = (820, 1180)
DESKTOP: Final = (1280, 800)

expect.set_options(timeout=LONGEST_MS)


@contextmanager
def running_chromium(*switches: str) -> Iterator[Browser]:
    """Start it, with further switches where a test needs them."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=PROGRAM,
            args=[*SWITCHES, *switches],
            headless=True,
            timeout=LONGEST_MS,
        )
        yield browser
        browser.close()


def beside(work: Callable[[], T]) -> T:
    """Do it in a thread that has no event loop yet."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(work).result()


@contextmanager
def another_page(page: Page) -> Iterator[None]:
    """What is done inside brings another document; goes on when all of that is loaded."""
    with page.expect_navigation(timeout=LONGEST_MS):
        yield


def wait_until(page: Page, claim: Callable[[], bool]) -> None:
    """Wait until something is so, while the browser goes on: its events come meanwhile."""
    while not claim():
        page.wait_for_timeout(LOOK_MS)
