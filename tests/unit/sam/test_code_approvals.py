"""Approving by password and code, rule by rule, and what the door makes of it."""

import hashlib
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from backend.errors import (
    CodeRefused,
    DoorRefused,
    RecordRefused,
    RequestRefused,
    SummaryRefused,
    TooManyTries,
    WrongCode,
    WrongPassword,
)
from backend.protocol.approval import CodeApprovalClaims, verify_code_approval
from backend.protocol.ask import verify_ask
from backend.protocol.codes import operation_number
from backend.protocol.encoding import Octets32, b64u
from backend.protocol.receipt import verify_receipt
from backend.protocol.record import verify_record
from backend.sam.code_approvals import TRIES_A_DAY
from backend.sam.locks import PasswordSeals
from backend.sam.releases import Release
from backend.sam.transactions import CodeSms, OpenedTransaction, RenderSms, SmsAddress
from backend.summary.sms import MOST_PARTS
from backend.summary.sms_parts import sms_parts
from tests.world.clock import SettableClock
from tests.world.code_cell import (
    ADDRESS,
    CODE_POLICY,
    CodeSigner,
    payment,
    policy_with,
    with_phone,
    without_phone,
)
from tests.world.paired_cell import NUMBER, PASSWORD_HASH, PairedCell, make_cell, subject_name
from tests.world.sam import CA_NAME, DOMAIN, SamWorld, open_sam_world, software_hsm
from tests.world.softhsm import softhsm

pytestmark = pytest.mark.sms

ONE, TWO = (hashlib.sha256(bytes([number])).digest() for number in (1, 2))
OTHER_PASSWORD = bytes(32)


@pytest.fixture
def signer(world: SamWorld) -> CodeSigner:
    return without_phone(world)


@pytest.fixture
def owner(world: SamWorld) -> CodeSigner:
    """Has a phone, and may approve by SMS."""
    return with_phone(world)


def wrong(code: str) -> str:
    """Another code of eight digits."""
    return f"{(int(code) + 1) % 10**8:08}"


def refused(signer: CodeSigner, opened: OpenedTransaction, *, rule: int, **members: Any) -> str:  # noqa: ANN401  # members of ApproveByCode
    with pytest.raises(CodeRefused) as caught:
        signer.approve(opened, **members)
    assert caught.value.rule == rule
    return caught.value.reason


def closed(signer: CodeSigner, evidence: Release, *, rule: int) -> str:
    with pytest.raises(DoorRefused) as caught:
        signer.world.sam.release(evidence)
    assert caught.value.rule == rule
    return caught.value.reason


# --- it opens -------------------------------------------------------------------


def test_password_and_sms_code_release_a_signature_by_the_certified_key(signer: CodeSigner) -> None:
    opened = signer.open_signing(ONE)
    evidence = signer.evidence(opened, signer.approve(opened))
    (signature,) = signer.world.sam.release(evidence).signatures
    key = x509.load_der_x509_certificate(signer.cell.certificate).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(signature, ONE, ec.ECDSA(Prehashed(SHA256())))


def test_the_approval_is_the_services_word_and_says_by_what_method(signer: CodeSigner) -> None:
    """Invariant 7."""
    opened = signer.open_signing(ONE)
    by = signer.approve(opened)
    ks = signer.world.public_keys.ks
    ask = verify_ask(opened.ask, expected_ks=ks)
    claims = verify_code_approval(by.approval, ask=ask, expected_ks=ks)
    record = verify_record(signer.cell.record, expected_ks=ks)
    assert (claims.method, claims.number_hash) == ("password+sms", record.sms)
    assert claims.iat == int(signer.world.clock().timestamp())
    assert by.kid == ks.thumbprint()
    assert by.step is None


def test_a_receipt_says_the_method_and_that_of_a_phone_says_none(owner: CodeSigner) -> None:
    """Invariant 7; receipts from before there were codes are read as before."""
    world = owner.world
    ka = world.public_keys.ka
    by_phone = world.sam.release(owner.cell.release_of(owner.open_signing(ONE))).receipt
    opened = owner.open_signing(TWO)
    world.clock.advance(seconds=60)
    by_code = world.sam.release(owner.evidence(opened, owner.approve(opened))).receipt
    assert verify_receipt(by_code, expected_ka=ka).method == "password+sms"
    assert verify_receipt(by_phone, expected_ka=ka).method == "app"


def test_an_opened_transaction_says_by_which_methods_it_may_be_approved(
    world: SamWorld, cell: PairedCell
) -> None:
    assert cell.open_signing(ONE).methods == ("app",)
    assert without_phone(world).open_signing(ONE).methods == ("password+sms",)
    owner = with_phone(world)
    assert owner.open_signing(ONE).methods == ("app", "password+sms")
    assert owner.open_signing(ONE, fields=payment("15000.01")).methods == ("app",)


def test_a_signer_without_phone_and_code_is_not_asked_for_the_certificate(world: SamWorld) -> None:
    with pytest.raises(RecordRefused, match="no code"):
        make_cell(world).open_certificate_request(sms=ADDRESS)


# --- the text -------------------------------------------------------------------


def test_the_sms_names_the_operation_and_ends_with_the_line_for_the_browser(
    signer: CodeSigner,
) -> None:
    """R-129, T-32."""
    opened = signer.open_signing(ONE, fields=payment("12500.00"))
    sms = signer.read(opened.sms)
    assert sms.number == NUMBER
    operation = operation_number(opened.tx_hash)
    assert operation in sms.text
    assert "12 500,00" in sms.text
    assert "Никому не говорите" in sms.text
    assert sms.text.splitlines()[-1] == f"@{DOMAIN} #{signer.code(opened)}"
    assert sms_parts(sms.text) <= MOST_PARTS


def test_the_sms_greets_by_the_registered_given_names(world: SamWorld) -> None:
    name = x509.Name(
        [
            x509.NameAttribute(x509.NameOID.SURNAME, "Иванова"),
            x509.NameAttribute(x509.NameOID.GIVEN_NAME, "Анна Петровна"),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, "Иванова Анна Петровна"),
        ]
    ).public_bytes()
    signer = CodeSigner(cell=make_cell(world, policy=CODE_POLICY, subject=name))
    signer.cell.pair()
    opened = signer.cell.open(
        "certificate_request",
        fields=signer_fields(name),
        hash_alg="SHA-256",
        sms=SmsAddress(number=NUMBER, subject=name),
    )
    assert "Анна Петровна" in signer.read(opened.sms).text


def test_the_sms_of_documents_begins_with_the_given_names(world: SamWorld) -> None:
    """They stand nowhere else in it; in Russian there is seldom room for them."""
    name = x509.Name(
        [
            x509.NameAttribute(x509.NameOID.GIVEN_NAME, "Anna"),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, "Anna Ivanova"),
        ]
    ).public_bytes()
    signer = CodeSigner(cell=make_cell(world, policy=CODE_POLICY, subject=name))
    signer.cell.record, _ = world.sam._voice.next_record(
        signer.cell.record, confirmed=True, certificate=Octets32(bytes(32))
    )
    address = SmsAddress(number=NUMBER, subject=name)
    opened = signer.open_signing(ONE, sms=address, lang="en")
    assert "Anna, you are asked to sign documents." in signer.read(opened.sms).text


def signer_fields(name: bytes) -> dict[str, object]:
    return {
        "type": "certificate_request",
        "subject": b64u(name),
        "name": "Иванова Анна Петровна",
        "ca": CA_NAME,
        "algorithm": "P-256",
    }


def test_without_a_phone_the_sms_is_due_at_once_and_good_for_five_minutes(
    signer: CodeSigner, clock: SettableClock
) -> None:
    now = int(clock().timestamp())
    opened = signer.open_signing(ONE, exp=now + 3000, use_by=now + 3100)
    assert opened.sms is not None
    assert (opened.sms.due_at, opened.sms.valid_until) == (now, now + 300)


def test_with_a_phone_the_sms_is_due_after_the_records_delay(
    owner: CodeSigner, clock: SettableClock
) -> None:
    """T-24."""
    now = int(clock().timestamp())
    opened = owner.open_signing(ONE)
    assert opened.sms is not None
    assert (opened.sms.due_at, opened.sms.valid_until) == (now + 60, now + 300)


def test_a_text_says_no_later_time_than_the_asks(signer: CodeSigner, clock: SettableClock) -> None:
    now = int(clock().timestamp())
    opened = signer.open_signing(ONE, exp=now + 30)
    assert opened.sms is not None
    assert opened.sms.valid_until == now + 30


def test_no_sms_is_written(
    world: SamWorld, cell: PairedCell, owner: CodeSigner, clock: SettableClock
) -> None:
    """Each for another reason; the phone is asked in every case."""
    now = int(clock().timestamp())
    not_allowed = cell.open_signing(ONE, sms=ADDRESS)
    no_number = owner.open_signing(ONE, sms=None)
    other_number = owner.open_signing(
        ONE, sms=SmsAddress(number="+79160000000", subject=subject_name())
    )
    other_name = owner.open_signing(ONE, sms=SmsAddress(number=NUMBER, subject=b"another"))
    too_much = owner.open_signing(ONE, fields=payment("15000.01"))
    too_short_for_the_delay = owner.open_signing(ONE, exp=now + 60)
    too_long_a_payee = payment("1.00")
    too_long_a_payee["payee"]["name"] = "Общество " * 16 + "Z"
    no_room = owner.open_signing(ONE, fields=too_long_a_payee)
    for opened in (
        not_allowed,
        no_number,
        other_number,
        other_name,
        too_much,
        too_short_for_the_delay,
        no_room,
    ):
        assert opened.sms is None
        assert world.sam.release(
            (cell if opened is not_allowed else owner.cell).release_of(opened)
        ).signatures


def test_where_no_text_fits_and_there_is_no_phone_the_request_is_refused(
    signer: CodeSigner,
) -> None:
    too_long_a_payee = payment("1.00")
    too_long_a_payee["payee"]["name"] = "Общество " * 16 + "Z"
    with pytest.raises(SummaryRefused) as caught:
        signer.open_signing(ONE, fields=too_long_a_payee)
    assert caught.value.field == "payee.name"


def again(signer: CodeSigner, opened: OpenedTransaction, **members: Any) -> CodeSms:  # noqa: ANN401  # members of RenderSms
    given: dict[str, Any] = {
        "record": signer.cell.record,
        "ask": opened.ask,
        "items": opened.items,
        "zone": "Europe/Moscow",
        "address": ADDRESS,
    }
    return signer.world.sam.render_sms(RenderSms(**(given | members)))


def test_an_sms_that_is_sent_again_has_the_same_code_and_says_another_time(
    signer: CodeSigner, clock: SettableClock
) -> None:
    now = int(clock().timestamp())
    opened = signer.open_signing(ONE, exp=now + 3000, use_by=now + 3100)
    clock.advance(seconds=400)
    sms = again(signer, opened)
    assert (sms.due_at, sms.valid_until) == (now + 400, now + 700)
    assert signer.code(opened) in signer.read(sms).text
    assert signer.read(sms).text != signer.read(opened.sms).text


def test_asking_for_it_again_does_not_bring_it_before_the_delay(
    owner: CodeSigner, clock: SettableClock
) -> None:
    """T-24."""
    opened = owner.open_signing(ONE)
    now = int(clock().timestamp())
    assert again(owner, opened).due_at == now + 60
    clock.advance(seconds=100)
    assert again(owner, opened).due_at == now + 100


def test_a_certificate_requests_sms_is_written_again(world: SamWorld) -> None:
    signer = CodeSigner(cell=make_cell(world, policy=CODE_POLICY))
    opened = signer.open_certificate_request()
    assert signer.read(again(signer, opened)) == signer.read(opened.sms)


def test_what_has_no_sms_has_none_again(
    owner: CodeSigner, cell: PairedCell, clock: SettableClock
) -> None:
    opened = owner.open_signing(ONE)
    stranger = CodeSigner(cell=cell)
    for signer, asked, members, rule in (
        (stranger, cell.open_signing(ONE), {}, 3),
        (owner, opened, {"address": SmsAddress(number="+79160000000", subject=b"")}, 3),
        (owner, opened, {"record": cell.record}, 2),
        (owner, opened, {"ask": "x"}, 1),
    ):
        with pytest.raises(CodeRefused) as caught:
            again(signer, asked, **members)
        assert caught.value.rule == rule
    with pytest.raises(RequestRefused):
        again(owner, opened, items=())
    clock.advance(seconds=300)
    with pytest.raises(CodeRefused) as caught:
        again(owner, opened)
    assert caught.value.rule == 1


# --- (1) the ask ----------------------------------------------------------------


def test_rule_1_refuses_after_exp_by_the_sams_own_clock(
    signer: CodeSigner, clock: SettableClock
) -> None:
    opened, later = signer.open_signing(ONE), signer.open_signing(TWO)
    clock.advance(seconds=300)
    signer.approve(opened)
    clock.advance(seconds=1)
    assert refused(signer, later, rule=1) == "it is too late to approve"


def test_rule_1_refuses_what_is_no_ask_of_ours_and_an_ask_to_enrol(signer: CodeSigner) -> None:
    opened = signer.open_signing(ONE)
    refused(signer, opened, rule=1, ask="e30.e30.e30")
    enrol = signer.cell.open_enrolment()
    assert "phone" in refused(signer, enrol, rule=1, code="00000000")


def test_rule_1_refuses_where_the_hours_key_is_gone(signer: CodeSigner) -> None:
    opened = signer.open_signing(ONE)
    for hour in signer.world.hsm.hours():
        signer.world.hsm.destroy_hour_key(hour)
    refused(signer, opened, rule=1)


# --- (2) the record -------------------------------------------------------------


def test_rule_2_refuses_another_cells_record_an_older_one_and_none(
    world: SamWorld, signer: CodeSigner
) -> None:
    opened = signer.open_signing(ONE)
    refused(signer, opened, rule=2, record=without_phone(world).cell.record)
    refused(signer, opened, rule=2, record=signer.cell.made.record)
    refused(signer, opened, rule=2, record="e30.e30.e30")


def test_rule_2_refuses_to_sign_before_the_certificate(world: SamWorld, signer: CodeSigner) -> None:
    """An ask to sign is never made for an unconfirmed cell; with KS in hand somebody could."""
    voice = world.sam._voice
    unconfirmed = CodeSigner(cell=make_cell(world, policy=CODE_POLICY))
    ask = voice.verified_ask(signer.open_signing(ONE).ask).claims
    forged = voice.ask(msgspec.structs.replace(ask, cell=unconfirmed.cell.made.cell, epoch=1))
    opened = msgspec.structs.replace(signer.open_signing(TWO), ask=forged)
    assert "certificate" in refused(unconfirmed, opened, rule=2)


# --- (3) the method -------------------------------------------------------------


def test_rule_3_refuses_a_method_that_the_record_does_not_allow(
    world: SamWorld, cell: PairedCell, signer: CodeSigner
) -> None:
    by_phone_alone = CodeSigner(cell=cell)
    opened = cell.open_signing(ONE)
    refused(by_phone_alone, opened, rule=3, code="00000000")
    refused(signer, signer.open_signing(ONE), rule=3, method="password+totp", seed="AAAA")


def test_rule_3_refuses_another_number_and_none(signer: CodeSigner) -> None:
    opened = signer.open_signing(ONE)
    refused(signer, opened, rule=3, number="+79160000000")
    refused(signer, opened, rule=3, number=None)


def test_rule_3_gives_a_paired_phone_its_time(owner: CodeSigner, clock: SettableClock) -> None:
    """T-24: also when somebody learnt the code before the SMS was sent."""
    opened = owner.open_signing(ONE)
    clock.advance(seconds=59)
    assert "asked first" in refused(owner, opened, rule=3)
    clock.advance(seconds=1)
    owner.approve(opened)


@pytest.mark.parametrize(
    ("value", "currency", "allowed"),
    [
        ("15000.00", "RUB", True),
        ("15000.01", "RUB", False),
        ("0.01", "USD", False),
        ("999999999999999.00", "RUB", False),
    ],
)
def test_rule_3_keeps_the_amount_cap_of_the_policy(
    owner: CodeSigner, clock: SettableClock, value: str, currency: str, *, allowed: bool
) -> None:
    """R-126. A currency without a cap has no way by code."""
    fields = payment(value, currency)
    opened = owner.open_signing(ONE, fields=fields)
    clock.advance(seconds=60)
    code = owner.world.sam._code_approvals._sms_codes.code(opened.tx_hash)
    if allowed:
        owner.approve(opened, code=code)
    else:
        assert currency in refused(owner, opened, rule=3, code=code)


def test_rule_3_counts_no_try(signer: CodeSigner) -> None:
    opened = signer.open_signing(ONE)
    for _ in range(5):
        refused(signer, opened, rule=3, number=None)
    signer.approve(opened)


# --- (4) the code ---------------------------------------------------------------


def test_rule_4_judges_three_codes_for_an_ask_and_no_fourth(signer: CodeSigner) -> None:
    """T-15."""
    opened, other = signer.open_signing(ONE), signer.open_signing(TWO)
    code = signer.code(opened)
    for left in (2, 1, 0):
        with pytest.raises(WrongCode) as caught:
            signer.approve(opened, code=wrong(code))
        assert caught.value.tries_left == left
    with pytest.raises(TooManyTries):
        signer.approve(opened)
    signer.approve(other)


@pytest.mark.parametrize("code", ["", "1", "123456789", "\uff11" * 8, "abcdefgh"])
def test_rule_4_refuses_what_is_no_code(signer: CodeSigner, code: str) -> None:
    with pytest.raises(WrongCode):
        signer.approve(signer.open_signing(ONE), code=code)


def test_rule_4_refuses_the_code_of_another_ask(signer: CodeSigner) -> None:
    """T-32: a code is good for the request that its SMS names."""
    one, other = signer.open_signing(ONE), signer.open_signing(ONE)
    with pytest.raises(WrongCode):
        signer.approve(other, code=signer.code(one))


def test_rule_4_looks_at_ten_wrong_codes_of_a_cell_in_a_day(
    signer: CodeSigner, clock: SettableClock
) -> None:
    """T-15; right ones do not count, and the count is over after a day."""
    signer.approve(signer.open_signing(ONE))
    for place in range(TRIES_A_DAY):
        opened = signer.open_signing(hashlib.sha256(bytes([place])).digest())
        with pytest.raises(WrongCode):
            signer.approve(opened, code=wrong(signer.code(opened)))
    with pytest.raises(TooManyTries):
        signer.approve(signer.open_signing(ONE))
    clock.advance(seconds=24 * 3600)
    signer.approve(signer.open_signing(ONE))


def test_right_codes_use_up_no_day(signer: CodeSigner) -> None:
    for place in range(TRIES_A_DAY + 5):
        signer.approve(signer.open_signing(hashlib.sha256(bytes([place])).digest()))


def test_without_the_code_no_password_is_tried(signer: CodeSigner) -> None:
    opened = signer.open_signing(ONE)
    with pytest.raises(WrongCode):
        signer.approve(opened, code=wrong(signer.code(opened)), password_hash=OTHER_PASSWORD)


# --- (5) the password -----------------------------------------------------------


def test_rule_5_refuses_a_wrong_password_and_counts_it_as_a_try(signer: CodeSigner) -> None:
    """Whoever has the SIM guesses three passwords for an ask, and ten in a day."""
    opened = signer.open_signing(ONE)
    for _ in range(3):
        with pytest.raises(WrongPassword):
            signer.approve(opened, password_hash=OTHER_PASSWORD)
    with pytest.raises(TooManyTries):
        signer.approve(opened)


def test_rule_5_refuses_another_cells_lock_and_what_is_none(
    world: SamWorld, signer: CodeSigner
) -> None:
    other = without_phone(world)
    for lock in (other.lock, "", "x" * 2000, "AAAA"):
        with pytest.raises(WrongPassword):
            signer.approve(signer.open_signing(ONE), lock=lock)


def test_rule_5_refuses_a_lock_that_only_recovers(world: SamWorld, signer: CodeSigner) -> None:
    """A lock keeps to its purpose, also when the policy was loosened since."""
    seals = PasswordSeals(world.hsm)
    record = verify_record(signer.cell.record, expected_ks=world.public_keys.ks)
    secret = seals.open(signer.lock, record=record, password_hash=PASSWORD_HASH)
    policy = msgspec.structs.replace(record.policy, methods=("app",))
    recovers = seals.seal(
        secret, record=msgspec.structs.replace(record, policy=policy), password_hash=PASSWORD_HASH
    )
    with pytest.raises(WrongPassword):
        signer.approve(signer.open_signing(ONE), lock=recovers)


# --- the door -------------------------------------------------------------------


def test_the_door_refuses_a_code_approval_by_another_key_than_ks(
    world: SamWorld, signer: CodeSigner, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Rule 3."""
    opened = signer.open_signing(ONE)
    by = signer.approve(opened)
    other = open_sam_world(software_hsm(tmp_path_factory.mktemp("other") / "vault"), world.clock)
    claims = claims_of(signer, opened, by.approval)
    forged = other.sam._voice.code_approval(claims)
    evidence = msgspec.structs.replace(signer.evidence(opened, by), approval=forged)
    closed(signer, evidence, rule=3)


def claims_of(signer: CodeSigner, opened: OpenedTransaction, approval: str) -> CodeApprovalClaims:
    ks = signer.world.public_keys.ks
    return verify_code_approval(
        approval, ask=verify_ask(opened.ask, expected_ks=ks), expected_ks=ks
    )


def forged(signer: CodeSigner, opened: OpenedTransaction, **members: object) -> Release:
    """Evidence whose approval says something else, with KS in an attacker's hand."""
    by = signer.approve(opened)
    claims = msgspec.structs.replace(claims_of(signer, opened, by.approval), **members)
    approval = signer.world.sam._voice.code_approval(claims)
    return signer.evidence(opened, replace_approval(by, approval))


def replace_approval(by: Any, approval: str) -> Any:  # noqa: ANN401  # one of the SAM's structs
    return msgspec.structs.replace(by, approval=approval)


@pytest.mark.parametrize(
    ("members", "rule"),
    [
        ({"tx": uuid4()}, 4),
        ({"tx_hash": Octets32(bytes(32))}, 4),
        ({"number_hash": Octets32(bytes(32))}, 4),
        ({"method": "password+totp", "number_hash": None}, 3),
        ({"sealed": Octets32(bytes(32))}, 6),
        ({"epk": Octets32(bytes(32))}, 6),
    ],
)
def test_the_door_refuses_each_changed_claim(
    signer: CodeSigner, members: dict[str, object], rule: int
) -> None:
    closed(signer, forged(signer, signer.open_signing(ONE), **members), rule=rule)


def test_the_door_does_not_open_for_one_changed_character(signer: CodeSigner) -> None:
    opened = signer.open_signing(ONE)
    evidence = signer.evidence(opened, signer.approve(opened))
    text = evidence.approval
    for place in range(0, len(text), 7):
        changed = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        with pytest.raises(DoorRefused):
            signer.world.sam.release(msgspec.structs.replace(evidence, approval=changed))


def test_the_door_refuses_a_method_that_was_taken_back_since(
    world: SamWorld, signer: CodeSigner
) -> None:
    """Rule 3: tightening acts at once, on what is in flight too."""
    opened = signer.open_signing(ONE)
    evidence = signer.evidence(opened, signer.approve(opened))
    policy = msgspec.structs.replace(CODE_POLICY, methods=("app",))
    tightened, _ = world.sam._voice.next_record(signer.cell.record, policy=policy)
    closed(signer, msgspec.structs.replace(evidence, record=tightened), rule=3)


def test_the_door_refuses_an_amount_above_the_cap(world: SamWorld) -> None:
    """Rule 3, not only when the code was typed: the cap was lowered meanwhile."""
    signer = without_phone(world)
    opened = signer.open_signing(ONE, fields=payment("100.00"))
    evidence = signer.evidence(opened, signer.approve(opened))
    lowered, _ = world.sam._voice.next_record(signer.cell.record, policy=policy_with(amounts=()))
    closed(signer, msgspec.structs.replace(evidence, record=lowered), rule=3)


def test_the_door_refuses_an_approval_replayed_on_another_ask(signer: CodeSigner) -> None:
    one, other = signer.open_signing(ONE), signer.open_signing(ONE)
    evidence = signer.evidence(one, signer.approve(one))
    closed(
        signer,
        msgspec.structs.replace(evidence, ask=other.ask, items=other.items),
        rule=4,
    )


def test_the_door_refuses_a_phones_seal_beside_a_code_approval(owner: CodeSigner) -> None:
    """Rule 6: ``apu`` is KS's thumbprint, not a phone's."""
    opened = owner.open_signing(ONE)
    by_phone = owner.cell.release_of(opened)
    owner.world.clock.advance(seconds=60)
    by = owner.approve(opened)
    closed(owner, msgspec.structs.replace(by_phone, approval=by.approval), rule=6)
    closed(
        owner,
        msgspec.structs.replace(owner.evidence(opened, by), approval=by_phone.approval),
        rule=6,
    )


def test_a_phones_own_approval_still_opens(owner: CodeSigner) -> None:
    assert owner.world.sam.release(owner.cell.release_of(owner.open_signing(ONE))).signatures


def test_after_a_restart_the_sam_knows_its_code_approvals_again(signer: CodeSigner) -> None:
    opened = signer.open_signing(ONE)
    by = signer.approve(opened)
    restarted = open_sam_world(signer.world.hsm, signer.world.clock)
    assert restarted.sam.release(signer.evidence(opened, by)).signatures


def test_on_a_real_token_password_and_code_release_a_signature() -> None:
    world = open_sam_world(softhsm().new_token().hsm(), SettableClock())
    signer = without_phone(world)
    opened = signer.open_signing(ONE)
    with pytest.raises(WrongCode):
        signer.approve(opened, code=wrong(signer.code(opened)))
    assert world.sam.release(signer.evidence(opened, signer.approve(opened))).signatures
