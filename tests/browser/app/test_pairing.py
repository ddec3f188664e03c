"""A phone is paired in a real browser: by camera or by hand, on a good network and on bad ones."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.world.authority import Signer
from tests.world.bad_network import Lost, bad_network
from tests.world.handset import Handset, NewHandset
from tests.world.installation import Installation, running_installation
from tests.world.looks import look_at
from tests.world.service import SMS_ON

pytestmark = pytest.mark.sms


@pytest.fixture(scope="module")
def settings() -> dict[str, object]:
    """With the code, there is one call more to lose."""
    return dict(SMS_ON)


@pytest.fixture
def signer(installation: Installation) -> Signer:
    return installation.register()


@pytest.fixture
def handset(new_handset: NewHandset) -> Handset:
    return new_handset()


def test_who_has_no_camera_types_the_code_as_people_write(handset: Handset, signer: Signer) -> None:
    code = signer.qr2_code.lower().replace("1", "l").replace("0", "o")
    handset.open()
    handset.tap("pair")
    handset.type(envelope_code=f" {code[:5]}-{code[5:10]}-{code[10:]} ")
    handset.tap("next")
    handset.at("pair-password")
    handset.sign_in(signer)
    handset.make_passkey()
    handset.confirm(signer)
    assert signer.phones == 1


def test_where_there_is_no_number_an_operator_confirms_by_the_12_characters(
    handset: Handset, installation: Installation
) -> None:
    signer = installation.register(number=None)
    handset.begin_pairing(signer)
    handset.sign_in(signer)
    handset.make_passkey()
    twelve = handset.read("twelve")
    expect(handset.see("send-code")).to_have_count(0)
    look_at(handset.page, "app-operator", lang="en")
    assert signer.phones == 0
    signer.confirm(twelve)
    handset.at("requests")
    assert signer.phones == 1
    handset.certify(signer)


@pytest.mark.parametrize("loses", list(Lost), ids=lambda lost: lost.name.lower())
def test_a_bad_network_never_burns_the_envelope(
    handset: Handset, signer: Signer, installation: Installation, loses: Lost
) -> None:
    """Of each call the first attempt is lost, on the way there or on the way back."""
    settings = installation.service.settings
    servers = (settings.authorization_server_url, settings.mobile_api_url)
    handset.begin_pairing(signer)
    with bad_network(handset.context, *servers, loses=loses) as lost:
        handset.sign_in(signer)
        handset.make_passkey()
        handset.confirm(signer)
    assert {
        "POST /pairing/tickets",
        "GET /pairing",
        "PUT /pairing/enrolment",
        "POST /pairing/code",
        "POST /pairing/confirmation",
    } <= lost.keys()
    assert signer.phones == 1
    handset.certify(signer)


def test_a_wrong_password_costs_a_try_and_not_the_envelope(
    handset: Handset, signer: Signer
) -> None:
    handset.begin_pairing(signer)
    handset.type(login=signer.login, password="wrong", new_password="зелёный чайник 7")
    handset.tap("next")
    handset.told("password")
    handset.sign_in(signer)


def test_without_a_verified_user_there_is_no_passkey(handset: Handset, signer: Signer) -> None:
    handset.begin_pairing(signer)
    handset.sign_in(signer)
    handset.verify_user(verified=False)
    handset.tap("make-passkey")
    handset.told("did not verify you")
    assert signer.phones == 0
    handset.new_authenticator()  # the old one has locked itself, as sensors do
    handset.make_passkey()


def test_a_passkey_without_prf_pairs_nothing_where_the_authority_demands_it(
    new_handset: NewHandset, signer: Signer
) -> None:
    handset = new_handset(hasPrf=False)
    handset.begin_pairing(signer)
    handset.sign_in(signer)
    handset.tap("make-passkey")
    handset.told("PRF")
    assert signer.phones == 0


def test_a_passkey_without_prf_is_labelled_where_the_authority_allows_it(
    tmp_path: Path, installation: Installation, chromium: Browser
) -> None:
    with running_installation(tmp_path, installation.push, app_software_unlock=True) as lenient:
        handset = Handset(chromium, lenient, hasPrf=False)
        signer = lenient.register()
        handset.pair(signer)
        handset.certify(signer)
        handset.tap("tab-settings")
        expect(handset.see("software")).to_be_visible()
        handset.close()


def test_a_used_envelope_pairs_no_second_phone(
    handset: Handset, signer: Signer, new_handset: NewHandset
) -> None:
    handset.pair(signer)
    second = new_handset()
    second.begin_pairing(signer)
    second.type(login=signer.login, password="зелёный чайник 7", new_password="другой чайник 8")
    second.tap("next")
    second.told(".")
    assert signer.phones == 1
