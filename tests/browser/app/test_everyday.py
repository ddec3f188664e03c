"""The app as it lies in the pocket: recovery code, no network, a new version, the end."""

import msgspec
from playwright.sync_api import expect

from tests.world.app_stage import AppStage, a_stage
from tests.world.handset import Handset, NewHandset
from tests.world.installation import Installation

CONTROLLED = """() => new Promise((done) => {
  const { serviceWorker } = navigator;
  const look = () => serviceWorker.controller && done();
  serviceWorker.addEventListener("controllerchange", look);
  look();
})"""
NEW_COLOR = "#7a1420"
OFFER = """async () => {
  dispatchEvent(new Event("beforeinstallprompt"));
  const { pairing } = await import("/store.js");
  await pairing(); // as the screen itself would, if it were drawn anew
  await new Promise(requestAnimationFrame);
}"""
"""The browser offers to install the app."""


def is_kept(handset: Handset) -> None:
    """Open the app, and wait until its worker keeps the files and stands before the page."""
    handset.open()
    handset.page.evaluate(CONTROLLED)


def test_the_recovery_code_is_shown_once_and_checked_by_three_groups(stage: AppStage) -> None:
    handset = stage.handset
    handset.save_recovery_code()
    handset.room("recovery")
    expect(handset.see("recovery-saved")).to_be_visible()
    expect(handset.see("recovery-show")).to_have_count(0)


def test_without_a_network_the_app_opens_and_says_so(stage: AppStage) -> None:
    handset = stage.handset
    is_kept(handset)
    handset.context.set_offline(True)
    handset.open()
    expect(handset.see("offline")).to_be_visible()
    handset.at("requests")
    handset.context.set_offline(False)
    expect(handset.see("offline")).to_have_count(0)


def test_a_new_version_is_offered_and_runs_once_it_is_taken(
    installation: Installation, new_handset: NewHandset
) -> None:
    """Also in the very first page, which was loaded before there was a worker."""
    handset, settings = new_handset(), installation.service.settings
    is_kept(handset)
    installation.serve_app(msgspec.structs.replace(settings, app_color=NEW_COLOR))
    try:
        handset.page.evaluate("navigator.serviceWorker.ready.then((kept) => kept.update())")
        handset.tap("update")
        colour = handset.page.locator('meta[name="theme-color"]')
        expect(colour).to_have_attribute("content", NEW_COLOR)
        handset.at("welcome")
    finally:
        installation.serve_app(settings)


def test_an_offer_to_install_is_shown_where_nothing_is_being_typed(
    new_handset: NewHandset,
) -> None:
    handset = new_handset()
    handset.open()
    handset.at("welcome")
    handset.page.evaluate(OFFER)
    expect(handset.see("install")).to_be_visible()
    handset.tap("pair")
    handset.type(envelope_code="7X448")
    handset.page.evaluate(OFFER)
    expect(handset.see("envelope-code")).to_have_value("7X448")


def test_a_phone_that_removes_itself_forgets_its_keys(
    installation: Installation, new_handset: NewHandset
) -> None:
    stage = a_stage(installation, new_handset())
    stage.handset.room("phones")
    stage.handset.tap("remove-this", "remove-yes")
    stage.handset.at("welcome")
    stage.handset.wait_until(lambda: not stage.signer.phones)
