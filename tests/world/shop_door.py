"""A relying party's address in a browser; where it is held, the page before it stays to be read."""

from playwright.sync_api import Page, Route

from tests.world.chromium import wait_until
from tests.world.oauth_client import CALLBACK


class ShopDoor:
    """Where the signer comes back to; it answers whatever it is told."""

    def __init__(self, page: Page, *, held: bool = False) -> None:
        """Stand there; a door that is held opens when it is told to."""
        self._page = page
        self._held = held
        self._knocked: list[Route] = []
        page.route(f"{CALLBACK}?*", self._arrived)

    def let_in(self) -> None:
        """Wait for the signer to come back, and open."""
        wait_until(self._page, lambda: bool(self._knocked))
        _answer(self._knocked.pop())

    def _arrived(self, route: Route) -> None:
        if self._held:
            self._knocked.append(route)
        else:
            _answer(route)


def _answer(route: Route) -> None:
    route.fulfill(body="<!doctype html><title>Shop</title>", content_type="text/html")
