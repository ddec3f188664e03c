"""A signer's browser as relying parties meet it: an address goes in, an address comes out."""

from tests.world.browser import Browser
from tests.world.oauth_client import sign_in
from tests.world.service import Service


def browses(service: Service, address: str) -> str:
    """The signer signs in, and approves what the phone shows; gives where the browser ends."""
    browser = Browser(service)
    browser.open(address)
    shown = sign_in(browser)
    phone = service.phone()
    asked = phone.pending().transactions
    for listed in asked:
        phone.approve(phone.show(listed.id))
    return (browser.again() if asked else shown).left_for
