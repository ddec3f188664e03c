"""A relying party's address in a browser; where it is held, the page before it stays to be read."""

import base64
from typing import Any, Final

from playwright.sync_api import Page

from tests.world.chromium import wait_until
from tests.world.oauth_client import CALLBACK

PAGE: Final = base64.b64encode(b"<!doctype html><title>Shop</title>").decode()


class ShopDoor:
    """Where the signer comes back to; it answers whatever it is told.

    Playwright's routes do not see where a redirect leads: the browser would ask the network for the
    address. What is paused in the browser itself never gets there.
    """

    def __init__(self, page: Page, *, held: bool = False) -> None:
        """Stand there; a door that is held opens when it is told to."""
        self._page = page
        self._held = held
        self._knocked: list[str] = []
        self._browser = page.context.new_cdp_session(page)
        self._browser.on("Fetch.requestPaused", self._arrived)
        self._browser.send("Fetch.enable", {"patterns": [{"urlPattern": f"{CALLBACK}*"}]})

    def let_in(self) -> None:
        """Wait for the signer to come back, and open."""
        wait_until(self._page, lambda: bool(self._knocked))
        self._answer(self._knocked.pop())

    def _arrived(self, paused: dict[str, Any]) -> None:
        if self._held:
            self._knocked.append(paused["requestId"])
        else:
            self._answer(paused["requestId"])

    def _answer(self, request: str) -> None:
        answer = {
            "requestId": request,
            "responseCode": 200,
            "responseHeaders": [{"name": "Content-Type", "value": "text/html"}],
            "body": PAGE,
        }
        self._browser.send("Fetch.fulfillRequest", answer)
