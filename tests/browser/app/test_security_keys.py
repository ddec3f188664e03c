"""A security key beside the phone's own passkey: two authenticators of one browser.

A security key that is touched when another device is asked for ends the question, as real ones do:
so each test says who is touched.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from backend.model.tables import Approval, Cell, Record
from backend.protocol.approval import read_approval
from backend.protocol.encoding import b64u
from backend.protocol.record import RecordDevice, verify_record
from tests.world.app_stage import AppStage, a_stage
from tests.world.handset import AUTHENTICATOR, Handset, NewHandset
from tests.world.installation import Installation
from tests.world.looks import look_at
from tests.world.secrets_watch import extractable_keys

TOKEN = AUTHENTICATOR | {"transport": "usb", "hasResidentKey": False}
STORED = """async () => {
  const { cells } = await import("/store.js");
  return ((await cells())[0].keys.securityKeys ?? []).map(({ id, counts }) => ({ id, counts }));
}"""


@contextmanager
def plugged_in(handset: Handset, **changed: Any) -> Iterator[str]:  # noqa: ANN401  # options of CDP
    """A security key is there meanwhile; its name for the browser."""
    options = {"options": TOKEN | changed}
    name = handset.cdp.send("WebAuthn.addVirtualAuthenticator", options)["authenticatorId"]
    yield name
    handset.cdp.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": name})


@pytest.fixture
def token(stage: AppStage) -> Iterator[str]:
    """A security key with PRF, for one test."""
    with plugged_in(stage.handset) as name:
        yield name


def touched(handset: Handset, authenticator: str, *, yes: bool) -> None:
    """Whether its owner touches it when it asks."""
    given = {"authenticatorId": authenticator, "enabled": yes}
    handset.cdp.send("WebAuthn.setAutomaticPresenceSimulation", given)


def make_key(handset: Handset, token: str) -> None:
    """The first step, at which the security key alone is asked; the second waits."""
    handset.room("keys")
    handset.at("keys")
    # The phone's own passkey is excluded: if it were touched too, who is first would decide.
    touched(handset, handset.authenticator, yes=False)
    handset.tap("add-key")
    handset.at("confirm-key")
    touched(handset, handset.authenticator, yes=True)
    touched(handset, token, yes=False)


def device(stage: AppStage) -> RecordDevice:
    """The phone, as the newest record has it."""
    service = stage.installation.service
    newest = select(Record.record).join(
        Cell, (Cell.id == Record.cell_id) & (Cell.epoch == Record.epoch)
    )
    with service.sessions() as session:
        text = session.scalars(newest.where(Cell.id == stage.signer.cell)).one()
    return verify_record(text, expected_ks=service.public_keys.ks).devices[0]


def sign(stage: AppStage) -> str:
    """Sign something; the id of the passkey that answered."""
    asked = stage.ask()
    stage.handset.open_asked(asked.id)
    stage.handset.approve()
    with stage.installation.service.sessions() as session:
        kept = session.get_one(Approval, asked.id).approval
    claims = read_approval(kept, expected_device=device(stage))
    assert claims.webauthn is not None
    asked.collect()
    return b64u(claims.webauthn.id)


def test_a_security_key_opens_the_key_beside_the_phones_own_passkey_until_it_is_removed(
    stage: AppStage, token: str
) -> None:
    handset, own = stage.handset, stage.handset.authenticator
    handset.prf_outputs.clear()
    make_key(handset, token)
    look_at(handset.page, "app-confirm-key", lang="en")
    handset.tap("confirm-key")
    handset.at("keys")
    look_at(handset.page, "app-security-keys", lang="en")
    believed = device(stage)
    assert believed.webauthn is not None
    first, (key,) = b64u(believed.webauthn.id), believed.security_keys
    assert handset.page.evaluate(STORED) == [{"id": b64u(key.id), "counts": True}]

    touched(handset, token, yes=True)
    touched(handset, own, yes=False)
    assert sign(stage) == b64u(key.id)
    touched(handset, token, yes=False)
    touched(handset, own, yes=True)
    assert sign(stage) == first

    by_token, by_passkey = dict.fromkeys(handset.prf_outputs)
    assert handset.watch.leaks(handset.page, token=by_token, passkey=by_passkey) == []
    assert extractable_keys(handset.page) == []

    handset.room("keys")
    handset.tap("remove-key")
    expect(handset.see("keys")).to_have_count(0)
    assert device(stage).security_keys == ()
    assert handset.page.evaluate(STORED) == []
    assert sign(stage) == first


def test_a_security_key_that_the_phones_passkey_did_not_agree_to_is_not_added(
    installation: Installation, new_handset: NewHandset
) -> None:
    """A phone of its own: a sensor that has been failed may lock itself."""
    stage = a_stage(installation, new_handset())
    handset = stage.handset
    with plugged_in(handset) as token:
        make_key(handset, token)
        handset.verify_user(verified=False)
        handset.tap("confirm-key")
        handset.told("did not verify you")
    handset.verify_user(verified=True)
    assert device(stage).security_keys == ()
    handset.room("keys")
    handset.at("keys")
    assert handset.page.evaluate(STORED) == []


def test_a_security_key_without_prf_is_not_added(stage: AppStage) -> None:
    with plugged_in(stage.handset, hasPrf=False):
        stage.handset.room("keys")
        stage.handset.at("keys")
        touched(stage.handset, stage.handset.authenticator, yes=False)
        stage.handset.tap("add-key")
        stage.handset.told("cannot lock keys")
        touched(stage.handset, stage.handset.authenticator, yes=True)
    assert device(stage).security_keys == ()
