"""The phone app in a browser: its files on the loopback, and a person who uses it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Any

import msgspec
from cheroot.wsgi import Server
from playwright.sync_api import BrowserContext, CDPSession, ConsoleMessage, Locator, Page, expect

from backend.devices.envelope import Envelope
from backend.wiring import utc_now
from mobile_api.authenticator.app import create_app
from tests.world.chromium import beside
from tests.world.service import NEW_PASSWORD, Service
from tests.world.serving import serving

expect.set_options(timeout=20_000)

PRF_PASSKEYS = {
    "protocol": "ctap2",
    "ctap2Version": "ctap2_1",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "hasPrf": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


_SERVERS: dict[str, Server] = {}


@contextmanager
def serving_app(folder: Path, **given: Any) -> Iterator[Service]:  # noqa: ANN401  # as open_service
    """The whole service with the app's files, on the clock of this machine, as browsers need it."""
    server = Server(("127.0.0.1", 0), None, numthreads=8)
    server.prepare()
    changed: dict[str, Any] = {
        "app_url": f"http://localhost:{server.bind_addr[1]}",
        "rp_id": "localhost",
        "clock": utc_now,
        "long_poll_seconds": 2,
    }
    with serving(folder, **(changed | given)) as service:
        service.pauses.then = lambda: sleep(0.3)
        server.wsgi_app = create_app(service.settings)
        _SERVERS[service.settings.app_url] = server
        thread = Thread(target=server.serve)
        thread.start()
        try:
            yield service
        finally:
            server.stop()
            thread.join()
            del _SERVERS[service.settings.app_url]


def serve_another_version(service: Service, **changed: object) -> None:
    """From now on the app's origin has other files, as after an upgrade."""
    settings = msgspec.structs.replace(service.settings, **changed)
    _SERVERS[service.settings.app_url].wsgi_app = create_app(settings)


@dataclass
class Person:
    """The signer, with the app in a browser that has a passkey."""

    service: Service
    page: Page
    devtools: CDPSession
    authenticator: str
    """Id of the passkeys' place."""
    asked_for: list[str] = field(default_factory=list)
    """Every address that the page called."""
    failures: list[str] = field(default_factory=list)
    """What the browser complained about."""

    def hear(self, message: ConsoleMessage) -> None:
        """Note what the browser complains about."""
        if message.type == "error":
            self.failures.append(message.text)

    def see(self, name: str) -> Locator:
        """The one control, or text, of that name."""
        return self.page.get_by_test_id(name)

    def tap(self, name: str) -> None:
        """Press it."""
        self.see(name).click()

    def verify_user(self, *, yes: bool) -> None:
        """Whether the finger, from now on, is the user's."""
        self.devtools.send(
            "WebAuthn.setUserVerified",
            {"authenticatorId": self.authenticator, "isUserVerified": yes},
        )

    def screen(self, name: str) -> Locator:
        """Wait for a screen."""
        found = self.page.locator(f'[data-screen="{name}"]')
        expect(found).to_be_visible()
        return found

    def open(self, path: str = "/") -> None:
        """Go to the app."""
        self.page.goto(f"{self.service.settings.app_url}{path}")

    def give_code(self, envelope: Envelope) -> None:
        """Pairing, step 1: type QR 2."""
        self.open()
        self.tap("pair")
        self.see("envelope-code").fill(envelope.qr2.partition("s=")[2])
        self.tap("next")
        self.screen("pair-password")

    def give_password(self, envelope: Envelope, *, new: str = NEW_PASSWORD) -> None:
        """Pairing, step 2: login and passwords."""
        self.see("login").fill(envelope.login)
        self.see("password").fill(envelope.first_password)
        self.see("new-password").fill(new)
        self.tap("next")
        self.screen("pair-passkey")

    def present(self, envelope: Envelope) -> None:
        """Pair up to the keys, by the typed code."""
        self.give_code(envelope)
        self.give_password(envelope)
        self.tap("make-passkey")
        self.screen("pair-confirm")

    def confirm_by_sms(self) -> None:
        """Pairing, step 4: the code that arrived."""
        self.tap("send-code")
        expect(self.see("sms-status")).not_to_be_empty()
        self.see("sms-code").fill(beside(self.service.work)[-1].code)
        self.tap("confirm")
        self.screen("requests")

    def pair(self, envelope: Envelope) -> None:
        """Pair by the typed code and the SMS."""
        self.present(envelope)
        self.confirm_by_sms()

    def certify(self) -> None:
        """Give the first approval."""
        beside(self.service.clerk.run_once)
        self.see("request").click()
        self.tap("approve")
        self.screen("done-approved")
        beside(self.service.clerk.run_once)


def a_person(service: Service, context: BrowserContext, **passkeys: object) -> Person:
    """A person in a new page of that context; everything the page says and asks for is noted."""
    page = context.new_page()
    devtools = context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    added = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": PRF_PASSKEYS | passkeys})
    person = Person(service, page, devtools, added["authenticatorId"])
    page.on("request", lambda request: person.asked_for.append(request.url))
    page.on("pageerror", lambda error: person.failures.append(str(error)))
    page.on("console", person.hear)
    return person
