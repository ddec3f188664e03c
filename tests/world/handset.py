"""A phone with our app: a browser context of its own, with a passkey's authenticator that has PRF.

What the authenticator gives the page by PRF is told to the test, by no way that the page could use.
"""

from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from playwright.sync_api import Browser, CDPSession, ConsoleMessage, Locator, Page, expect

from backend.devices.replacement import Replacement
from tests.world.authority import Authority, Signer
from tests.world.chromium import LONGEST_MS, PHONE, wait_until
from tests.world.fake_camera import FakeCamera
from tests.world.secrets_watch import Watch
from tests.world.service import NEW_PASSWORD

ANDROID: Final = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile"
BY_HAND: Final = Path(__file__).with_name("by_hand.js").read_text("utf-8")
TELL_PRF: Final = """
for (const name of navigator.credentials ? ["create", "get"] : []) {
  const real = navigator.credentials[name].bind(navigator.credentials);
  navigator.credentials[name] = async options => {
    const credential = await real(options);
    const output = credential?.getClientExtensionResults().prf?.results?.first;
    if (output) await tellPrf(Array.from(new Uint8Array(output)));
    return credential;
  };
}
"""
AUTHENTICATOR: Final = {
    "protocol": "ctap2",
    "ctap2Version": "ctap2_1",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "hasPrf": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


class Handset:
    """One phone. To be closed."""

    def __init__(
        self,
        browser: Browser,
        authority: Authority,
        *,
        lang: str = "en-GB",
        agent: str | None = ANDROID,
        permissions: Sequence[str] = ("camera", "notifications"),
        **passkeys: object,
    ) -> None:
        """Switch it on.

        Args:
            browser: it is one context of this.
            authority: whose app it has.
            lang: its language.
            agent: what its browser says it is; ``None`` is the truth, which is a computer.
            permissions: what the app may do.
            passkeys: options of the authenticator that differ.
        """
        self.authority = authority
        width, height = PHONE
        self.context = browser.new_context(
            locale=lang,
            user_agent=agent,
            viewport={"width": width, "height": height},
            reduced_motion="reduce",  # each picture of what turns and fades is work
        )
        self.context.set_default_timeout(LONGEST_MS)
        self.context.grant_permissions(permissions, origin=authority.app_url)
        self.watch = Watch(self.context, authority.tap)
        self.prf_outputs: list[bytes] = []
        self.context.expose_binding(
            "tellPrf", lambda _source, output: self.prf_outputs.append(bytes(output))
        )
        self.context.add_init_script(TELL_PRF)
        self.page: Page = self.context.new_page()
        self._opened = count()
        self.failures: list[str] = []
        self.page.on("pageerror", lambda error: self.failures.append(str(error)))
        self.page.on("console", self._hear)
        self.cdp: CDPSession = self.context.new_cdp_session(self.page)
        self.cdp.send("WebAuthn.enable")
        self.authenticator = ""
        self.new_authenticator(**passkeys)

    def _hear(self, message: ConsoleMessage) -> None:
        """Note what the browser complains about, but not that nobody has scanned it yet (8.3)."""
        address = message.location["url"]
        if message.type == "error" and not address.endswith("/further-phone"):
            self.failures.append(f"{message.text} {address}")

    def new_authenticator(self, **passkeys: object) -> None:
        """Another in the place of the one it has: without passkeys, and with all tries left."""
        if self.authenticator:
            old = {"authenticatorId": self.authenticator}
            self.cdp.send("WebAuthn.removeVirtualAuthenticator", old)
        added = self.cdp.send(
            "WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR | passkeys}
        )
        self.authenticator = added["authenticatorId"]

    def open(self, path: str = "/") -> Page:
        """Open the app there anew: nothing is left of the page that was shown.

        Not by way of an empty page, which would cost the browser a new process each time.
        """
        address, hash_, place = f"{self.authority.app_url}{path}".partition("#")
        if hash_:  # the app forgets what stands before it; another is another document
            address += f"?opened={next(self._opened)}"
        self.page.goto(f"{address}{hash_}{place}")
        return self.page

    # --- what its owner does --------------------------------------------------

    def at(self, screen: str) -> Locator:
        """Wait for a screen of the app, by its name."""
        found = self.page.locator(f"section[data-screen='{screen}']")
        found.wait_for()
        return found

    def see(self, what: str) -> Locator:
        """What has this test id."""
        return self.page.get_by_test_id(what)

    def told(self, words: str) -> None:
        """Wait until the app says what went wrong."""
        expect(self.see("error").filter(has_text=words).first).to_be_visible()

    def tap(self, *things: str) -> None:
        """Tap on one thing after the other, by their test ids."""
        for what in things:
            self.see(what).first.click()

    def type(self, **fields: str) -> None:
        """Type into fields, by their test ids with ``_`` for ``-``."""
        for name, text in fields.items():
            self.see(name.replace("_", "-")).fill(text)

    def read(self, what: str) -> str:
        """What stands there, by its test id."""
        return self.see(what).inner_text()

    def wait_until(self, claim: Callable[[], bool]) -> None:
        """Wait until something is so, while the browser goes on."""
        wait_until(self.page, claim)

    def settings(self) -> None:
        """Go to the settings in the page that is open, as its tab does; the screen comes anew."""
        self.page.evaluate("location.hash = '#/'; location.hash = '#/settings'")

    def room(self, name: str) -> None:
        """Go from the settings to a room of the only cell."""
        self.settings()
        self.tap(f"to-{name}")

    def begin_pairing(self, signer: Signer, *, camera: FakeCamera | None = None) -> None:
        """Open the app, and give it the envelope's code by camera or by hand."""
        self.open()
        self.tap("pair")
        self.at("pair-code")
        if camera:
            camera.hold_before_it(signer.envelope.qr2)
            self.tap("scan")
        else:
            self.type_code(signer)
        self.at("pair-password")

    def type_code(self, signer: Signer) -> None:
        """Give the envelope's code by hand."""
        self.type(envelope_code=signer.qr2_code)
        self.tap("next")

    def sign_in(self, signer: Signer, **changed: str) -> None:
        """Type login, first and new password."""
        given = {
            "login": signer.login,
            "password": signer.envelope.first_password,
            "new_password": NEW_PASSWORD,
        }
        self.type(**given | changed)
        self.tap("next")
        self.at("pair-passkey")

    def make_passkey(self) -> None:
        """Put the finger on the sensor."""
        self.tap("make-passkey")
        self.at("pair-confirm")

    def confirm(self, signer: Signer) -> None:
        """Read the 12 characters to an operator; where texts are on, type the code instead."""
        if signer.authority.settings.sends_sms:
            before = len(signer.texts())
            self.tap("send-code")
            self.wait_until(lambda: len(signer.texts()) > before)
            self.type(sms_code=signer.texts()[before].code)
            self.tap("confirm")
        else:
            signer.confirm(self.read("twelve"))
        self.at("requests")

    def pair(self, signer: Signer, *, camera: FakeCamera | None = None) -> None:
        """All of pairing."""
        self.begin_pairing(signer, camera=camera)
        self.sign_in(signer)
        self.make_passkey()
        self.confirm(signer)

    def pair_again(
        self, signer: Signer, envelope: Replacement, *, camera: FakeCamera, code: str
    ) -> None:
        """Pair with a cell that exists: by its recovery code, or without one by the password."""
        camera.hold_before_it(envelope.qr2)
        self.open()
        self.tap("pair", "scan")
        self.at("pair-password")
        self.type(login=signer.login, password=NEW_PASSWORD, recovery_code=code)
        self.tap("next")
        self.at("pair-passkey")
        self.make_passkey()
        self.confirm(signer)

    def save_recovery_code(self) -> str:
        """Have the only cell's code shown, and prove that it was written down."""
        self.room("recovery")
        return self.prove_recovery_code()

    def prove_recovery_code(self) -> str:
        """The same, on the cell's own screen."""
        self.tap("recovery-show")
        groups = self.read("recovery-code").split()
        self.tap("recovery-written")
        self.at("recovery-check")
        asked = self.page.locator("input[data-place]")
        expect(asked).to_have_count(3)
        self.tap("recovery-check")
        expect(self.see("error")).not_to_be_empty()
        for field in asked.all():
            field.fill(groups[int(field.get_attribute("data-place") or 0) - 1].lower())
        self.tap("recovery-check")
        self.at("done-saved")
        return "".join(groups)

    def open_request(self) -> Locator:
        """Open the first request of the list."""
        self.tap("request")
        return self.at("request")

    def open_asked(self, transaction: UUID) -> Locator:
        """Come from the list to that request."""
        self.open()
        self.page.locator(f"a[href*='{transaction}']").click()
        return self.at("request")

    def approve(self) -> None:
        """Approve what is shown."""
        self.tap("approve")
        self.at("done-approved")

    def certify(self, signer: Signer) -> None:
        """Give the first approval, and wait for the certificate."""
        self.open_request()
        self.approve()
        self.tap("to-requests")
        self.wait_until(lambda: signer.is_certified)

    def decisions(self) -> list[str | None]:
        """What the history says, newest first."""
        self.open("/#/history")
        self.at("history")
        return [entry.get_attribute("data-decision") for entry in self.see("entry").all()]

    # --- what else happens to it ----------------------------------------------

    def verify_user(self, *, verified: bool) -> None:
        """Say whether the authenticator recognises its user."""
        self.cdp.send(
            "WebAuthn.setUserVerified",
            {"authenticatorId": self.authenticator, "isUserVerified": verified},
        )

    def by_hand(self, script: str, *arguments: object) -> Any:  # noqa: ANN401  # whatever it returns
        """Do something with ``hand`` of ``by_hand.js``."""
        if not self.page.evaluate("'hand' in globalThis"):
            self.page.evaluate(BY_HAND)
        return self.page.evaluate(f"([...given]) => ({script})(...given)", list(arguments))

    def close(self) -> None:
        """Put it away."""
        self.context.close()


NewHandset = Callable[..., Handset]
"""Of the fixture ``new_handset``."""
