"""A real Firefox ESR without a screen, driven by Marionette, with a push service of ours.

It differs from a person's Firefox in its settings alone: it talks to our push service without TLS,
it may show notifications, draws them itself, and has its software authenticator.
"""

import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from tests.world.worker import eventually

with warnings.catch_warnings():
    # What it is made of imports what Python 3.13 has no more.
    warnings.simplefilter("ignore", DeprecationWarning)
    from marionette_driver.errors import (
        ElementClickInterceptedException,
        ElementNotInteractableException,
        NoSuchWindowException,
        StaleElementException,
    )
    from marionette_driver.marionette import Marionette, WebElement
    from marionette_driver.webauthn import WebAuthn

T = TypeVar("T")

PROGRAM: Final = Path("/usr/bin/firefox-esr")
SETTINGS: Final = {
    # What drives browsers switches push off.
    "dom.push.connection.enabled": True,
    "dom.push.testing.allowInsecureServerURL": True,
    "dom.push.retryBaseInterval": 100,
    "permissions.default.desktop-notification": 1,
    # Notifications are windows of its own, which can be read and clicked.
    "alerts.useSystemBackend": False,
    "ui.prefersReducedMotion": 1,
    # The software authenticator, and no search for one that is plugged in.
    "security.webauth.webauthn_enable_softtoken": True,
    "security.webauth.webauthn_enable_usbtoken": False,
    "security.webauthn.always_allow_direct_attestation": True,
}
LONGEST_SECONDS: Final = 240
"""For whatever must come at last: a little less than a test may take."""
RESTLESS: Final = (
    StaleElementException,
    ElementNotInteractableException,
    ElementClickInterceptedException,
)
"""What an element says that is just drawn anew, or comes or goes."""
ALERTS: Final = """
  return Array.from(Services.wm.getEnumerator("alert:alert"))
    .filter(alert => alert.gIsActive && !alert.closed)
    .map(alert => ({
      title: alert.document.getElementById("alertTitleLabel").getAttribute("value"),
      body: alert.document.getElementById("alertTextLabel").textContent,
    }));
"""
CLICK: Final = """
  const [title] = arguments;
  for (const alert of Services.wm.getEnumerator("alert:alert")) {
    const label = alert.document.getElementById("alertTitleLabel");
    if (alert.gIsActive && label.getAttribute("value") === title) {
      alert.document.getElementById("alertBox").click();
      alert.close();
      return true;
    }
  }
  return false;
"""
FOCUS: Final = """
  for (const alert of Services.wm.getEnumerator("alert:alert")) alert.close();
  const browser = Services.wm.getMostRecentWindow("navigator:browser");
  browser.focus();
  browser.gBrowser.selectedBrowser.focus();
"""
MAY_NOTIFY: Final = """
  Services.prefs.setIntPref("permissions.default.desktop-notification", arguments[0] ? 1 : 2);
"""
PAGES: Final = """
  return Array.from(Services.wm.getEnumerator("navigator:browser")).flatMap(
    browser => browser.gBrowser.browsers.map(page => page.currentURI.spec));
"""


@dataclass(frozen=True)
class Alert:
    """A notification as it stands on the screen."""

    title: str
    body: str


class Firefox:
    """The browser, and what a person sees and does in it."""

    def __init__(self, marionette: Marionette) -> None:
        self.marionette = marionette

    # --- pages ----------------------------------------------------------------

    def open(self, url: str) -> None:
        """Open an address in the tab."""
        self.marionette.navigate(url)

    def run(self, script: str, *arguments: object) -> Any:  # noqa: ANN401  # whatever it returns
        """Run a script in the page; what it promises is awaited."""
        return self.marionette.execute_script(script, script_args=arguments)

    def wait_for(self, script: str, *arguments: object) -> Any:  # noqa: ANN401  # as run
        """Run a script in the page until it returns something true; gives that."""
        return until(lambda: self.run(script, *arguments))

    @property
    def pages(self) -> list[str]:
        """Addresses of all tabs."""
        addresses: list[str] = self._run_inside(PAGES)
        return addresses

    def switch_to(self, url: str) -> None:
        """Go on in the tab with that address."""

        def switched() -> bool:
            for handle in self.marionette.window_handles:
                with suppress(NoSuchWindowException):
                    self.marionette.switch_to_window(handle)
                    if self.marionette.get_url() == url:
                        return True
            return False

        eventually(switched)

    def read(self, what: str) -> str:
        """Wait for what has this test id; gives its words."""
        return self._with(_test_id(what), lambda element: str(element.text))

    def at(self, screen: str) -> str:
        """Wait for a screen of the app; gives its words."""
        shown = f"section[data-screen='{screen}']"
        return self._with(shown, lambda element: str(element.text))

    def tap(self, what: str) -> None:
        """Tap on what has this test id."""
        self._with(_test_id(what), lambda element: element.click())

    def type(self, what: str, text: str) -> None:
        """Type into what has this test id."""
        self._with(_test_id(what), lambda element: element.send_keys(text))

    def _with(self, selector: str, use: Callable[[WebElement], T]) -> T:
        """Wait for an element, and until it is at rest, to be used."""
        given: list[T] = []

        def used() -> bool:
            with suppress(*RESTLESS):
                given.append(use(self.marionette.find_element("css selector", selector)))
            return bool(given)

        eventually(used)
        return given[0]

    # --- notifications --------------------------------------------------------

    @property
    def alerts(self) -> list[Alert]:
        """The notifications on the screen."""
        return [Alert(**alert) for alert in self._run_inside(ALERTS)]

    def alert(self) -> Alert:
        """Wait for the only notification on the screen."""
        (alert,) = until(lambda: self.alerts)
        return alert

    def click(self, alert: Alert) -> None:
        """Click on a notification, with the mouse as it were."""
        assert self._run_inside(CLICK, alert.title)

    def may_notify(self, *, yes: bool) -> None:
        """Say whether pages that are opened from now on may show notifications."""
        self._run_inside(MAY_NOTIFY, yes)

    def take_focus(self) -> None:
        """Close notifications and go back to the page.

        A notification's window has the focus without a screen, and a page without focus may not
        use a passkey.
        """
        self._run_inside(FOCUS)

    # --- the machine ----------------------------------------------------------

    def go_offline(self, *, offline: bool = True) -> None:
        """Pull the plug, or put it back."""
        self._run_inside("Services.io.offline = arguments[0]", offline)

    def add_authenticator(self) -> None:
        """Have a passkey's authenticator whose user is verified."""
        WebAuthn(self.marionette).add_virtual_authenticator(
            {
                "protocol": "ctap2_1",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserConsenting": True,
                "isUserVerified": True,
            }
        )

    def _run_inside(self, script: str, *arguments: object) -> Any:  # noqa: ANN401  # as run
        """Run a script with the browser's own rights."""
        with self.marionette.using_context("chrome"):
            return self.marionette.execute_script(script, script_args=arguments)


def _test_id(what: str) -> str:
    return f"[data-testid='{what}']"


def until(look: Callable[[], T | None]) -> T:
    """Look until there is something, and give it; the test's time limit is the only clock."""
    found: list[Any] = []

    def there() -> bool:
        found[:] = [look()]
        return bool(found[0])

    eventually(there)
    (seen,) = found
    return cast("T", seen)


@contextmanager
def running_firefox(folder: Path, *, push_url: str, **settings: object) -> Iterator[Firefox]:
    """Start it on an empty profile in a folder.

    Args:
        folder: of profile and log.
        push_url: address of the push service's WebSocket.
        settings: more of Firefox's settings, with ``__`` for a dot.
    """
    given = {name.replace("__", "."): value for name, value in settings.items()}
    with warnings.catch_warnings():
        # Its sockets of tries to connect, until the browser listens.
        warnings.simplefilter("ignore", ResourceWarning)
        marionette = Marionette(
            bin=str(PROGRAM),
            headless=True,
            port=0,
            startup_timeout=LONGEST_SECONDS,
            prefs={**SETTINGS, "dom.push.serverURL": push_url, **given},
            app_args=["-remote-allow-system-access"],
            workspace=str(folder),
            gecko_log=str(folder / "firefox.log"),
        )
    try:
        marionette.start_session()
        # The browser itself waits for what a test looks for.
        marionette.timeout.implicit = LONGEST_SECONDS
        marionette.timeout.script = LONGEST_SECONDS
        yield Firefox(marionette)
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            marionette.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
