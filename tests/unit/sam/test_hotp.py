"""An authenticator that counts: enrolment, codes that count once, and the record that says so."""

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import pytest

from backend.errors import (
    AmendmentRefused,
    CodeRefused,
    DoorRefused,
    TooManyTries,
    WrongCode,
    WrongPassword,
)
from backend.protocol.approval import read_code_approval
from backend.protocol.ask import verify_ask
from backend.protocol.encoding import Octets32
from backend.protocol.receipt import verify_receipt
from backend.protocol.record import CellRecord, HotpState, record_hash, verify_record
from backend.sam import hotp as hotp_module
from backend.sam.amending import (
    MadeSeed,
    MakeSeed,
    OpenAmendment,
    OpenedAmendment,
    Tighten,
)
from backend.sam.cells import RemoveDevice
from backend.sam.hotp import LOOK_AHEAD, LOOK_AHEAD_OF_TWO, HotpSeeds
from backend.sam.transactions import ApprovedByCode, CountedOn, OpenedTransaction
from tests.unit.sam.test_amendments import amend, approved, ask_totp, shown
from tests.world.code_cell import CodeSigner, with_phone
from tests.world.counting_app import CountingApp
from tests.world.paired_cell import CA, NUMBER, PASSWORD_HASH, PairedCell, make_cell, ready_cell
from tests.world.sam import SamWorld, open_sam_world

ONE: Final = hashlib.sha256(b"1").digest()


@dataclass(kw_only=True)
class Owner:
    """A signer with an app that counts, after its first code."""

    signer: CodeSigner
    made: MadeSeed
    app: CountingApp
    lock: str

    @property
    def record(self) -> CellRecord:
        """The newest record."""
        return verify_record(self.signer.cell.record, expected_ks=self.signer.world.public_keys.ks)

    @property
    def counter(self) -> int:
        """Of the next code, as the record has it."""
        assert self.record.hotp is not None
        return self.record.hotp.counter

    def open(self) -> OpenedTransaction:
        """Something to sign."""
        return self.signer.open_signing(ONE)

    def type(self, opened: OpenedTransaction, code: str, **members: Any) -> ApprovedByCode:  # noqa: ANN401  # members of ApproveByCode
        """Type a code; the record that follows is not kept."""
        given = {
            "lock": self.lock,
            "method": "password+hotp",
            "code": code,
            "seed": self.made.sealed,
            "number": None,
        }
        return self.signer.approve(opened, **(given | members))

    def keep(self, by: ApprovedByCode) -> None:
        """Keep the record that follows, as the database does."""
        assert by.counted is not None
        self.signer.cell.record = by.counted.record

    def approve(self, code: str) -> ApprovedByCode:
        """Approve something by a code, and keep the record."""
        by = self.type(self.open(), code)
        self.keep(by)
        return by

    def restart(self) -> None:
        """The SAM forgets what it remembered."""
        world = self.signer.world
        self.signer.cell.world = open_sam_world(world.hsm, world.clock)


def begin(signer: CodeSigner) -> tuple[MadeSeed, CountingApp]:
    made = signer.world.sam.make_seed(MakeSeed(record=signer.cell.record, method="password+hotp"))
    return made, CountingApp(seed=made.seed)


def ask(signer: CodeSigner, made: MadeSeed, code: str | None, **members: Any) -> OpenedAmendment:  # noqa: ANN401  # members of OpenAmendment
    at = int(signer.world.clock().timestamp())
    given: dict[str, Any] = {
        "record": signer.cell.record,
        "method": "password+hotp",
        "amounts": (),
        "sms_delay": 60,
        "lock": signer.lock,
        "password_hash": PASSWORD_HASH,
        "number": None,
        "seed": made.sealed,
        "code": code,
        "name": "Анна Петровна Иванова",
        "rp": CA,
        "lang": "en",
        "zone": "Europe/Moscow",
        "exp": at + 300,
        "use_by": at + 600,
    }
    return signer.world.sam.open_amendment(OpenAmendment(**(given | members)))


@pytest.fixture
def signer(world: SamWorld, cell: PairedCell) -> CodeSigner:
    """Has a phone, and may approve by it alone."""
    del world
    return CodeSigner(cell=cell)


@pytest.fixture
def owner(signer: CodeSigner) -> Owner:
    made, app = begin(signer)
    asked = ask(signer, made, app.press())
    signer.cell.record = amend(signer, asked).record
    return Owner(signer=signer, made=made, app=app, lock=asked.lock)


# --- from the first code to a signature -----------------------------------------


def test_the_phones_approval_puts_seed_and_counter_into_the_record(signer: CodeSigner) -> None:
    made, app = begin(signer)
    asked = ask(signer, made, app.press())
    amended = amend(signer, asked)
    ks = signer.world.public_keys.ks
    after = verify_record(amended.record, expected_ks=ks)
    assert after.hotp == HotpState(seed=Octets32(made.seed_hash), counter=1)
    assert after.policy.methods == amended.methods == ("app", "password+hotp")
    assert (amended.hotp, amended.totp, asked.step) == (made.seed_hash, None, None)
    text = verify_ask(asked.opened.ask, expected_ks=ks).claims.text.lines
    assert "an authenticator app that counts, and has shown 1 code so far" in text[1]


def test_a_code_releases_a_signature_and_all_says_by_what_method(owner: Owner) -> None:
    """Invariant 7."""
    opened = owner.open()
    assert opened.methods == ("app", "password+hotp")
    by = owner.type(opened, owner.app.press())
    owner.keep(by)
    sam, keys = owner.signer.world.sam, owner.signer.world.public_keys
    released = sam.release(owner.signer.evidence(opened, by))
    claims = read_code_approval(by.approval, expected_ks=keys.ks)
    assert released.signatures
    assert claims.method == "password+hotp"
    assert claims.hotp == owner.record.hotp
    assert (claims.number_hash, by.step) == (None, None)
    assert verify_receipt(released.receipt, expected_ka=keys.ka).method == "password+hotp"


def test_an_approval_makes_the_records_next_epoch_and_changes_the_counter_alone(
    owner: Owner,
) -> None:
    text, before = owner.signer.cell.record, owner.record
    by = owner.approve(owner.app.press())
    after = owner.record
    assert by.counted == CountedOn(record=owner.signer.cell.record, epoch=before.epoch + 1)
    assert after.hotp == HotpState(seed=Octets32(owner.made.seed_hash), counter=2)
    assert after == msgspec.structs.replace(
        before, epoch=before.epoch + 1, prev=record_hash(text), hotp=after.hotp
    )


def test_a_cell_may_have_both_kinds_of_apps_and_sms(world: SamWorld) -> None:
    """Their codes are guessed from one allowance."""
    signer = with_phone(world)
    made, app = begin(signer)
    asked = ask(signer, made, app.press())
    amended = amend(signer, asked)
    assert amended.methods == ("app", "password+sms", "password+hotp")
    signer.cell.record = amended.record
    again = signer.world.sam.amend(
        approved(
            signer,
            ask(signer, made, None, method="password+sms", number=NUMBER, seed=None),
        )
    )
    assert again.methods == amended.methods
    assert again.hotp == made.seed_hash


def test_an_app_that_goes_by_time_approves_beside_one_that_counts(owner: Owner) -> None:
    signer = owner.signer
    by_time = signer.world.sam.make_seed(MakeSeed(record=signer.cell.record))
    asked = ask_totp(signer, by_time, amounts=(), lock=owner.lock)
    signer.cell.record = amend(signer, asked).record
    assert owner.record.policy.methods == ("app", "password+hotp", "password+totp")
    signer.world.clock.advance(seconds=30)
    by = owner.type(
        owner.open(),
        shown(signer.world, by_time),
        method="password+totp",
        seed=by_time.sealed,
        lock=asked.lock,
    )
    assert by.step is not None
    assert by.counted is None  # the other app's counter stays


def test_another_app_takes_the_place_of_the_first(owner: Owner) -> None:
    made, app = begin(owner.signer)
    asked = ask(owner.signer, made, app.press(), lock=owner.lock)
    amended = amend(owner.signer, asked)
    assert amended.hotp == made.seed_hash
    opened = owner.open()
    owner.signer.cell.record = amended.record
    with pytest.raises(CodeRefused) as caught:
        owner.type(opened, owner.app.press())
    assert caught.value.rule == 3
    other = Owner(signer=owner.signer, made=made, app=app, lock=asked.lock)
    other.approve(app.press())
    assert other.counter == 2


# --- a code counts once ---------------------------------------------------------


def test_a_code_counts_once(owner: Owner) -> None:
    code = owner.app.press()
    owner.approve(code)
    with pytest.raises(WrongCode):
        owner.approve(code)
    owner.approve(owner.app.press())


def test_the_first_code_is_used_up_by_the_record(owner: Owner) -> None:
    with pytest.raises(WrongCode):
        owner.approve(owner.app.at(0))


def test_a_code_takes_those_before_it_along(owner: Owner) -> None:
    skipped = owner.app.press()
    owner.approve(owner.app.press())
    with pytest.raises(WrongCode):
        owner.approve(skipped)


def test_what_the_record_says_is_refused_after_a_restart(owner: Owner) -> None:
    code = owner.app.press()
    owner.approve(code)
    owner.restart()
    with pytest.raises(WrongCode):
        owner.approve(code)


def test_a_record_that_is_written_back_gives_no_code_back_while_the_sam_runs(
    owner: Owner,
) -> None:
    record, code = owner.signer.cell.record, owner.app.press()
    owner.approve(code)
    owner.signer.cell.record = record
    with pytest.raises(WrongCode):
        owner.approve(code)
    owner.approve(owner.app.press())
    assert owner.counter == 3


def test_limit_a_record_that_is_written_back_gives_a_code_back_after_a_restart(
    owner: Owner,
) -> None:
    """Design 11 (6): who rolls the record back, and knows a used code and the password."""
    record, code = owner.signer.cell.record, owner.app.press()
    owner.approve(code)
    owner.signer.cell.record = record
    owner.restart()
    owner.approve(code)


def test_where_the_record_was_not_kept_the_next_code_works(owner: Owner) -> None:
    """As after a ``kill -9`` between the SAM's answer and the commit."""
    code = owner.app.press()
    owner.type(owner.open(), code)
    with pytest.raises(WrongCode):
        owner.type(owner.open(), code)
    owner.approve(owner.app.press())
    assert owner.counter == 3


def test_a_right_code_with_a_wrong_password_is_used_up(owner: Owner) -> None:
    code = owner.app.press()
    with pytest.raises(WrongPassword):
        owner.type(owner.open(), code, password_hash=bytes(32))
    with pytest.raises(WrongCode):
        owner.approve(code)
    owner.approve(owner.app.press())


def test_what_was_remembered_longest_is_forgotten_first(
    monkeypatch: pytest.MonkeyPatch, world: SamWorld
) -> None:
    monkeypatch.setattr(hotp_module, "MOST_REMEMBERED", 2)
    seeds = HotpSeeds(world.hsm)
    cell = make_cell(world).made.cell
    apps = [seeds.make(cell) for _ in range(3)]

    def uses(place: int, counter: int) -> bool:
        seed, sealed = apps[place]
        code = CountingApp(seed=seed).at(counter)
        return seeds.use_up(code, cell=cell, sealed=sealed, counter=0) is not None

    assert [uses(0, 0), uses(1, 0), uses(0, 1), uses(2, 0)] == [True] * 4
    assert [uses(0, 1), uses(2, 0)] == [False] * 2
    assert uses(1, 0)


# --- how far an app may be ahead ------------------------------------------------


@pytest.mark.parametrize("ahead", range(LOOK_AHEAD))
def test_a_code_that_is_a_little_ahead_is_taken(owner: Owner, ahead: int) -> None:
    counter = owner.counter
    owner.approve(owner.app.at(counter + ahead))
    assert owner.counter == counter + ahead + 1


@pytest.mark.parametrize("ahead", [-1, LOOK_AHEAD, LOOK_AHEAD + 1, LOOK_AHEAD_OF_TWO])
def test_a_code_that_is_further_ahead_or_behind_is_not(owner: Owner, ahead: int) -> None:
    with pytest.raises(WrongCode):
        owner.approve(owner.app.at(owner.counter + ahead))


@pytest.mark.parametrize("ahead", [0, LOOK_AHEAD, LOOK_AHEAD_OF_TWO - 1])
def test_two_codes_in_a_row_find_an_app_that_is_far_ahead(owner: Owner, ahead: int) -> None:
    """RFC 4226, 7.4."""
    counter = owner.counter + ahead
    owner.approve(owner.app.at(counter) + owner.app.at(counter + 1))
    assert owner.counter == counter + 2
    with pytest.raises(WrongCode):
        owner.approve(owner.app.at(counter + 1))
    owner.approve(owner.app.at(counter + 2))


@pytest.mark.parametrize(
    ("first", "second"),
    [(-1, 0), (LOOK_AHEAD_OF_TWO, LOOK_AHEAD_OF_TWO + 1), (9, 9), (9, 11), (10, 9)],
)
def test_two_codes_that_are_not_in_a_row_or_not_ahead_are_refused(
    owner: Owner, first: int, second: int
) -> None:
    counter = owner.counter
    with pytest.raises(WrongCode):
        owner.approve(owner.app.at(counter + first) + owner.app.at(counter + second))


@pytest.mark.parametrize("typed", ["", "0" * 7, "0" * 9, "0" * 24, "\u0660" * 8])
def test_what_is_no_code_is_wrong(owner: Owner, typed: str) -> None:
    with pytest.raises(WrongCode):
        owner.approve(typed)


def test_t_15_three_codes_for_an_ask_are_looked_at_whatever_the_method(owner: Owner) -> None:
    opened = owner.open()
    for left in (2, 1, 0):
        with pytest.raises(WrongCode) as caught:
            owner.type(opened, "00000000")
        assert caught.value.tries_left == left
    with pytest.raises(TooManyTries):
        owner.type(opened, owner.app.press())


# --- the seed -------------------------------------------------------------------


@pytest.mark.parametrize("sealed", [None, "", "x", "AAAA", "A" * 64])
def test_a_seed_that_the_record_does_not_name_is_refused(owner: Owner, sealed: str | None) -> None:
    with pytest.raises(CodeRefused) as caught:
        owner.type(owner.open(), owner.app.press(), seed=sealed)
    assert caught.value.rule == 3


def test_a_seed_of_another_cell_opens_nothing_even_if_a_record_named_it(
    world: SamWorld, owner: Owner
) -> None:
    """With KS in an attacker's hand."""
    foreign, app = begin(CodeSigner(cell=ready_cell(world)))
    named = HotpState(seed=Octets32(foreign.seed_hash), counter=0)
    owner.signer.cell.record, _ = world.sam._voice.next_record(owner.signer.cell.record, hotp=named)
    with pytest.raises(CodeRefused) as caught:
        owner.type(owner.open(), app.press(), seed=foreign.sealed)
    assert caught.value.rule == 3


def test_a_seed_of_one_kind_is_none_of_the_other(signer: CodeSigner) -> None:
    """Or the codes of an app that counts could be had from one that goes by time."""
    by_time = signer.world.sam.make_seed(MakeSeed(record=signer.cell.record))
    counting, app = begin(signer)
    for method, made in (("password+hotp", by_time), ("password+totp", counting)):
        with pytest.raises(AmendmentRefused) as caught:
            ask(signer, made, app.at(0), method=method)
        assert caught.value.rule == 1


@pytest.mark.parametrize("member", ["password+totp", "password+sms"])
def test_a_method_that_the_record_does_not_name_is_refused(owner: Owner, member: str) -> None:
    with pytest.raises(CodeRefused) as caught:
        owner.type(owner.open(), owner.app.press(), method=member)
    assert caught.value.rule == 3


def test_a_record_without_an_app_lets_none_approve(signer: CodeSigner) -> None:
    made, app = begin(signer)
    owner = Owner(signer=signer, made=made, app=app, lock=signer.lock)
    with pytest.raises(CodeRefused) as caught:
        owner.type(owner.open(), app.press())
    assert caught.value.rule == 3


# --- the door -------------------------------------------------------------------


def closed(owner: Owner, opened: OpenedTransaction, by: ApprovedByCode, *, rule: int) -> None:
    with pytest.raises(DoorRefused) as caught:
        owner.signer.world.sam.release(owner.signer.evidence(opened, by))
    assert caught.value.rule == rule


def test_the_door_wants_the_record_in_which_the_code_is_used_up(owner: Owner) -> None:
    """Or an approval could be kept, and its record not."""
    opened = owner.open()
    by = owner.type(opened, owner.app.press())
    closed(owner, opened, by, rule=4)
    owner.keep(by)
    owner.approve(owner.app.press())
    assert owner.signer.world.sam.release(owner.signer.evidence(opened, by)).signatures


def test_the_door_refuses_an_app_that_was_replaced_since(owner: Owner) -> None:
    opened = owner.open()
    by = owner.type(opened, owner.app.press())
    owner.keep(by)
    made, app = begin(owner.signer)
    for _ in range(2):
        app.press()
    asked = ask(owner.signer, made, app.press(), lock=owner.lock)
    owner.signer.cell.record = amend(owner.signer, asked).record
    assert owner.counter > 2
    closed(owner, opened, by, rule=4)


def test_the_door_refuses_a_method_that_was_taken_back_since(world: SamWorld, owner: Owner) -> None:
    opened = owner.open()
    by = owner.approve(owner.app.press())
    voice, record = world.sam._voice, owner.signer.cell.record
    kept = owner.record
    app_alone = msgspec.structs.replace(kept.policy, methods=("app",))
    for changes in ({"policy": app_alone}, {"hotp": None}):
        owner.signer.cell.record, _ = voice.next_record(record, **changes)
        closed(owner, opened, by, rule=3)


# --- enrolment ------------------------------------------------------------------


@pytest.mark.parametrize("first", range(LOOK_AHEAD))
def test_a_first_code_may_be_one_of_the_first_three(signer: CodeSigner, first: int) -> None:
    """Some apps show the second code first."""
    made, app = begin(signer)
    asked = ask(signer, made, app.at(first))
    signer.cell.record = amend(signer, asked).record
    owner = Owner(signer=signer, made=made, app=app, lock=asked.lock)
    assert owner.counter == first + 1


def test_t_15_three_first_codes_of_a_seed_are_looked_at(signer: CodeSigner) -> None:
    made, app = begin(signer)
    for code in ("00000000", None, app.at(LOOK_AHEAD)):
        with pytest.raises(WrongCode):
            ask(signer, made, code)
    with pytest.raises(TooManyTries):
        ask(signer, made, app.press())


def test_rule_5_sets_no_counter_back_by_an_ask_of_before(owner: Owner) -> None:
    """Else an ask that was approved once sets the counter back, and gives used codes again."""
    made, app = begin(owner.signer)
    asked = ask(owner.signer, made, app.press(), lock=owner.lock)
    evidence = approved(owner.signer, asked)
    owner.signer.cell.record = owner.signer.world.sam.amend(evidence).record
    other = Owner(signer=owner.signer, made=made, app=app, lock=asked.lock)
    other.approve(app.press())
    with pytest.raises(AmendmentRefused) as caught:
        owner.signer.world.sam.amend(
            msgspec.structs.replace(evidence, record=owner.signer.cell.record)
        )
    assert caught.value.rule == 5


def test_taken_back_the_app_is_gone_from_the_record_and_its_approvals_stop(owner: Owner) -> None:
    """Decision 29; set up again it has another seed."""
    opened, sam = owner.open(), owner.signer.world.sam
    by = owner.type(opened, owner.app.press())
    owner.keep(by)
    tightened = sam.tighten(Tighten(record=owner.signer.cell.record, method="password+hotp"))
    assert (tightened.methods, tightened.hotp) == (("app",), None)
    owner.signer.cell.record = tightened.record
    assert owner.record.hotp is None
    closed(owner, opened, by, rule=3)


def test_another_method_that_is_taken_back_leaves_the_counter(world: SamWorld) -> None:
    signer = with_phone(world)
    made, app = begin(signer)
    amended = amend(signer, ask(signer, made, app.press()))
    without = Tighten(record=amended.record, method="password+sms")
    tightened = world.sam.tighten(without)
    assert tightened.hotp == made.seed_hash
    assert tightened.methods == ("app", "password+hotp")


def test_a_phones_removal_leaves_the_counter(owner: Owner) -> None:
    cell = owner.signer.cell
    removed = owner.signer.world.sam.remove_device(
        RemoveDevice(record=cell.record, kid=cell.phone.kid)
    )
    cell.record = removed.record
    assert owner.counter == 1
    owner.approve(owner.app.press())
