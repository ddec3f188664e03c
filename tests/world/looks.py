"""How a page is looked at: in each language, scheme and size, by axe and by people.

A page is visited once for each language; there it changes scheme and size in its place. The looks
of both languages together have each scheme in each size, and each language has each of both.
``CELLKEY_PICTURES`` names a folder for pictures, of all looks.
"""

from os import environ
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from tests.world.chromium import PHONE, TABLET

LANGS: Final = ("ru", "en")
RULES: Final = {
    "resultTypes": ["violations"],
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    },
}
FIND: Final = """async (rules) => (await axe.run(document, rules)).violations
  .map(({ id, help, nodes }) => [id, help, nodes.map((node) => node.html.slice(0, 200))])"""
TOO_WIDE: Final = """() => [document.documentElement, ...document.querySelectorAll("main")]
  .filter((box) => box.scrollWidth > box.clientWidth).map((box) => box.tagName)"""
UNROLLED: Final = """(on) => {
  const main = document.getElementById("main");
  if (!main) return;
  document.body.style.height = on ? "auto" : "";
  main.style.overflow = on ? "visible" : "";
}"""
"""The app scrolls within; a picture has all of it."""


class Look(NamedTuple):
    """One way a page looks."""

    scheme: Literal["light", "dark"]
    size: tuple[int, int]


LOOKS: Final = {
    "ru": (Look("light", PHONE), Look("dark", TABLET)),
    "en": (Look("dark", PHONE), Look("light", TABLET)),
}


def look_at(page: Page, name: str, *, lang: str) -> None:
    """Look at the page that is shown: axe finds nothing, nothing is wider than the screen."""
    before = page.viewport_size
    pictures = environ.get("CELLKEY_PICTURES")
    looks = {look for looks in LOOKS.values() for look in looks} if pictures else LOOKS[lang]
    for look in looks:
        page.set_viewport_size({"width": look.size[0], "height": look.size[1]})
        page.emulate_media(color_scheme=look.scheme, reduced_motion="reduce")
        assert_accessible(page)
        assert page.evaluate(TOO_WIDE) == [], f"{name}: {look}"
        if pictures:
            page.evaluate(UNROLLED, arg=True)
            file = f"{name}-{lang}-{look.size[0]}-{look.scheme}.png"
            page.screenshot(path=Path(pictures) / file, full_page=True)
            page.evaluate(UNROLLED, arg=False)
    if before:
        page.set_viewport_size(before)


def assert_accessible(page: Page) -> None:
    """Have axe look for breaches of WCAG 2.2 A and AA, and of what is good practice."""
    page.wait_for_load_state()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    if not page.evaluate("'axe' in globalThis"):
        page.evaluate(AXE_SCRIPT)
    breaches: list[Any] = page.evaluate(FIND, RULES)
    assert not breaches, f"{page.url}: {breaches}"
