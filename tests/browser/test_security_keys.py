"""A security key beside the phone's own passkey, in Chromium with two virtual authenticators."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select

from backend.model.tables import Approval, Cell, Record
from backend.protocol.approval import read_approval
from backend.protocol.encoding import b64u
from backend.protocol.record import RecordDevice, verify_record
from tests.world.chromium import assert_accessible, beside
from tests.world.phone_app import PRF_PASSKEYS, Person, a_person, serving_app
from tests.world.service import Service, hashes

TOKEN = PRF_PASSKEYS | {"transport": "usb", "hasResidentKey": False}
STORED = """async id => {
  const open = indexedDB.open("keyval-store");
  await new Promise(done => (open.onsuccess = done));
  const get = open.result.transaction("keyval").objectStore("keyval").get("cells");
  await new Promise(done => (get.onsuccess = done));
  return (get.result[0].keys.securityKeys ?? []).map(({ id, counts }) => ({ id, counts }));
}"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving_app(tmp_path_factory.mktemp("app")) as opened:
        yield opened


@pytest.fixture(scope="module")
def owner(service: Service, chromium: Browser) -> Iterator[Person]:
    """A signer with a certificate."""
    context = chromium.new_context(locale="en-GB")
    person = a_person(service, context)
    person.pair(service.register())
    person.certify()
    yield person
    context.close()


@contextmanager
def plugged_in(person: Person, **changed: object) -> Iterator[str]:
    """A security key is there meanwhile; its name for the browser."""
    options = {"options": TOKEN | changed}
    added = person.devtools.send("WebAuthn.addVirtualAuthenticator", options)
    yield added["authenticatorId"]
    gone = {"authenticatorId": added["authenticatorId"]}
    person.devtools.send("WebAuthn.removeVirtualAuthenticator", gone)


def touched(person: Person, authenticator: str, *, yes: bool) -> None:
    """Whether its owner touches it when it asks."""
    person.devtools.send(
        "WebAuthn.setAutomaticPresenceSimulation",
        {"authenticatorId": authenticator, "enabled": yes},
    )


def open_keys(person: Person) -> None:
    person.open("/#/settings")
    person.tap("to-keys")
    person.screen("security-keys")


def make_key(person: Person, token: str) -> None:
    """The first step, at which the security key alone is touched; the second waits."""
    open_keys(person)
    person.tap("add-key")
    person.screen("confirm-key")
    assert_accessible(person.page)
    touched(person, token, yes=False)


def add_key(person: Person, token: str) -> None:
    make_key(person, token)
    person.tap("confirm-key")
    person.screen("security-keys")
    touched(person, token, yes=True)


def device(service: Service) -> RecordDevice:
    with service.sessions() as session:
        text = session.scalars(
            select(Record.record).join(
                Cell, (Cell.id == Record.cell_id) & (Cell.epoch == Record.epoch)
            )
        ).one()
    return verify_record(text, expected_ks=service.public_keys.ks).devices[0]


def approve(person: Person) -> str:
    """Approve a request; the id of the passkey that answered."""
    service = person.service
    asked = beside(
        lambda: service.ask(
            *hashes(1), party=service.add_relying_party(f"shop {len(person.asked_for)}")
        )
    )
    person.open(f"/?tx={asked.id}")
    person.tap("approve")
    person.screen("done-approved")
    with service.sessions() as session:
        kept = session.get_one(Approval, asked.id).approval
    claims = read_approval(kept, expected_device=device(service))
    assert claims.webauthn is not None
    return b64u(claims.webauthn.id)


@pytest.fixture
def token(owner: Person) -> Iterator[str]:
    """A security key with PRF, for one test."""
    with plugged_in(owner) as name:
        yield name


def test_a_security_key_opens_the_key_beside_the_phones_own_passkey_until_it_is_removed(
    service: Service, owner: Person, token: str
) -> None:
    add_key(owner, token)
    expect(owner.see("keys")).to_contain_text("Security key")
    assert_accessible(owner.page)
    believed = device(service)
    assert believed.webauthn is not None
    (key,) = believed.security_keys
    assert owner.page.evaluate(STORED) == [{"id": b64u(key.id), "counts": True}]

    touched(owner, owner.authenticator, yes=False)
    assert approve(owner) == b64u(key.id)
    touched(owner, token, yes=False)
    touched(owner, owner.authenticator, yes=True)
    assert approve(owner) == b64u(believed.webauthn.id)

    open_keys(owner)
    owner.tap("remove-key")
    expect(owner.page.get_by_test_id("keys")).to_have_count(0)
    assert device(service).security_keys == ()
    assert owner.page.evaluate(STORED) == []
    assert approve(owner) == b64u(believed.webauthn.id)
    assert owner.failures == []


def test_a_security_key_that_the_phones_passkey_did_not_agree_to_is_not_added(
    service: Service, owner: Person, token: str
) -> None:
    make_key(owner, token)
    owner.verify_user(yes=False)
    owner.tap("confirm-key")
    expect(owner.see("error")).to_contain_text("did not verify you")
    owner.verify_user(yes=True)
    assert device(service).security_keys == ()
    open_keys(owner)
    expect(owner.page.get_by_test_id("keys")).to_have_count(0)


def test_a_security_key_without_prf_is_not_added(service: Service, owner: Person) -> None:
    with plugged_in(owner, hasPrf=False):
        open_keys(owner)
        owner.tap("add-key")
        expect(owner.see("error")).to_contain_text("cannot lock keys")
    assert device(service).security_keys == ()
