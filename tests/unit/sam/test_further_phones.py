"""Rule by rule: whom the SAM believes on another phone's word, or by password and code."""

import msgspec
import pytest

from backend.errors import (
    EnrolmentRefused,
    MalformedMessage,
    RecordRefused,
    RequestRefused,
    TooManyTries,
    WrongCode,
)
from backend.protocol.ask import KeyThumbprints
from backend.protocol.encoding import Octets32
from backend.protocol.locks import pin
from backend.protocol.record import Caps, Policy, verify_record
from backend.sam import consents
from backend.sam.cells import Enrol, OperatorWord, RemoveDevice
from backend.sam.consents import VerifiedConsent
from backend.sam.tries import PASSWORD_TRIES
from tests.world.clock import SettableClock
from tests.world.paired_cell import BY_CODE, POLICY, PairedCell, make_cell, ready_cell
from tests.world.paper_phone import PaperPhone, read
from tests.world.sam import ORIGIN, SamWorld


@pytest.fixture
def paired(world: SamWorld, request: pytest.FixtureRequest) -> PairedCell:
    """Confirmed by code where the test has the mark ``sms``."""
    by_code = request.node.get_closest_marker("sms") is not None
    cell = make_cell(world, policy=BY_CODE if by_code else POLICY)
    cell.pair()
    return cell


def change(request: Enrol, **members: object) -> Enrol:
    return msgspec.structs.replace(request, **members)


def refused(world: SamWorld, request: Enrol, *, rule: int) -> str:
    with pytest.raises(EnrolmentRefused) as caught:
        world.sam.enrol(request)
    assert caught.value.rule == rule
    return caught.value.reason


# --- another phone approves -------------------------------------------------------


@pytest.mark.parametrize("app", [None, ORIGIN])
def test_a_phone_that_another_one_approved_is_believed(
    world: SamWorld, paired: PairedCell, app: str | None
) -> None:
    new = PaperPhone()

    enrolled = world.sam.enrol(paired.further_request(new, app=app))

    ks = world.public_keys.ks
    _, device = verify_record(enrolled.record, expected_ks=ks).devices
    assert (bytes(device.kid), device.confirmed_by) == (new.kid, ("device",))
    assert device.uv == ("self_asserted" if app is None else "webauthn")
    assert new.secret_in_lock(enrolled.device_lock) == paired.secret
    assert enrolled.pin == pin(paired.secret, ks=ks, cell=paired.made.cell, kid=new.kid)


def test_asking_again_gives_the_same_phone(world: SamWorld, paired: PairedCell) -> None:
    """A crash before the commit: the clerk comes with the same rows."""
    request = paired.further_request(PaperPhone())
    assert world.sam.enrol(request).epoch == world.sam.enrol(request).epoch == 3


def test_a_key_that_came_only_from_the_server_is_never_sealed_to(
    world: SamWorld, paired: PairedCell
) -> None:
    """The ask names the keys that were on the screen: no others are believed under it."""
    planted, request = PaperPhone(), paired.further_request(PaperPhone())
    enrolment = planted.enrol_without_secret(read(request.ask, world.public_keys.ks))
    assert "other keys" in refused(world, change(request, enrolment=enrolment), rule=4)


@pytest.mark.parametrize("name", ["request", "unlock"])
def test_one_other_key_is_enough_to_be_another_phone(
    world: SamWorld, paired: PairedCell, name: str
) -> None:
    """Who swaps the unlock key alone would get the lock."""
    new = PaperPhone()
    request = paired.further_request(new)
    swapped = PaperPhone(
        keys=msgspec.structs.replace(new.keys, **{name: getattr(PaperPhone().keys, name)})
    )
    enrolment = swapped.enrol_without_secret(read(request.ask, world.public_keys.ks))
    refused(world, change(request, enrolment=enrolment), rule=4)


def test_an_approval_of_an_ask_that_names_no_keys_brings_no_phone(
    world: SamWorld, paired: PairedCell
) -> None:
    """A pairing's ask that somebody had the paired phone approve."""
    new, opened = PaperPhone(), paired.open_enrolment()
    ask = read(opened.ask, world.public_keys.ks)
    approval, sealed = paired.phone.approve(ask, paired.secret)
    request = change(
        paired.further_request(new),
        ask=opened.ask,
        enrolment=new.enrol_without_secret(ask),
        approval=approval,
        sealed=sealed,
    )
    refused(world, request, rule=7)


def test_the_keys_of_a_paired_phone_are_no_further_phones(
    world: SamWorld, paired: PairedCell
) -> None:
    for name in ("approval", "request", "unlock"):
        mine, theirs = PaperPhone().keys, getattr(paired.phone.keys, name)
        new = PaperPhone(keys=msgspec.structs.replace(mine, **{name: theirs}))
        refused(world, paired.further_request(new), rule=3)


def test_nobody_approves_for_itself(world: SamWorld, paired: PairedCell) -> None:
    new, request = PaperPhone(), paired.further_request(PaperPhone())
    opened = paired.open_further(new)
    ask = read(opened.ask, world.public_keys.ks)
    approval, sealed = new.approve(ask, paired.secret)
    own = change(
        request,
        ask=opened.ask,
        enrolment=new.enrol_without_secret(ask),
        approval=approval,
        sealed=sealed,
    )
    refused(world, own, rule=6)


def test_the_phone_of_another_cell_approves_nothing_here(
    world: SamWorld, paired: PairedCell
) -> None:
    other = make_cell(world)
    other.pair()
    new, opened = PaperPhone(), None
    opened = paired.open_further(new)
    ask = read(opened.ask, world.public_keys.ks)
    approval, sealed = other.phone.approve(ask, paired.secret)
    request = change(
        paired.further_request(PaperPhone()),
        ask=opened.ask,
        enrolment=new.enrol_without_secret(ask),
        approval=approval,
        sealed=sealed,
    )
    refused(world, request, rule=6)


def test_rule_6_refuses_without_an_approval(world: SamWorld, paired: PairedCell) -> None:
    refused(world, change(paired.further_request(PaperPhone()), approval=None), rule=6)


def test_rule_6_refuses_a_passkey_phone_without_its_assertion(world: SamWorld) -> None:
    """Who has the approval key alone, as from a copied profile, has not asked for the finger."""
    cell = make_cell(world)
    cell.pair(app=ORIGIN)
    cell.phone.passkey = None
    assert "assertion" in refused(world, cell.further_request(PaperPhone()), rule=6)


def test_rule_6_refuses_the_approval_of_another_ask(world: SamWorld, paired: PairedCell) -> None:
    first, second = (paired.further_request(PaperPhone()) for _ in range(2))
    refused(world, change(first, approval=second.approval, sealed=second.sealed), rule=6)


@pytest.mark.sms
def test_code_and_operator_do_not_stand_for_the_approval(
    world: SamWorld, paired: PairedCell
) -> None:
    """T-10: an ask that names keys is confirmed by a phone alone."""
    request = paired.further_request(PaperPhone())
    word = OperatorWord(operator="olga", twelve="AAAA-BBBB-CCCC")
    code = paired.sms_code(request.ask, request.enrolment)
    proof = paired.password_proof(request.ask)
    asked = change(request, approval=None, code=code, operator=word, password_proof=proof)
    refused(world, asked, rule=6)


@pytest.mark.sms
def test_an_approval_does_not_stand_for_the_code(world: SamWorld) -> None:
    """Who pairs with an envelope is confirmed as policy demands, whatever else is brought."""
    cell = make_cell(world, policy=BY_CODE)
    request = cell.enrol_request()
    refused(world, change(request, code=None, approval=request.enrolment), rule=6)


def test_a_policy_that_demands_a_device_is_kept_by_no_envelope(world: SamWorld) -> None:
    caps = Caps(multisign=1, kinds=("virtual",), confirm=("device",))
    cell = make_cell(world, policy=Policy(methods=("app",), caps=caps))
    assert "device" in refused(world, cell.enrol_request(), rule=6)


def test_rule_7_refuses_a_further_phone_that_brings_a_secret_itself(
    world: SamWorld, paired: PairedCell
) -> None:
    new = PaperPhone()
    request = paired.further_request(new)
    enrolment, _ = new.enrol(read(request.ask, world.public_keys.ks), paired.secret)
    refused(world, change(request, enrolment=enrolment), rule=7)


@pytest.mark.parametrize("seal", ["", None, "another"])
def test_rule_7_refuses_another_seal_than_the_approvals(
    world: SamWorld, paired: PairedCell, seal: str | None
) -> None:
    request = paired.further_request(PaperPhone())
    other = paired.further_request(PaperPhone()).sealed if seal == "another" else seal
    refused(world, change(request, sealed=other), rule=7)


def test_rule_7_refuses_when_the_hour_is_over(world: SamWorld, paired: PairedCell) -> None:
    request = paired.further_request(PaperPhone())
    for hour in world.hsm.hours():
        world.hsm.destroy_hour_key(hour)
    refused(world, request, rule=7)


def test_rule_8_refuses_another_cells_secret(world: SamWorld, paired: PairedCell) -> None:
    new = PaperPhone()
    opened = paired.open_further(new)
    ask = read(opened.ask, world.public_keys.ks)
    approval, sealed = paired.phone.approve(ask, bytes(32))
    request = change(
        paired.further_request(PaperPhone()),
        ask=opened.ask,
        enrolment=new.enrol_without_secret(ask),
        approval=approval,
        sealed=sealed,
    )
    refused(world, request, rule=8)


def test_rule_2_brings_nobody_back_by_an_old_approval(world: SamWorld, paired: PairedCell) -> None:
    """T-37: added, removed, and the same rows shown again: the record has gone on."""
    new = PaperPhone()
    request = paired.further_request(new)
    added = world.sam.enrol(request)
    removed = world.sam.remove_device(RemoveDevice(record=added.record, kid=new.kid))
    assert "changed" in refused(world, change(request, record=removed.record), rule=2)


def test_rule_2_lets_one_of_two_further_phones_in(world: SamWorld, paired: PairedCell) -> None:
    first, second = (paired.further_request(PaperPhone()) for _ in range(2))
    record = world.sam.enrol(first).record
    refused(world, change(second, record=record), rule=2)


def test_a_phone_that_was_removed_meanwhile_adds_none(world: SamWorld, paired: PairedCell) -> None:
    request = paired.further_request(PaperPhone())
    removed = world.sam.remove_device(RemoveDevice(record=paired.record, kid=paired.phone.kid))
    refused(world, change(request, record=removed.record), rule=2)


def test_rule_1_refuses_after_use_by(
    world: SamWorld, paired: PairedCell, clock: SettableClock
) -> None:
    request = paired.further_request(PaperPhone())
    clock.advance(seconds=600)
    refused(world, request, rule=1)


def test_a_consent_comes_from_its_verification_alone(world: SamWorld, paired: PairedCell) -> None:
    with pytest.raises(TypeError):
        VerifiedConsent(None, ask=None, record=None, device=None, claims=None)  # type: ignore[arg-type]  # that is the attack


def test_a_phone_whose_kind_the_policy_refuses_adds_none(
    world: SamWorld, paired: PairedCell
) -> None:
    request = paired.further_request(PaperPhone())
    record = world.sam._voice.verified_record(paired.record)
    caps = msgspec.structs.replace(record.policy.caps, kinds=("pwa",))
    stricter = msgspec.structs.replace(
        record, policy=msgspec.structs.replace(record.policy, caps=caps)
    )
    with pytest.raises(MalformedMessage, match="kind virtual"):
        consents.verify_consent(
            str(request.approval), ask=world.sam._voice.verified_ask(request.ask), record=stricter
        )


def test_a_consent_of_no_phone_is_none(world: SamWorld, paired: PairedCell) -> None:
    request = paired.further_request(PaperPhone())
    voice = world.sam._voice
    record = voice.verified_record(paired.record)
    with pytest.raises(MalformedMessage):
        consents.verify_consent(
            request.enrolment, ask=voice.verified_ask(request.ask), record=record
        )


# --- the ask ----------------------------------------------------------------------


def test_only_an_ask_to_enrol_names_keys_and_then_three(paired: PairedCell) -> None:
    one = Octets32(bytes(32))
    same = KeyThumbprints(approval=one, request=one, unlock=one)
    with pytest.raises(RequestRefused, match="three keys"):
        paired.open("enrol", fields={"type": "enrol", "name": "A"}, key_thumbprints=same)
    different = msgspec.structs.replace(
        same, request=Octets32(bytes(31) + b"1"), unlock=Octets32(bytes(31) + b"2")
    )
    with pytest.raises(RequestRefused, match="three keys"):
        paired.open("set_password", fields={"type": "set_password"}, key_thumbprints=different)


def test_a_cell_without_a_phone_asks_for_no_further_one(world: SamWorld) -> None:
    with pytest.raises(RecordRefused, match="no phone"):
        make_cell(world).open_further(PaperPhone())


# --- by password and code ---------------------------------------------------------


@pytest.mark.sms
def test_the_password_adds_a_phone_beside_the_pairing_code(world: SamWorld) -> None:
    cell = ready_cell(world, policy=BY_CODE)
    cell.phone = PaperPhone()

    enrolled = world.sam.enrol(cell.password_request())

    _, device = verify_record(enrolled.record, expected_ks=world.public_keys.ks).devices
    assert device.confirmed_by == ("sms",)
    assert cell.phone.secret_in_lock(enrolled.device_lock) == cell.secret


@pytest.mark.sms
def test_the_password_adds_no_phone_without_the_code(world: SamWorld, paired: PairedCell) -> None:
    """T-36."""
    paired.phone = PaperPhone()
    request = paired.password_request()
    refused(world, change(request, code=None), rule=6)
    with pytest.raises(WrongCode):
        world.sam.enrol(change(request, code="1"))


@pytest.mark.sms
def test_where_the_policy_wants_an_operator_the_password_needs_the_code_too(
    world: SamWorld,
) -> None:
    caps = Caps(multisign=1, kinds=("virtual",), confirm=("operator",))
    cell = make_cell(world, policy=Policy(methods=("app",), caps=caps))
    request = cell.password_request()
    refused(world, change(request, code=None), rule=6)
    assert "operator" in refused(world, request, rule=6)


@pytest.mark.sms
def test_without_a_verified_number_the_password_adds_no_phone(
    world: SamWorld, paired: PairedCell
) -> None:
    paired.phone = PaperPhone()
    voice = world.sam._voice  # KS in an attacker's hand
    record = msgspec.structs.replace(voice.verified_record(paired.record), sms=None)
    refused(world, change(paired.password_request(), record=voice.record(record)), rule=6)


@pytest.mark.sms
def test_an_enrolment_without_any_secret_is_refused(world: SamWorld, paired: PairedCell) -> None:
    paired.phone = PaperPhone()
    refused(world, change(paired.password_request(), password=None), rule=7)


@pytest.mark.sms
def test_a_wrong_password_opens_nothing_and_is_counted(world: SamWorld, paired: PairedCell) -> None:
    """Also for who asks the SAM itself, with a right code."""
    paired.phone = PaperPhone()
    request = paired.password_request(bytes(32))
    for _ in range(PASSWORD_TRIES):
        refused(world, request, rule=7)
    with pytest.raises(TooManyTries):
        world.sam.enrol(paired.password_request())


@pytest.mark.sms
def test_a_right_password_forgets_the_wrong_ones(world: SamWorld, paired: PairedCell) -> None:
    paired.phone = PaperPhone()
    wrong = paired.password_request(bytes(32))
    for _ in range(2):
        for _ in range(PASSWORD_TRIES - 1):
            refused(world, wrong, rule=7)
        assert world.sam.enrol(paired.password_request()).epoch == 3


@pytest.mark.sms
def test_the_lock_of_another_cell_opens_nothing_here(world: SamWorld, paired: PairedCell) -> None:
    other = make_cell(world).password_request().password
    paired.phone = PaperPhone()
    refused(world, change(paired.password_request(), password=other), rule=7)


@pytest.mark.sms
def test_rule_8_refuses_a_lock_that_holds_another_secret(
    world: SamWorld, paired: PairedCell
) -> None:
    """A blob that was put back, or a lock made by who has KP."""
    paired.phone = PaperPhone()
    refused(world, change(paired.password_request(), blob=make_cell(world).made.blob), rule=8)
