"""Rule by rule: when the SAM takes a new password without the old one."""

import msgspec
import pytest

from backend.errors import (
    MalformedMessage,
    NewPasswordRefused,
    RecordRefused,
    RequestRefused,
    WrongPassword,
)
from backend.sam.cells import CheckPassword, RemoveDevice, ResetPassword, SetPassword
from tests.world.clock import SettableClock
from tests.world.paired_cell import NAME, PairedCell, make_cell
from tests.world.paper_phone import PaperPhone, read
from tests.world.sam import ORIGIN, SamWorld

SESSION = bytes(range(32))
NEW = bytes(reversed(range(32)))


@pytest.fixture
def paired(world: SamWorld) -> PairedCell:
    cell = make_cell(world)
    cell.pair()
    return cell


def change(request: SetPassword, **members: object) -> SetPassword:
    return msgspec.structs.replace(request, **members)


def refused(world: SamWorld, request: SetPassword, *, rule: int) -> str:
    with pytest.raises(NewPasswordRefused) as caught:
        world.sam.set_password(request)
    assert caught.value.rule == rule
    return caught.value.reason


def test_a_new_password_opens_the_cell_and_the_sign_in(world: SamWorld, paired: PairedCell) -> None:
    seal = world.sam.set_password(paired.new_password_request(SESSION, NEW))

    asked = CheckPassword(signer=paired.signer, password_hash=NEW, verifier=seal.verifier, ask=None)
    assert world.sam.check_password(asked).proof is None
    record = world.sam._voice.verified_record(paired.record)
    opened = world.sam._passwords.open(seal.lock, record=record, password_hash=NEW)
    assert opened == paired.secret


def test_rule_1_refuses_after_use_by(
    world: SamWorld, paired: PairedCell, clock: SettableClock
) -> None:
    request = paired.new_password_request(SESSION, NEW)
    clock.advance(seconds=600)
    refused(world, request, rule=1)


def test_rule_1_refuses_another_kind_of_ask_and_what_is_none(
    world: SamWorld, paired: PairedCell
) -> None:
    """T-34: an approval of a further phone sets no password."""
    request = paired.new_password_request(SESSION, NEW)
    further = paired.further_request(PaperPhone())
    other = change(request, ask=further.ask, approval=further.approval, sealed=further.sealed)
    refused(world, other, rule=1)
    refused(world, change(request, ask=request.ask[:-8] + "AAAAAAAA"), rule=1)


def test_rule_2_refuses_other_and_older_records(world: SamWorld, paired: PairedCell) -> None:
    older = paired.record
    paired.record = world.sam.remove_device(RemoveDevice(record=older, kid=bytes(32))).record
    request = paired.new_password_request(SESSION, NEW)
    for record in (older, make_cell(world).record, older[:-8] + "AAAAAAAA"):
        refused(world, change(request, record=record), rule=2)


def test_rule_3_refuses_the_approval_of_another_ask_or_phone(
    world: SamWorld, paired: PairedCell
) -> None:
    request = paired.new_password_request(SESSION, NEW)
    other = paired.new_password_request(SESSION, NEW)
    stranger = PaperPhone()
    ask = read(request.ask, world.public_keys.ks)
    forged, sealed = stranger.approve(ask, paired.secret, number="42")
    refused(world, change(request, approval=other.approval, sealed=other.sealed), rule=3)
    refused(world, change(request, approval=forged, sealed=sealed), rule=3)


def test_rule_3_refuses_an_approval_without_the_number(world: SamWorld, paired: PairedCell) -> None:
    request = paired.new_password_request(SESSION, NEW)
    ask = read(request.ask, world.public_keys.ks)
    approval, sealed = paired.phone.approve(ask, paired.secret)
    refused(world, change(request, approval=approval, sealed=sealed), rule=3)


def test_rule_3_refuses_a_passkey_phone_without_its_assertion(world: SamWorld) -> None:
    cell = make_cell(world)
    cell.pair(app=ORIGIN)
    cell.phone.passkey = None
    assert "assertion" in refused(world, cell.new_password_request(SESSION, NEW), rule=3)


def test_rule_4_refuses_another_browser_than_the_one_that_began(
    world: SamWorld, paired: PairedCell
) -> None:
    """Who writes rows can put the signer's approval into his own session; not its secret."""
    request = paired.new_password_request(SESSION, NEW)
    refused(world, change(request, session=bytes(32)), rule=4)


def test_rule_5_refuses_another_seal(world: SamWorld, paired: PairedCell) -> None:
    request = paired.new_password_request(SESSION, NEW)
    refused(world, change(request, sealed=None), rule=5)
    refused(world, change(request, sealed=paired.new_password_request(SESSION, NEW).sealed), rule=5)


def test_rule_6_refuses_another_secret(world: SamWorld, paired: PairedCell) -> None:
    request = paired.new_password_request(SESSION, NEW)
    refused(world, change(request, blob=make_cell(world).made.blob), rule=6)


# --- the ask ----------------------------------------------------------------------


def test_a_new_password_is_asked_only_with_a_number(paired: PairedCell) -> None:
    fields = {
        "type": "set_password",
        "name": NAME,
        "begun_at": "2026-07-01T12:00:00Z",
        "session": "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU",
    }
    with pytest.raises(RequestRefused, match="number"):
        paired.open("set_password", fields=fields)


def test_without_a_phone_nobody_is_asked_for_a_new_password(world: SamWorld) -> None:
    with pytest.raises(RecordRefused, match="no phone"):
        make_cell(world).open_new_password(SESSION)


# --- an operator's reset ----------------------------------------------------------


def test_a_reset_password_is_known_again_and_opens_no_cell(
    world: SamWorld, paired: PairedCell
) -> None:
    reset = world.sam.reset_password(ResetPassword(signer=paired.signer, password_hash=NEW))

    asked = CheckPassword(
        signer=paired.signer, password_hash=NEW, verifier=reset.verifier, ask=None
    )
    assert world.sam.check_password(asked).proof is None
    with pytest.raises(WrongPassword):
        world.sam.check_password(msgspec.structs.replace(asked, password_hash=SESSION))
    assert paired.made.password is not None
    record = world.sam._voice.verified_record(paired.record)
    with pytest.raises(MalformedMessage):
        world.sam._passwords.open(paired.made.password.lock, record=record, password_hash=NEW)
