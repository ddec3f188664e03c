"""Loosening a policy: what it takes to ask, what it takes to be believed, and what comes of it."""

import base64
import hashlib
from typing import Any, Final

import msgspec
import pytest
from pyotp import TOTP

from backend.errors import (
    AmendmentRefused,
    CodeRefused,
    DoorRefused,
    RecordRefused,
    RequestRefused,
    TooManyTries,
    WrongCode,
    WrongPassword,
)
from backend.protocol.approval import CodeMethod
from backend.protocol.ask import AskClaims, verify_ask
from backend.protocol.encoding import Octets32, b64u
from backend.protocol.record import AmountCap, CellRecord, Policy, verify_record
from backend.sam import totp as totp_module
from backend.sam.amending import (
    Amend,
    Amended,
    MadeSeed,
    MakeSeed,
    OpenAmendment,
    OpenedAmendment,
    Tighten,
)
from backend.sam.cells import ChangePassword, PasswordLock, RemoveDevice
from backend.sam.totp import TotpSeeds
from backend.sam.tries import PASSWORD_TRIES
from tests.world.clock import SettableClock
from tests.world.code_cell import CODE_POLICY, CodeSigner, with_phone, without_phone
from tests.world.paired_cell import CA, NUMBER, PASSWORD_HASH, PairedCell, make_cell, ready_cell
from tests.world.paper_phone import PaperPhone, read
from tests.world.sam import SamWorld, open_sam_world

ONE: Final = hashlib.sha256(b"1").digest()
CAPS: Final = (AmountCap(currency="RUB", value="500.00"),)


@pytest.fixture
def owner(world: SamWorld, cell: PairedCell) -> CodeSigner:
    """Has a phone, and may approve by it alone."""
    del world
    return CodeSigner(cell=cell)


def now(world: SamWorld) -> int:
    return int(world.clock().timestamp())


def seed(signer: CodeSigner) -> MadeSeed:
    return signer.world.sam.make_seed(MakeSeed(record=signer.cell.record))


def shown(world: SamWorld, made: MadeSeed, *, after: int = 0) -> str:
    """What the app shows."""
    return TOTP(made.seed, digits=8).at(now(world) + after)


def ask(signer: CodeSigner, **members: Any) -> OpenedAmendment:  # noqa: ANN401  # members of OpenAmendment
    at = now(signer.world)
    given: dict[str, Any] = {
        "record": signer.cell.record,
        "method": "password+sms",
        "amounts": CAPS,
        "sms_delay": 30,
        "lock": signer.lock,
        "password_hash": PASSWORD_HASH,
        "number": NUMBER,
        "seed": None,
        "code": None,
        "name": "Анна Петровна Иванова",
        "rp": CA,
        "lang": "ru",
        "zone": "Europe/Moscow",
        "exp": at + 300,
        "use_by": at + 600,
    }
    return signer.world.sam.open_amendment(OpenAmendment(**(given | members)))


def ask_totp(signer: CodeSigner, made: MadeSeed, **members: Any) -> OpenedAmendment:  # noqa: ANN401  # members of OpenAmendment
    given = {
        "method": "password+totp",
        "number": None,
        "seed": made.sealed,
        "code": shown(signer.world, made),
    }
    return ask(signer, **(given | members))


def approved(signer: CodeSigner, asked: OpenedAmendment, phone: PaperPhone | None = None) -> Amend:
    """Everything to be believed: the phone approved, with the number of the page."""
    signed = read(asked.opened.ask, signer.world.public_keys.ks)
    approval, sealed = (phone or signer.cell.phone).approve(signed, signer.cell.secret, number="42")
    return Amend(
        record=signer.cell.record,
        blob=signer.cell.made.blob,
        ask=asked.opened.ask,
        approval=approval,
        sealed=sealed,
    )


def amend(signer: CodeSigner, asked: OpenedAmendment) -> Amended:
    return signer.world.sam.amend(approved(signer, asked))


def record_of(signer: CodeSigner, text: str) -> CellRecord:
    return verify_record(text, expected_ks=signer.world.public_keys.ks)


def claims_of(signer: CodeSigner, asked: OpenedAmendment) -> AskClaims:
    return verify_ask(asked.opened.ask, expected_ks=signer.world.public_keys.ks).claims


def refused(signer: CodeSigner, evidence: Amend, *, rule: int) -> str:
    with pytest.raises(AmendmentRefused) as caught:
        signer.world.sam.amend(evidence)
    assert caught.value.rule == rule
    return caught.value.reason


def changed(evidence: Amend, **members: object) -> Amend:
    return msgspec.structs.replace(evidence, **members)


# --- what comes of it -----------------------------------------------------------


def test_the_phones_approval_allows_sms_within_the_bounds_that_it_showed(
    owner: CodeSigner,
) -> None:
    asked = ask(owner)
    amended = amend(owner, asked)
    before, after = record_of(owner, owner.cell.record), record_of(owner, amended.record)
    assert after.policy.methods == amended.methods == ("app", "password+sms")
    assert (after.policy.caps.amounts, after.policy.caps.sms_delay) == (CAPS, 30)
    assert amended.epoch == after.epoch == before.epoch + 1
    assert msgspec.structs.replace(after, policy=before.policy, epoch=before.epoch) == (
        msgspec.structs.replace(before, prev=after.prev)
    )
    claims = claims_of(owner, asked)
    assert claims.fields["number_end"] == NUMBER[-4:]
    assert "500,00" in claims.text.lines[0]
    assert NUMBER[-4:] in claims.text.lines[1]


@pytest.mark.sms
def test_afterwards_password_and_code_release_a_signature(owner: CodeSigner) -> None:
    """With the lock that was sealed anew; the old one is of another purpose."""
    asked = ask(owner)
    owner.cell.record = amend(owner, asked).record
    opened = owner.open_signing(ONE)
    owner.world.clock.advance(seconds=30)
    by = owner.approve(opened, lock=asked.lock)
    assert owner.world.sam.release(owner.evidence(opened, by)).signatures
    other = owner.open_signing(ONE)
    owner.world.clock.advance(seconds=30)
    with pytest.raises(WrongPassword):
        owner.approve(other, lock=owner.lock)


def test_before_the_phone_has_approved_the_new_lock_opens_nothing(owner: CodeSigner) -> None:
    asked = ask(owner)
    opened = owner.open_signing(ONE)
    owner.world.clock.advance(seconds=60)
    with pytest.raises(CodeRefused) as caught:
        owner.approve(opened, lock=asked.lock, code="00000000")
    assert caught.value.rule == 3


def test_an_authenticator_releases_a_signature_and_says_so(owner: CodeSigner) -> None:
    """Invariant 7: no number stands in it, for none had a part in it."""
    made = seed(owner)
    asked = ask_totp(owner, made)
    amended = amend(owner, asked)
    assert amended.totp == made.seed_hash
    owner.cell.record = amended.record
    owner.world.clock.advance(seconds=30)
    opened = owner.open_signing(ONE)
    by = owner.approve(
        opened,
        lock=asked.lock,
        method="password+totp",
        code=shown(owner.world, made),
        seed=made.sealed,
        number=None,
    )
    assert by.step == now(owner.world) // 30
    assert owner.world.sam.release(owner.evidence(opened, by)).signatures
    assert owner.open_signing(ONE).methods == ("app", "password+totp")


@pytest.mark.sms
def test_a_second_method_leaves_the_first(world: SamWorld) -> None:
    owner = with_phone(world)
    made = seed(owner)
    amended = amend(owner, ask_totp(owner, made, amounts=()))
    record = record_of(owner, amended.record)
    assert record.policy.methods == ("app", "password+sms", "password+totp")
    assert record.policy.caps.amounts == ()
    owner.cell.record = amended.record
    again = amend(owner, ask(owner))
    assert again.methods == record.policy.methods
    assert again.totp == made.seed_hash


def test_another_app_takes_the_place_of_the_first(owner: CodeSigner) -> None:
    first = ask_totp(owner, seed(owner))
    owner.cell.record = amend(owner, first).record
    owner.world.clock.advance(seconds=60)
    made = seed(owner)
    second = ask_totp(owner, made, lock=first.lock)
    amended = amend(owner, second)
    assert amended.totp == made.seed_hash
    assert amended.methods == ("app", "password+totp")


# --- codes of an authenticator --------------------------------------------------


@pytest.fixture
def with_app(owner: CodeSigner) -> tuple[CodeSigner, MadeSeed, str]:
    """Signer, seed, and the password lock."""
    made = seed(owner)
    asked = ask_totp(owner, made)
    owner.cell.record = amend(owner, asked).record
    owner.world.clock.advance(seconds=300)
    return owner, made, asked.lock


def by_app(
    app: tuple[CodeSigner, MadeSeed, str],
    *,
    after: int = 0,
    **members: Any,  # noqa: ANN401  # members of ApproveByCode
) -> int | None:
    signer, made, lock = app
    given: dict[str, Any] = {
        "lock": lock,
        "method": "password+totp",
        "code": shown(signer.world, made, after=after),
        "seed": made.sealed,
        "number": None,
    }
    return signer.approve(signer.open_signing(ONE), **(given | members)).step


@pytest.mark.parametrize("after", [-30, 0, 30])
def test_a_code_of_the_step_before_now_or_after_is_taken(
    with_app: tuple[CodeSigner, MadeSeed, str], after: int
) -> None:
    assert by_app(with_app, after=after) == (now(with_app[0].world) + after) // 30


@pytest.mark.parametrize("after", [-60, 60, 3600])
def test_a_code_of_another_step_is_refused(
    with_app: tuple[CodeSigner, MadeSeed, str], after: int
) -> None:
    with pytest.raises(WrongCode):
        by_app(with_app, after=after)


def test_a_step_is_used_up_by_its_code_and_takes_those_before_it_along(
    with_app: tuple[CodeSigner, MadeSeed, str],
) -> None:
    """RFC 6238, 5.2."""
    by_app(with_app, after=0)
    for after in (0, -30):
        with pytest.raises(WrongCode):
            by_app(with_app, after=after)
    assert by_app(with_app, after=30)


def test_a_step_that_the_database_remembers_is_refused_after_a_restart(
    with_app: tuple[CodeSigner, MadeSeed, str],
) -> None:
    signer, made, lock = with_app
    step = by_app(with_app)
    signer.cell.world = open_sam_world(signer.world.hsm, signer.world.clock)
    with pytest.raises(WrongCode):
        by_app((signer, made, lock), used_step=step)


def test_a_right_code_with_a_wrong_password_is_used_up(
    with_app: tuple[CodeSigner, MadeSeed, str],
) -> None:
    with pytest.raises(WrongPassword):
        by_app(with_app, password_hash=bytes(32))
    with pytest.raises(WrongCode):
        by_app(with_app)


@pytest.mark.parametrize("sealed", [None, "", "x", "AAAA", "A" * 64])
def test_a_seed_that_the_record_does_not_name_is_refused(
    with_app: tuple[CodeSigner, MadeSeed, str], sealed: str | None
) -> None:
    with pytest.raises(CodeRefused) as caught:
        by_app(with_app, seed=sealed)
    assert caught.value.rule == 3


def test_a_seed_that_no_phone_approved_is_refused(
    with_app: tuple[CodeSigner, MadeSeed, str],
) -> None:
    """It is this cell's, and its codes are right: who stole the session made it."""
    signer, _, lock = with_app
    with pytest.raises(CodeRefused) as caught:
        by_app((signer, seed(signer), lock))
    assert caught.value.rule == 3


def test_a_seed_of_another_cell_opens_nothing_even_if_a_record_named_it(
    world: SamWorld, with_app: tuple[CodeSigner, MadeSeed, str]
) -> None:
    """With KS in an attacker's hand."""
    signer, made, lock = with_app
    foreign = seed(CodeSigner(cell=ready_cell(world)))
    voice = world.sam._voice
    named = Octets32(foreign.seed_hash)
    signer.cell.record, _ = voice.next_record(signer.cell.record, totp=named)
    with pytest.raises(CodeRefused) as caught:
        by_app((signer, made, lock), seed=foreign.sealed)
    assert caught.value.rule == 3


def test_the_codes_of_two_cells_are_used_up_apart(
    world: SamWorld, with_app: tuple[CodeSigner, MadeSeed, str]
) -> None:
    other = CodeSigner(cell=ready_cell(world))
    made = seed(other)
    asked = ask_totp(other, made)
    other.cell.record = amend(other, asked).record
    world.clock.advance(seconds=60)
    assert by_app(with_app) == by_app((other, made, asked.lock)) == now(world) // 30


def test_a_code_finds_room_in_a_full_memory_of_steps(
    monkeypatch: pytest.MonkeyPatch, world: SamWorld, with_app: tuple[CodeSigner, MadeSeed, str]
) -> None:
    """The step of the first code is long over."""
    monkeypatch.setattr(totp_module, "MOST_REMEMBERED", 1)
    assert by_app(with_app) == now(world) // 30


def test_what_makes_room_forgets_no_step_that_a_code_may_still_be_of(
    monkeypatch: pytest.MonkeyPatch, world: SamWorld
) -> None:
    monkeypatch.setattr(totp_module, "MOST_REMEMBERED", 2)
    seeds = TotpSeeds(world.hsm)
    one, over, other = (make_cell(world).made.cell for _ in range(3))
    at = 200 * 30 + 29
    assert seeds.use_up(199, cell=one, used_step=None, now=at)
    assert seeds.use_up(198, cell=over, used_step=None, now=at - 60)
    assert seeds.use_up(200, cell=other, used_step=None, now=at)
    assert not seeds.use_up(199, cell=one, used_step=None, now=at)


def test_a_seed_is_of_twenty_bytes_and_each_is_another(world: SamWorld) -> None:
    """RFC 4226, 4."""
    seeds, cell = TotpSeeds(world.hsm), make_cell(world).made.cell
    one, other = (seeds.make(cell)[0] for _ in range(2))
    assert len(base64.b32decode(one)) == 20
    assert one != other


def test_a_full_memory_of_steps_takes_no_more_codes(
    monkeypatch: pytest.MonkeyPatch, world: SamWorld
) -> None:
    monkeypatch.setattr(totp_module, "MOST_REMEMBERED", 1)
    seeds = TotpSeeds(world.hsm)
    one, other = make_cell(world).made.cell, make_cell(world).made.cell
    assert seeds.use_up(100, cell=one, used_step=None, now=3000)
    with pytest.raises(TooManyTries):
        seeds.use_up(100, cell=other, used_step=None, now=3000)
    assert seeds.use_up(200, cell=other, used_step=None, now=6000)


# --- (1) to (3): what it takes to ask -------------------------------------------


@pytest.mark.sms
def test_rule_1_wants_a_record_of_ours_a_certificate_and_a_phone(
    world: SamWorld, owner: CodeSigner
) -> None:
    paired = CodeSigner(cell=make_cell(world))
    paired.cell.pair()
    alone = without_phone(world)
    for signer, members in (
        (owner, {"record": "e30.e30.e30"}),
        (paired, {}),
        (alone, {}),
        (owner, {"number": "+79160000000"}),
        (owner, {"number": None}),
    ):
        with pytest.raises(AmendmentRefused) as caught:
            ask(signer, **members)
        assert caught.value.rule == 1
    with pytest.raises(RecordRefused):
        world.sam.make_seed(MakeSeed(record="e30.e30.e30"))


@pytest.mark.parametrize("sealed", [None, "", "x", "AAAA", "A" * 64])
def test_rule_1_wants_a_seed_of_this_cell(owner: CodeSigner, sealed: str | None) -> None:
    with pytest.raises(AmendmentRefused) as caught:
        ask(owner, method="password+totp", seed=sealed, code="00000000")
    assert caught.value.rule == 1


def test_rule_2_looks_at_three_first_codes_of_a_seed(owner: CodeSigner) -> None:
    made = seed(owner)
    for left, code in ((2, "00000000"), (1, None), (0, "x")):
        with pytest.raises(WrongCode) as caught:
            ask_totp(owner, made, code=code)
        assert caught.value.tries_left == left
    with pytest.raises(TooManyTries):
        ask_totp(owner, made)
    assert ask_totp(owner, seed(owner)).step


def test_rule_2_uses_the_first_code_up(owner: CodeSigner) -> None:
    made = seed(owner)
    assert ask_totp(owner, made).step == now(owner.world) // 30
    with pytest.raises(WrongCode) as caught:
        ask_totp(owner, made)
    assert caught.value.tries_left == 1


def test_rule_2_lets_two_cells_show_their_first_codes_at_once(
    world: SamWorld, owner: CodeSigner
) -> None:
    step = now(world) // 30
    for signer in (owner, CodeSigner(cell=ready_cell(world))):
        assert ask_totp(signer, seed(signer)).step == step


def test_rule_2_finds_room_in_the_memory_for_a_first_code(
    monkeypatch: pytest.MonkeyPatch, owner: CodeSigner
) -> None:
    monkeypatch.setattr(totp_module, "MOST_REMEMBERED", 1)
    ask_totp(owner, seed(owner))
    other = CodeSigner(cell=ready_cell(owner.world))
    with pytest.raises(TooManyTries):
        ask_totp(other, seed(other))
    owner.world.clock.advance(seconds=60)
    assert ask_totp(other, seed(other)).step


def test_rule_3_counts_wrong_passwords_with_all_others(owner: CodeSigner) -> None:
    """T-16."""
    for _ in range(PASSWORD_TRIES):
        with pytest.raises(WrongPassword):
            ask(owner, password_hash=bytes(32))
    with pytest.raises(TooManyTries):
        ask(owner)


def test_rule_3_counts_wrong_passwords_of_each_signer(world: SamWorld, owner: CodeSigner) -> None:
    for _ in range(PASSWORD_TRIES):
        with pytest.raises(WrongPassword):
            ask(owner, password_hash=bytes(32))
    assert ask(CodeSigner(cell=ready_cell(world))).lock


def test_rule_3_forgets_wrong_passwords_after_a_right_one(owner: CodeSigner) -> None:
    for _ in range(2):
        for _ in range(PASSWORD_TRIES - 1):
            with pytest.raises(WrongPassword):
                ask(owner, password_hash=bytes(32))
        assert ask(owner).lock


def test_an_ask_to_amend_is_opened_with_the_password_alone(owner: CodeSigner) -> None:
    fields = {"type": "amend", "name": "Анна", "delay": 60, "number_end": "4567"}
    with pytest.raises(RequestRefused, match="password"):
        owner.cell.open("amend", fields=fields, number_asked=True)


# --- (4) to (7): what it takes to be believed -----------------------------------


def test_rule_4_refuses_after_use_by_and_what_is_no_ask_to_amend(
    owner: CodeSigner, clock: SettableClock
) -> None:
    evidence = approved(owner, ask(owner))
    refused(owner, changed(evidence, ask="e30.e30.e30"), rule=4)
    refused(owner, changed(evidence, ask=owner.open_signing(ONE).ask), rule=4)
    clock.advance(seconds=600)
    refused(owner, evidence, rule=4)


def test_rule_5_refuses_another_record_and_an_older_one(world: SamWorld, owner: CodeSigner) -> None:
    older = owner.cell.record
    owner.cell.record = world.sam.remove_device(RemoveDevice(record=older, kid=bytes(32))).record
    evidence = approved(owner, ask(owner))
    refused(owner, changed(evidence, record=older), rule=5)
    refused(owner, changed(evidence, record=ready_cell(world).record), rule=5)
    refused(owner, changed(evidence, record="e30.e30.e30"), rule=5)


def test_rule_5_lets_an_approval_amend_once(world: SamWorld, owner: CodeSigner) -> None:
    """Who writes rows shows it again, after the signer has taken back what it allowed."""
    evidence = approved(owner, ask(owner))
    following = world.sam.amend(evidence).record
    refused(owner, changed(evidence, record=following), rule=5)


def test_rule_6_wants_a_phone_of_the_record(world: SamWorld, owner: CodeSigner) -> None:
    asked = ask(owner)
    refused(owner, approved(owner, asked, PaperPhone()), rule=6)
    evidence = approved(owner, asked)
    removed = world.sam.remove_device(
        RemoveDevice(record=owner.cell.record, kid=owner.cell.phone.kid)
    )
    refused(owner, changed(evidence, record=removed.record), rule=5)


@pytest.mark.sms
def test_rule_6_believes_no_approval_by_code(world: SamWorld) -> None:
    """A code does not loosen what codes may do."""
    owner = with_phone(world)
    opened = owner.open_signing(ONE)
    world.clock.advance(seconds=60)
    by = owner.approve(opened)
    evidence = approved(owner, ask(owner))
    refused(owner, changed(evidence, approval=by.approval, sealed=by.sealed), rule=6)
    with pytest.raises(CodeRefused) as caught:
        owner.approve(ask(owner).opened, code="00000000")
    assert caught.value.rule == 1


def test_rule_7_wants_the_secret_of_this_cell(world: SamWorld, owner: CodeSigner) -> None:
    asked, other = ask(owner), ready_cell(world)
    evidence = approved(owner, asked)
    refused(owner, changed(evidence, sealed=approved(owner, asked).sealed), rule=7)
    refused(owner, changed(evidence, blob=other.made.blob), rule=7)


def test_the_seed_is_sealed_for_its_cell_under_kp(world: SamWorld, owner: CodeSigner) -> None:
    """Design 9; whoever has the database has no code."""
    made = seed(owner)
    assert made.seed not in made.sealed
    assert b64u(made.seed_hash) != made.sealed
    seeds = TotpSeeds(world.hsm)
    code = shown(world, made)
    cell = owner.cell.made.cell
    assert seeds.find_step(code, cell=cell, sealed=made.sealed, now=now(world))


# --- to tighten -----------------------------------------------------------------


def tighten(signer: CodeSigner, method: CodeMethod, *, record: str | None = None) -> Amended:
    given = record or signer.cell.record
    return signer.world.sam.tighten(Tighten(record=given, method=method))


def test_rule_8_takes_a_method_back_with_what_was_for_it_alone(owner: CodeSigner) -> None:
    made = seed(owner)
    first = ask_totp(owner, made)
    owner.cell.record = amend(owner, first).record
    owner.cell.record = amend(owner, ask(owner, lock=first.lock)).record
    before = record_of(owner, owner.cell.record)

    sms_left = tighten(owner, "password+totp")
    kept = record_of(owner, sms_left.record)
    assert kept.policy.methods == sms_left.methods == ("app", "password+sms")
    assert (kept.totp, sms_left.totp, kept.policy.caps) == (None, None, before.policy.caps)
    assert (kept.epoch, sms_left.epoch) == (before.epoch + 1,) * 2
    assert sms_left.cell == before.cell

    totp_left = record_of(owner, tighten(owner, "password+sms").record)
    assert (totp_left.policy.methods, totp_left.totp) == (("app", "password+totp"), before.totp)
    assert totp_left.sms == before.sms  # it still confirms phones

    app = record_of(owner, tighten(owner, "password+sms", record=sms_left.record).record)
    assert (app.policy.methods, app.policy.caps.amounts) == (("app",), ())
    assert app.policy.caps.multisign == before.policy.caps.multisign


@pytest.mark.sms
def test_rule_8_leaves_a_method_and_takes_none_that_is_not_there(world: SamWorld) -> None:
    alone = Policy(methods=("password+sms",), caps=CODE_POLICY.caps)
    with pytest.raises(AmendmentRefused, match="only one") as last:
        tighten(without_phone(world, policy=alone), "password+sms")
    with pytest.raises(AmendmentRefused, match="not allowed") as absent:
        tighten(without_phone(world), "password+totp")
    assert (last.value.rule, absent.value.rule) == (8, 8)


def test_rule_8_wants_a_record_of_ours(owner: CodeSigner) -> None:
    with pytest.raises(AmendmentRefused) as caught:
        tighten(owner, "password+sms", record=owner.cell.record[:-4] + "AAAA")
    assert caught.value.rule == 8


@pytest.mark.sms
def test_what_a_code_approved_before_opens_no_more_after(world: SamWorld) -> None:
    """Neither at the door, nor in a code that is typed late."""
    owner = with_phone(world)
    world.clock.advance(seconds=60)
    approved_one, waiting = owner.open_signing(ONE), owner.open_signing(ONE)
    world.clock.advance(seconds=60)
    by = owner.approve(approved_one)
    owner.cell.record = tighten(owner, "password+sms").record

    with pytest.raises(DoorRefused) as caught:
        world.sam.release(owner.evidence(approved_one, by))
    assert caught.value.rule == 3
    with pytest.raises(CodeRefused):
        owner.approve(waiting)


@pytest.mark.sms
def test_the_password_lock_outlives_the_methods_that_it_was_sealed_for(world: SamWorld) -> None:
    """It opens for less, as for a new password, and for allowing a code again; for no code."""
    owner = with_phone(world)
    owner.cell.record = tighten(owner, "password+sms").record
    made = owner.cell.made.password
    assert made is not None
    lock = PasswordLock(record=owner.cell.record, lock=made.lock)
    change = ChangePassword(
        signer=owner.cell.signer,
        old_password_hash=PASSWORD_HASH,
        new_password_hash=bytes(32),
        verifier=made.verifier,
        locks=(lock,),
    )
    assert len(world.sam.change_password(change).locks) == 1
    owner.cell.record = amend(owner, ask(owner)).record
    assert record_of(owner, owner.cell.record).policy.methods == ("app", "password+sms")
    with pytest.raises(WrongPassword):
        ask(owner, password_hash=bytes(32))
