"""A phone is paired in a real browser: by camera or by hand, on a good network and on bad ones."""

import pytest
from sqlalchemy import select

from backend.model.tables import Device
from tests.world.bad_network import Lost, bad_network
from tests.world.handset import Handset, NewHandset
from tests.world.installation import Installation, Signer


@pytest.fixture
def signer(installation: Installation) -> Signer:
    return installation.register()


@pytest.fixture
def handset(new_handset: NewHandset) -> Handset:
    return new_handset()


def phones(signer: Signer) -> int:
    with signer.installation.service.sessions() as session:
        return len(session.scalars(select(Device.kid).where(Device.cell_id == signer.cell)).all())


def test_who_has_no_camera_types_the_code_as_people_write(handset: Handset, signer: Signer) -> None:
    code = signer.envelope.qr2.partition("s=")[2].lower().replace("1", "l").replace("0", "o")
    handset.open()
    handset.tap("pair")
    handset.type(envelope_code=f" {code[:5]}-{code[5:10]}-{code[10:]} ")
    handset.tap("next")
    handset.at("pair-password")
    handset.sign_in(signer)
    handset.make_passkey()
    handset.confirm(signer)
    assert phones(signer) == 1


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
    assert phones(signer) == 1
    handset.certify(signer)


def test_a_wrong_password_costs_a_try_and_not_the_envelope(
    handset: Handset, signer: Signer
) -> None:
    handset.begin_pairing(signer)
    handset.type(login=signer.login, password="wrong", new_password="зелёный чайник 7")
    handset.tap("next")
    handset.page.get_by_test_id("error").filter(has_text="password").wait_for()
    handset.sign_in(signer)


def test_without_a_verified_user_there_is_no_passkey(handset: Handset, signer: Signer) -> None:
    handset.begin_pairing(signer)
    handset.sign_in(signer)
    handset.verify_user(verified=False)
    handset.tap("make-passkey")
    handset.page.get_by_test_id("error").filter(has_text="did not verify you").wait_for()
    assert phones(signer) == 0
    handset.new_authenticator()  # the old one has locked itself, as sensors do
    handset.make_passkey()


def test_a_used_envelope_pairs_no_second_phone(
    handset: Handset, signer: Signer, new_handset: NewHandset
) -> None:
    handset.pair(signer)
    second = new_handset()
    second.begin_pairing(signer)
    second.type(login=signer.login, password="зелёный чайник 7", new_password="другой чайник 8")
    second.tap("next")
    second.page.get_by_test_id("error").filter(has_text=".").wait_for()
    assert phones(signer) == 1
