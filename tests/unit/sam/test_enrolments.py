"""Rule by rule: which phones the SAM believes."""

import hashlib

import msgspec
import pytest

from backend.errors import EnrolmentRefused, RecordRefused, TooManyTries, WrongCode
from backend.protocol.enrolment import twelve_characters
from backend.protocol.record import Caps, Policy, verify_record
from backend.protocol.sms import open_sms
from backend.sam.cells import Enrol, OperatorWord, RemoveDevice, SendPairingCode
from backend.sam.enrolments import MOST_DEVICES
from tests.world.clock import SettableClock
from tests.world.paired_cell import BY_CODE, NUMBER, PairedCell, make_cell, ready_cell
from tests.world.paper_phone import PaperPhone, read
from tests.world.sam import ORIGIN, SamWorld

pytestmark = pytest.mark.sms

BOTH = Policy(
    methods=("app",),
    caps=Caps(multisign=10, kinds=("virtual",), confirm=("sms", "operator")),
)


@pytest.fixture
def new_cell(world: SamWorld) -> PairedCell:
    return make_cell(world, policy=BY_CODE)


def change(request: Enrol, **members: object) -> Enrol:
    """The same request with other members."""
    return msgspec.structs.replace(request, **members)


def refused(world: SamWorld, request: Enrol, *, rule: int) -> str:
    """The reason for which the phone is not believed, by that rule."""
    with pytest.raises(EnrolmentRefused) as caught:
        world.sam.enrol(request)
    assert caught.value.rule == rule
    return caught.value.reason


def test_a_believed_phone_stands_in_the_next_epoch_and_can_open_its_lock(
    world: SamWorld, new_cell: PairedCell
) -> None:
    enrolled = world.sam.enrol(new_cell.enrol_request())
    record = verify_record(enrolled.record, expected_ks=world.public_keys.ks)
    (device,) = record.devices
    assert (record.epoch, record.confirmed) == (2, False)
    assert (bytes(device.kid), device.uv, device.confirmed_by) == (
        new_cell.phone.kid,
        "self_asserted",
        ("sms",),
    )
    assert new_cell.phone.secret_in_lock(enrolled.device_lock) == new_cell.secret
    request_key = new_cell.phone.keys.public().request
    assert (enrolled.epoch, enrolled.kid, enrolled.request_kid, enrolled.kind) == (
        2,
        new_cell.phone.kid,
        request_key.thumbprint(),
        "virtual",
    )


def test_a_passkey_phone_is_believed_with_its_passkey(
    world: SamWorld, new_cell: PairedCell
) -> None:
    enrolled = world.sam.enrol(new_cell.enrol_request(app=ORIGIN))
    (device,) = verify_record(enrolled.record, expected_ks=world.public_keys.ks).devices
    assert device.uv == "webauthn"
    assert device.webauthn is not None
    assert device.webauthn.origin == ORIGIN


# --- (1), (2) ask and record ------------------------------------------------------


def test_rule_1_refuses_after_use_by(
    world: SamWorld, new_cell: PairedCell, clock: SettableClock
) -> None:
    request = new_cell.enrol_request()
    clock.advance(seconds=600)
    refused(world, request, rule=1)


def test_rule_1_refuses_an_ask_to_sign(world: SamWorld, cell: PairedCell) -> None:
    request = make_cell(world, policy=BY_CODE).enrol_request()
    ask = cell.open_signing(hashlib.sha256(b"1").digest()).ask
    refused(world, change(request, ask=ask), rule=1)


def test_rule_1_refuses_a_changed_ask(world: SamWorld, new_cell: PairedCell) -> None:
    request = new_cell.enrol_request()
    refused(world, change(request, ask=request.ask[:-8] + "AAAAAAAA"), rule=1)


def test_rule_2_refuses_another_cells_record(world: SamWorld, new_cell: PairedCell) -> None:
    refused(
        world,
        change(new_cell.enrol_request(), record=make_cell(world, policy=BY_CODE).record),
        rule=2,
    )


def test_rule_2_refuses_a_record_below_the_asks_epoch(
    world: SamWorld, new_cell: PairedCell
) -> None:
    older = new_cell.record
    new_cell.record = world.sam.remove_device(RemoveDevice(record=older, kid=bytes(32))).record
    assert "older" in refused(world, change(new_cell.enrol_request(), record=older), rule=2)


def test_rule_2_refuses_a_record_that_is_not_ours(world: SamWorld, new_cell: PairedCell) -> None:
    record = new_cell.record[:-8] + "AAAAAAAA"
    refused(world, change(new_cell.enrol_request(), record=record), rule=2)


def test_rule_2_refuses_one_phone_too_many(world: SamWorld, new_cell: PairedCell) -> None:
    for _ in range(MOST_DEVICES):
        new_cell.phone = PaperPhone()
        new_cell.pair()
    new_cell.phone = PaperPhone()
    with pytest.raises(EnrolmentRefused, match="at most") as caught:
        new_cell.enrol_request()
    assert caught.value.rule == 2


# --- (3), (4), (5) the phone ------------------------------------------------------


def test_rule_3_refuses_a_changed_enrolment(world: SamWorld, new_cell: PairedCell) -> None:
    request = new_cell.enrol_request()
    refused(world, change(request, enrolment=request.enrolment[:-8] + "AAAAAAAA"), rule=3)


def test_rule_3_refuses_a_kind_that_policy_does_not_allow(world: SamWorld) -> None:
    cell = make_cell(world, policy=BOTH)
    with pytest.raises(EnrolmentRefused, match="pwa") as caught:
        cell.enrol_request(app=ORIGIN)
    assert caught.value.rule == 3


def test_rule_3_refuses_a_computer_where_the_policy_does(
    world: SamWorld, new_cell: PairedCell
) -> None:
    """It is a browser like another; its own word makes the difference."""
    new_cell.phone.browser = "desktop"
    with pytest.raises(EnrolmentRefused, match="kind desktop") as caught:
        new_cell.enrol_request(app=ORIGIN)
    assert caught.value.rule == 3
    new_cell.phone.browser = "pwa"
    new_cell.pair(app=ORIGIN)


def test_a_computers_browser_is_believed_by_the_rules_of_a_phones(world: SamWorld) -> None:
    caps = msgspec.structs.replace(BY_CODE.caps, kinds=("desktop",))
    cell = make_cell(world, policy=msgspec.structs.replace(BY_CODE, caps=caps))
    cell.phone.browser = "desktop"
    with pytest.raises(EnrolmentRefused) as caught:
        cell.enrol_request(app="http://localhost:9999")
    assert caught.value.rule == 5
    cell.pair(app=ORIGIN)
    device = verify_record(cell.record, expected_ks=world.public_keys.ks).devices[0]
    assert (device.kind, device.uv) == ("desktop", "webauthn")
    assert device.webauthn is not None


def test_rule_3_refuses_a_phone_that_is_paired_already(world: SamWorld) -> None:
    cell = ready_cell(world, policy=BY_CODE)
    with pytest.raises(EnrolmentRefused, match="already") as caught:
        cell.enrol_request()
    assert caught.value.rule == 3
    assert len(verify_record(cell.record, expected_ks=world.public_keys.ks).devices) == 1


def test_rule_4_refuses_an_enrolment_for_another_ask(world: SamWorld, new_cell: PairedCell) -> None:
    request, other = new_cell.enrol_request(), new_cell.open_enrolment()
    refused(world, change(request, ask=other.ask), rule=4)


def test_rule_5_refuses_a_passkey_of_another_origin(new_cell: PairedCell) -> None:
    with pytest.raises(EnrolmentRefused) as caught:
        new_cell.enrol_request(app="http://localhost:9999")
    assert caught.value.rule == 5


# --- (6) people -------------------------------------------------------------------


def test_rule_6_refuses_without_a_code(world: SamWorld, new_cell: PairedCell) -> None:
    refused(world, change(new_cell.enrol_request(), code=None), rule=6)


def test_rule_6_takes_no_operators_word_for_a_code(world: SamWorld, new_cell: PairedCell) -> None:
    """T-10: what confirms is the policy's choice, not the caller's."""
    request = new_cell.enrol_request()
    word = OperatorWord(operator="Olga", twelve=twelve_characters(request.enrolment))
    assert "sms" in refused(world, change(request, code=None, operator=word), rule=6)


def test_rule_6_takes_no_code_where_no_number_is_verified(
    world: SamWorld, new_cell: PairedCell
) -> None:
    """None was sent; who can compute one anyway confirms nothing."""
    voice = world.sam._voice  # KS in an attacker's hand
    record = msgspec.structs.replace(voice.verified_record(new_cell.record), sms=None)
    request = change(new_cell.enrol_request(), record=voice.record(record))
    assert "sms" in refused(world, request, rule=6)


def test_rule_6_refuses_without_a_password_proof(world: SamWorld, new_cell: PairedCell) -> None:
    refused(world, change(new_cell.enrol_request(), password_proof=None), rule=6)


def test_rule_6_refuses_the_password_proof_of_another_ask(
    world: SamWorld, new_cell: PairedCell
) -> None:
    proof = new_cell.password_proof(new_cell.open_enrolment().ask)
    refused(world, change(new_cell.enrol_request(), password_proof=proof), rule=6)


def test_rule_6_refuses_the_password_proof_of_another_signer(
    world: SamWorld, new_cell: PairedCell
) -> None:
    """T-36: somebody's own password, for the ask of another's cell."""
    request = new_cell.enrol_request()
    proof = make_cell(world, policy=BY_CODE).password_proof(request.ask)
    refused(world, change(request, password_proof=proof), rule=6)


def test_rule_6_refuses_a_password_proof_that_is_too_old(
    world: SamWorld, new_cell: PairedCell
) -> None:
    """It ends with its ask, which rule 1 has looked at; with KS in hand somebody could."""
    request = new_cell.enrol_request()
    assert request.password_proof is not None
    voice = world.sam._voice  # KS in an attacker's hand
    claims = voice.verified_password_proof(request.password_proof)
    now = int(world.clock().timestamp())
    old = voice.password_proof(msgspec.structs.replace(claims, exp=now))
    refused(world, change(request, password_proof=old), rule=6)


def test_rule_6_refuses_another_message_in_the_place_of_the_password_proof(
    world: SamWorld, new_cell: PairedCell
) -> None:
    refused(world, change(new_cell.enrol_request(), password_proof=new_cell.record), rule=6)


def test_rule_6_refuses_the_code_of_another_enrolment(
    world: SamWorld, new_cell: PairedCell
) -> None:
    """A pairing confirmed with another enrolment's code (T-02)."""
    theirs = new_cell.enrol_request()
    new_cell.phone = PaperPhone()
    mine = new_cell.enrol_request()
    with pytest.raises(WrongCode):
        world.sam.enrol(change(mine, code=theirs.code))


def test_three_wrong_codes_end_the_ask_even_for_the_right_one(
    world: SamWorld, new_cell: PairedCell
) -> None:
    """T-15."""
    request = new_cell.enrol_request()
    wrong = change(request, code="00000000" if request.code != "00000000" else "11111111")
    for left in (2, 1, 0):
        with pytest.raises(WrongCode) as caught:
            world.sam.enrol(wrong)
        assert caught.value.tries_left == left
    with pytest.raises(TooManyTries):
        world.sam.enrol(request)


def test_a_right_code_forgets_the_wrong_ones(world: SamWorld, new_cell: PairedCell) -> None:
    request = new_cell.enrol_request()
    for _ in range(2):
        with pytest.raises(WrongCode):
            world.sam.enrol(change(request, code="1"))
    assert world.sam.enrol(request).epoch == 2


def test_a_right_code_that_is_sent_again_and_again_is_no_guessing(
    world: SamWorld, new_cell: PairedCell
) -> None:
    """An answer that got lost is asked for again; the record is the same, so is the use."""
    request = new_cell.enrol_request()
    for _ in range(4):
        assert world.sam.enrol(request).epoch == 2


def test_where_policy_asks_for_both_the_code_alone_is_not_enough(world: SamWorld) -> None:
    cell = make_cell(world, policy=BOTH)
    request = cell.enrol_request()
    assert "operator" in refused(world, request, rule=6)
    word = OperatorWord(operator="olga", twelve=twelve_characters(request.enrolment).lower())
    record = world.sam.enrol(change(request, operator=word)).record
    (device,) = verify_record(record, expected_ks=world.public_keys.ks).devices
    assert device.confirmed_by == ("sms", "operator")


def test_codes_and_characters_may_be_typed_in_groups(world: SamWorld) -> None:
    cell = make_cell(world, policy=BOTH)
    request = cell.enrol_request()
    assert request.code is not None
    word = OperatorWord(
        operator="olga", twelve=twelve_characters(request.enrolment).replace("-", " ")
    )
    code = f"{request.code[:4]} {request.code[4:]}"
    assert world.sam.enrol(change(request, code=code, operator=word)).epoch == 2


def test_rule_6_refuses_another_phones_twelve_characters(world: SamWorld) -> None:
    cell = make_cell(world, policy=BOTH)
    word = OperatorWord(operator="olga", twelve="AAAA-BBBB-CCCC")
    refused(world, change(cell.enrol_request(), operator=word), rule=6)


# --- (7), (8) the secret ----------------------------------------------------------


def test_rule_7_refuses_a_seal_moved_from_another_enrolment(
    world: SamWorld, new_cell: PairedCell
) -> None:
    request = new_cell.enrol_request()
    new_cell.phone = PaperPhone()
    refused(world, change(new_cell.enrol_request(), sealed=request.sealed), rule=7)


def test_rule_7_refuses_another_phones_seal_for_the_same_ask(
    world: SamWorld, new_cell: PairedCell
) -> None:
    """It holds the right secret, under the right key; but this phone did not sign for it."""
    request = new_cell.enrol_request()
    ask = read(request.ask, world.public_keys.ks)
    _, sealed = PaperPhone().enrol(ask, new_cell.secret)
    assert "signed for" in refused(world, change(request, sealed=sealed), rule=7)


def test_rule_7_refuses_where_the_seal_is_not_there(world: SamWorld, new_cell: PairedCell) -> None:
    assert "missing" in refused(world, change(new_cell.enrol_request(), sealed=None), rule=7)


def test_rule_7_refuses_when_the_hour_is_over(world: SamWorld, new_cell: PairedCell) -> None:
    request = new_cell.enrol_request()
    for hour in world.hsm.hours():
        world.hsm.destroy_hour_key(hour)
    refused(world, request, rule=7)


def test_rule_8_refuses_a_phone_that_does_not_hold_the_secret(
    world: SamWorld, new_cell: PairedCell
) -> None:
    opened = new_cell.open_enrolment()
    ask = read(opened.ask, world.public_keys.ks)
    enrolment, sealed = new_cell.phone.enrol(ask, bytes(32))
    request = Enrol(
        record=new_cell.record,
        blob=new_cell.made.blob,
        ask=opened.ask,
        enrolment=enrolment,
        sealed=sealed,
        password_proof=new_cell.password_proof(opened.ask),
        code=new_cell.sms_code(opened.ask, enrolment),
        operator=None,
    )
    refused(world, request, rule=8)


# --- the code's SMS ---------------------------------------------------------------


def test_the_sms_goes_to_the_verified_number_and_names_the_phone(
    world: SamWorld, new_cell: PairedCell
) -> None:
    request = new_cell.enrol_request()
    sms = open_sms(
        world.sam.pairing_code(
            SendPairingCode(
                record=request.record,
                ask=request.ask,
                enrolment=request.enrolment,
                number=NUMBER,
                lang="en",
            )
        ).sms,
        world.worker_key,
    )
    assert sms.number == NUMBER
    assert twelve_characters(request.enrolment).replace("-", " ") in sms.text
    assert str(request.code) in sms.text


@pytest.mark.parametrize("number", ["+79990000000", "\uff0b79161234567"])
def test_no_sms_goes_to_a_number_that_was_not_verified(
    world: SamWorld, new_cell: PairedCell, number: str
) -> None:
    """The number's row was overwritten."""
    request = new_cell.enrol_request()
    other = SendPairingCode(
        record=request.record,
        ask=request.ask,
        enrolment=request.enrolment,
        number=number,
        lang="ru",
    )
    with pytest.raises(RecordRefused, match="verified"):
        world.sam.pairing_code(other)


def test_an_enrolment_without_a_secret_is_refused(world: SamWorld, new_cell: PairedCell) -> None:
    """``sealed`` and ``epk`` are null where another phone brings the secret: not on this path."""
    opened = new_cell.open_enrolment()
    ask = read(opened.ask, world.public_keys.ks)
    enrolment = new_cell.phone.enrol_without_secret(ask)
    request = Enrol(
        record=new_cell.record,
        blob=new_cell.made.blob,
        ask=opened.ask,
        enrolment=enrolment,
        sealed="",
        password_proof=None,
        code=None,
        operator=None,
    )
    refused(world, request, rule=7)


def test_a_ready_cell_is_confirmed(world: SamWorld) -> None:
    record = verify_record(
        ready_cell(world, policy=BY_CODE).record, expected_ks=world.public_keys.ks
    )
    assert record.confirmed
    assert record.epoch == 3
