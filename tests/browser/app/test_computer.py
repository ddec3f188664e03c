"""The app on a computer: it says so, the signer reads so, and the authority may refuse it."""

import pytest

from tests.world.handset import Handset, NewHandset
from tests.world.installation import Installation
from tests.world.looks import look_at


@pytest.fixture
def computer(new_handset: NewHandset) -> Handset:
    """This machine's own Chromium, as it is."""
    return new_handset(agent=None)


def listed(handset: Handset) -> str:
    """What the app's list of phones says."""
    handset.room("phones")
    handset.at("phones")
    return handset.read("phones")


def test_a_computer_is_paired_as_one(installation: Installation, computer: Handset) -> None:
    computer.pair(installation.register())
    assert listed(computer).startswith("Computer")


def test_where_computers_are_refused_the_envelope_pairs_a_phone_as_a_phone(
    installation: Installation, computer: Handset, new_handset: NewHandset
) -> None:
    signer = installation.register(desktop=False)
    computer.begin_pairing(signer)
    computer.sign_in(signer)
    computer.tap("make-passkey")
    computer.told("does not allow the app on a computer")
    look_at(computer.page, "app-no-computer", lang="en")

    phone = new_handset()
    phone.pair(signer)
    assert listed(phone).startswith("Web app")
