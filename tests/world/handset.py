"""A phone with our app: a browser context of its own, with a passkey's authenticator that has PRF.

What the authenticator gives the page by PRF is told to the test, by no way that the page could use.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, CDPSession, Locator, Page

from tests.world.chromium import PHONE
from tests.world.fake_camera import FakeCamera
from tests.world.installation import Installation, Signer
from tests.world.secrets_watch import Watch
from tests.world.service import NEW_PASSWORD

LONGEST_MS: Final = 60_000
LOOK_MS: Final = 20
BY_HAND: Final = Path(__file__).with_name("by_hand.js").read_text("utf-8")
TELL_PRF: Final = """
for (const name of ["create", "get"]) {
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
        installation: Installation,
        *,
        lang: str = "en-GB",
        size: tuple[int, int] = PHONE,
        dark: bool = False,
    ) -> None:
        self.installation = installation
        width, height = size
        self.context = browser.new_context(
            locale=lang,
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
        )
        self.context.set_default_timeout(LONGEST_MS)
        origin = installation.app_url
        self.context.grant_permissions(["camera", "notifications"], origin=origin)
        self.watch = Watch(self.context, installation.tap)
        self.prf_outputs: list[bytes] = []
        self.context.expose_binding(
            "tellPrf", lambda _source, output: self.prf_outputs.append(bytes(output))
        )
        self.context.add_init_script(TELL_PRF)
        self.page: Page = self.context.new_page()
        self.cdp: CDPSession = self.context.new_cdp_session(self.page)
        self.cdp.send("WebAuthn.enable")
        self._authenticator = ""
        self.new_authenticator()

    def new_authenticator(self) -> None:
        """Another in the place of the one it has: without passkeys, and with all tries left."""
        if self._authenticator:
            old = {"authenticatorId": self._authenticator}
            self.cdp.send("WebAuthn.removeVirtualAuthenticator", old)
        added = self.cdp.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
        self._authenticator = added["authenticatorId"]

    def restart(self) -> None:
        """Switch it off and on: nothing is left of the page, the authenticator keeps its keys."""
        self.page.goto("about:blank")
        self.open()

    def open(self, path: str = "/") -> Page:
        """Open the app there."""
        self.page.goto(self.installation.app_url + path)
        return self.page

    # --- what its owner does --------------------------------------------------

    def at(self, screen: str) -> Locator:
        """Wait for a screen of the app, by its name."""
        found = self.page.locator(f"section[data-screen='{screen}']")
        found.wait_for()
        return found

    def tap(self, what: str) -> None:
        """Tap on something, by its test id."""
        self.page.get_by_test_id(what).first.click()

    def type(self, **fields: str) -> None:
        """Type into fields, by their test ids with ``_`` for ``-``."""
        for name, text in fields.items():
            self.page.get_by_test_id(name.replace("_", "-")).fill(text)

    def read(self, what: str) -> str:
        """What stands there, by its test id."""
        return self.page.get_by_test_id(what).inner_text()

    def wait_until(self, claim: Callable[[], bool]) -> None:
        """Wait until something is so, while the browser goes on: its events come meanwhile."""
        while not claim():
            self.page.wait_for_timeout(LOOK_MS)

    def begin_pairing(self, signer: Signer, *, camera: FakeCamera | None = None) -> None:
        """Open the app, and give it the envelope's code by camera or by hand."""
        self.open()
        self.tap("pair")
        self.at("pair-code")
        if camera:
            camera.hold_before_it(signer.envelope.qr2)
            self.tap("scan")
        else:
            self.type(envelope_code=signer.envelope.qr2.partition("s=")[2])
            self.tap("next")
        self.at("pair-password")

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
        """Have the code sent, and type it."""
        before = len(signer.texts())
        self.tap("send-code")
        self.wait_until(lambda: len(signer.texts()) > before)
        self.type(sms_code=signer.texts()[before].code)
        self.tap("confirm")
        self.at("requests")

    def pair(self, signer: Signer, *, camera: FakeCamera | None = None) -> None:
        """All of pairing."""
        self.begin_pairing(signer, camera=camera)
        self.sign_in(signer)
        self.make_passkey()
        self.confirm(signer)

    def open_request(self) -> Locator:
        """Open the first request of the list."""
        self.tap("request")
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

    # --- what else happens to it ----------------------------------------------

    def verify_user(self, *, verified: bool) -> None:
        """Say whether the authenticator recognises its user."""
        self.cdp.send(
            "WebAuthn.setUserVerified",
            {"authenticatorId": self._authenticator, "isUserVerified": verified},
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
