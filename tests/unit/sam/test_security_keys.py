"""Rule by rule: what becomes a phone's security key, and what it opens then (decision 24)."""

from typing import Any

import msgspec
import pytest

from backend.errors import DoorRefused, RecordRefused, SecurityKeyRefused
from backend.protocol.encoding import b64u, unb64u
from backend.protocol.record import CellRecord, record_hash
from backend.sam.cells import AddSecurityKey, RemoveDevice, RemoveSecurityKey
from backend.virtual_phone import answers, authenticator
from tests.unit.sam.test_door import evidence
from tests.world.paired_cell import PairedCell, ready_cell
from tests.world.paper_phone import PaperPhone
from tests.world.sam import ORIGIN, SamWorld


@pytest.fixture
def browser(world: SamWorld) -> PairedCell:
    """A cell whose phone has a passkey."""
    return ready_cell(world, app=ORIGIN)


def written(message: authenticator.Assertion | authenticator.Registration) -> dict[str, Any]:
    members: dict[str, Any] = msgspec.to_builtins(message)
    return members


def message_of(
    cell: PairedCell, key: authenticator.Passkey, *, by: authenticator.Passkey | None = None
) -> str:
    """What the phone says of a security key, to which ``by`` agreed, else its own passkey."""
    record, kid = record_hash(cell.record), cell.phone.kid
    challenge = answers.security_key_challenge(record=record, kid=kid)
    registration = authenticator.register(key, challenge=challenge)
    assertion, _ = authenticator.get(key, challenge=challenge, salt=bytes(32))
    agreed = answers.consent_challenge(
        record=record, kid=kid, attestation_object=unb64u(registration.attestation_object)
    )
    consent, _ = authenticator.get(
        by or cell.phone.passkey or key, challenge=agreed, salt=bytes(32)
    )
    return answers.security_key(
        key=cell.phone.keys.approval,
        record=record,
        webauthn={"registration": written(registration), "assertion": written(assertion)},
        consent=written(consent),
    )


def made(
    cell: PairedCell, *, by: authenticator.Passkey | None = None, app: str = ORIGIN
) -> tuple[authenticator.Passkey, str]:
    """A new security key, and that message."""
    key, _ = authenticator.create(app=app, challenge=bytes(32))
    return key, message_of(cell, key, by=by)


def add(world: SamWorld, cell: PairedCell, **given: Any) -> authenticator.Passkey:  # noqa: ANN401  # of made
    """The SAM believes another security key."""
    key, message = made(cell, **given)
    before = world.sam._voice.verified_record(cell.record)
    added = world.sam.add_security_key(AddSecurityKey(record=cell.record, message=message))
    assert added.epoch == before.epoch + 1
    cell.record = added.record
    return key


def refused(world: SamWorld, record: str, message: str, *, rule: int) -> str:
    with pytest.raises(SecurityKeyRefused) as caught:
        world.sam.add_security_key(AddSecurityKey(record=record, message=message))
    assert caught.value.rule == rule
    return caught.value.reason


def ids(world: SamWorld, cell: PairedCell) -> list[str]:
    record: CellRecord = world.sam._voice.verified_record(cell.record)
    return [b64u(key.id) for key in record.devices[0].security_keys]


def test_with_a_security_key_the_phone_approves_and_so_it_does_with_its_passkey(
    world: SamWorld, browser: PairedCell
) -> None:
    first, key = browser.phone.passkey, add(world, browser)
    for used in (key, first):
        browser.phone.passkey = used
        assert world.sam.release(evidence(browser)).signatures
    assert ids(world, browser) == [key.id]


def test_a_key_that_nobody_agreed_to_opens_no_door(world: SamWorld, browser: PairedCell) -> None:
    browser.phone.passkey, _ = made(browser)
    with pytest.raises(DoorRefused, match="another passkey") as caught:
        world.sam.release(evidence(browser))
    assert caught.value.rule == 4


def test_a_security_key_agrees_to_the_next_one(world: SamWorld, browser: PairedCell) -> None:
    first = add(world, browser)
    second = add(world, browser, by=first)
    assert ids(world, browser) == [first.id, second.id]


def test_a_removed_security_key_opens_no_door(world: SamWorld, browser: PairedCell) -> None:
    first, second = add(world, browser), add(world, browser)
    request = RemoveSecurityKey(record=browser.record, kid=browser.phone.kid, id=unb64u(first.id))
    browser.record = world.sam.remove_security_key(request).record
    assert ids(world, browser) == [second.id]
    browser.phone.passkey = first
    with pytest.raises(DoorRefused) as caught:
        world.sam.release(evidence(browser))
    assert caught.value.rule == 4


def test_another_phones_security_keys_stay(world: SamWorld, browser: PairedCell) -> None:
    other = PaperPhone()
    enrolled = world.sam.enrol(browser.further_request(other, app=ORIGIN))
    browser.record = enrolled.record
    key = add(world, browser)
    record = world.sam._voice.verified_record(browser.record)
    assert [len(device.security_keys) for device in record.devices] == [1, 0]
    assert b64u(record.devices[0].security_keys[0].id) == key.id
    assert record.devices[1].kid == other.kid


def test_rule_1_refuses_a_record_that_is_not_ours(world: SamWorld, browser: PairedCell) -> None:
    _, message = made(browser)
    refused(world, browser.record[:-8] + "AAAAAAAA", message, rule=1)


def test_rule_2_refuses_what_is_no_such_message(world: SamWorld, browser: PairedCell) -> None:
    _, message = made(browser)
    refused(world, browser.record, message[:-8] + "AAAAAAAA", rule=2)
    refused(world, browser.record, browser.record, rule=2)


def test_rule_2_refuses_a_phone_that_is_not_of_the_record(
    world: SamWorld, browser: PairedCell
) -> None:
    _, message = made(browser)
    gone = world.sam.remove_device(RemoveDevice(record=browser.record, kid=browser.phone.kid))
    refused(world, gone.record, message, rule=2)


def test_rule_2_refuses_a_phone_whose_kind_the_policy_refuses(
    world: SamWorld, browser: PairedCell
) -> None:
    voice = world.sam._voice  # KS in our own hand: no call tightens a policy yet
    record = voice.verified_record(browser.record)
    caps = msgspec.structs.replace(record.policy.caps, kinds=("native",))
    policy = msgspec.structs.replace(record.policy, caps=caps)
    browser.record = voice.record(msgspec.structs.replace(record, policy=policy))
    _, message = made(browser)
    assert "kind pwa" in refused(world, browser.record, message, rule=2)


def test_rule_2_lets_a_message_count_once(world: SamWorld, browser: PairedCell) -> None:
    """Also after the key was removed: an old consent brings nothing back."""
    key, message = made(browser)
    added = world.sam.add_security_key(AddSecurityKey(record=browser.record, message=message))
    assert "another record" in refused(world, added.record, message, rule=2)
    request = RemoveSecurityKey(record=added.record, kid=browser.phone.kid, id=unb64u(key.id))
    removed = world.sam.remove_security_key(request)
    refused(world, removed.record, message, rule=2)


def test_rule_3_refuses_a_key_that_agrees_to_itself(world: SamWorld, browser: PairedCell) -> None:
    browser.phone.passkey = None
    _, message = made(browser)
    refused(world, browser.record, message, rule=3)


def test_rule_3_refuses_another_phones_passkey(world: SamWorld, browser: PairedCell) -> None:
    other = ready_cell(world, app=ORIGIN).phone.passkey
    _, message = made(browser, by=other)
    refused(world, browser.record, message, rule=3)


def test_rule_3_refuses_a_phone_without_passkeys(world: SamWorld, cell: PairedCell) -> None:
    _, message = made(cell)
    assert "passkey" in refused(world, cell.record, message, rule=3)


def test_rule_4_refuses_a_key_of_another_origin(world: SamWorld, browser: PairedCell) -> None:
    _, message = made(browser, app="http://localhost:9999")
    refused(world, browser.record, message, rule=4)


@pytest.mark.parametrize("same", ["id", "key"])
def test_rule_4_refuses_a_key_that_the_record_knows(
    world: SamWorld, browser: PairedCell, same: str
) -> None:
    voice = world.sam._voice  # KS in our own hand: so another phone has a half of the new key
    key, message = made(browser)
    record = voice.verified_record(browser.record)
    new = voice.verified_record(add_to(world, browser.record, message)).devices[0].security_keys[0]
    other = PaperPhone()
    enrolled = world.sam.enrol(browser.further_request(other, app=ORIGIN)).record
    first, second = voice.verified_record(enrolled).devices
    assert second.webauthn is not None
    passkey = msgspec.structs.replace(second.webauthn, **{same: getattr(new, same)})
    planted = msgspec.structs.replace(
        record, devices=(first, msgspec.structs.replace(second, webauthn=passkey))
    )
    browser.record = voice.record(planted)
    assert b64u(new.id) == key.id
    assert "known already" in refused(world, browser.record, message_of(browser, key), rule=4)


def add_to(world: SamWorld, record: str, message: str) -> str:
    return world.sam.add_security_key(AddSecurityKey(record=record, message=message)).record


def test_rule_4_refuses_one_key_too_many(world: SamWorld, browser: PairedCell) -> None:
    for _ in range(3):
        add(world, browser)
    _, message = made(browser)
    assert "at most 3" in refused(world, browser.record, message, rule=4)


def test_from_no_phone_of_the_record_nothing_is_removed(
    world: SamWorld, browser: PairedCell
) -> None:
    with pytest.raises(RecordRefused):
        world.sam.remove_security_key(
            RemoveSecurityKey(record=browser.record, kid=bytes(32), id=b"1")
        )
    with pytest.raises(RecordRefused):
        world.sam.remove_security_key(
            RemoveSecurityKey(record=browser.record[:-8], kid=browser.phone.kid, id=b"1")
        )
