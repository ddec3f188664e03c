"""An app that counts, from the page through phone and clerk to a signature; and who comes second.

Its counter stands in the cell's record alone: no row that somebody writes back gives a code again.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from pyotp import HOTP, parse_uri
from sqlalchemy import Engine, delete, func, select, update
from sqlalchemy.orm import Session, sessionmaker

from backend.credentials.amendment import approved_amendments, finish_amendment
from backend.csc.answers import sad_of
from backend.devices.enrolment.removal import remove
from backend.errors import (
    AlreadyThere,
    CellkeyError,
    CodeRefused,
    DoorRefused,
    NotFound,
    SignerFrozen,
    TooManyTries,
    TransactionOver,
    WrongCode,
)
from backend.model.tables import Approval, Cell, Device, HotpSeed, Record, Signer, TransactionState
from backend.protocol.record import CellRecord, verify_record
from backend.signers import password
from backend.signing.amendment import AskedAmendment, ask_amendment, begin_authenticator
from backend.signing.authorization import Authorization
from backend.signing.cancellation import cancel
from tests.world.code_cell import CodeSigner
from tests.world.code_world import PASSWORD, SALT, WITH_SMS, CodeWorld
from tests.world.counting_app import CountingApp
from tests.world.killed import killed_everywhere
from tests.world.meanwhile import Meanwhile
from tests.world.paired_cell import make_cell
from tests.world.sam import open_sam_world
from tests.world.signing_world import SigningWorld, hashes, world_of

HOTP_METHOD = "password+hotp"
APPROVED = TransactionState.APPROVED
PENDING = TransactionState.PENDING


@dataclass(kw_only=True)
class Counting:
    """A signer's page, and the app that counts."""

    page: CodeWorld
    app: CountingApp = field(default_factory=lambda: CountingApp(seed=""))

    @property
    def world(self) -> SigningWorld:
        """Where the signer is."""
        return self.page.world

    @property
    def sam(self) -> Any:  # noqa: ANN401  # a Sam
        """The SAM that runs."""
        return self.page.world.sam.sam

    def fresh_sam(self) -> Any:  # noqa: ANN401  # a Sam
        """One that was started anew, and remembers nothing."""
        return open_sam_world(self.world.sam.hsm, self.page.clock).sam

    def begin(self) -> str:
        """Have a seed shown, and let the app read it; gives the address in the QR code."""
        with self.world.sessions() as session:
            shown = begin_authenticator(
                session,
                self.sam,
                signer=self.page.id,
                method="password+hotp",
                settings=self.world.settings,
                now=self.page.clock(),
            )
        self.app = CountingApp(seed=shown.seed)
        return shown.uri

    def ask(self, **members: Any) -> AskedAmendment:  # noqa: ANN401  # arguments of ask_amendment
        given: dict[str, Any] = {
            "signer": self.page.id,
            "method": HOTP_METHOD,
            "unverified_password": PASSWORD,
            "settings": self.world.settings,
            "now": self.page.clock(),
        }
        if "unverified_code" not in members:
            given["unverified_code"] = self.app.press()
        sam = members.pop("sam", self.sam)
        with self.world.sessions() as session:
            return ask_amendment(session, sam, **(given | members))

    def answer(self, asked: AskedAmendment) -> None:
        """The phone approves, with the number of the page."""
        read, cell = self.world.read_ask(asked.transaction), self.page.signer.cell
        secret = cell.phone.secret_in_lock(cell.device_lock)
        self.world.send(asked.transaction, *cell.phone.approve(read, secret, number=asked.number))

    def finish(self, sam: Any = None) -> list[bool]:  # noqa: ANN401  # a Sam
        """What the clerk does; gives what came of each."""
        with self.world.sessions() as session:
            found = approved_amendments(session, self.page.clock())
            session.commit()
            return [
                finish_amendment(session, sam or self.sam, transaction=each, now=self.page.clock())
                for each in found
            ]

    def set_up(self) -> None:
        """All of it."""
        self.begin()
        self.answer(self.ask())
        assert self.finish() == [True]

    def request(self) -> UUID:
        """Something to sign."""
        return self.world.request(*hashes(1)).id

    def approve(self, transaction: UUID, code: str | None = None, **members: Any) -> Any:  # noqa: ANN401  # as CodeWorld.approve
        """Type the app's next code, or another."""
        typed = self.app.press() if code is None else code
        return self.page.approve(transaction, typed, method=HOTP_METHOD, **members)

    def record(self) -> CellRecord:
        """The newest record, as the rows have it."""
        cell = self.page.signer.cell.made.cell
        with self.world.sessions() as session:
            text = session.scalars(
                select(Record.record)
                .join(Cell, Cell.id == Record.cell_id)
                .where(Cell.id == cell, Record.epoch == Cell.epoch)
            ).one()
        return verify_record(text, expected_ks=self.world.sam.public_keys.ks)

    @property
    def counter(self) -> int:
        """Of the next code, as the record has it."""
        held = self.record().hotp
        assert held is not None
        return held.counter


def beside(world: SigningWorld) -> Counting:
    cell = make_cell(world.sam, password_hash=password.argon2_hash(PASSWORD, SALT))
    cell.pair()
    cell.certify()
    after = world.clock() + timedelta(days=400)
    made = world_of(
        world.sam, world.sessions, world.clock, cell=cell, not_after=after, login="boris"
    )
    page = CodeWorld(world=replace(made, settings=WITH_SMS), signer=CodeSigner(cell=cell))
    return Counting(page=page)


@pytest.fixture
def owner(world_on_sqlite: SigningWorld) -> Counting:
    """A signer whose app is set up."""
    made = beside(world_on_sqlite)
    made.set_up()
    return made


@pytest.fixture
def boris(world: SigningWorld) -> Counting:
    """The same, on each of the two databases."""
    made = beside(world)
    made.set_up()
    return made


def at_once(*calls: Callable[[], object]) -> list[object]:
    """What each call gave, or raised."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], object]) -> object:
        barrier.wait()
        try:
            return call()
        except CellkeyError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


# --- the way --------------------------------------------------------------------


def test_an_app_is_shown_its_seed_once_confirmed_and_then_signs(world: SigningWorld) -> None:
    counting = beside(world)
    uri = counting.begin()
    read = parse_uri(uri)
    assert isinstance(read, HOTP)
    assert (read.secret, read.digits, read.name) == (counting.app.seed, 8, "boris")
    assert (uri.startswith("otpauth://hotp/"), "counter=0" in uri) == (True, True)
    counting.answer(counting.ask())
    assert counting.finish() == [True]
    assert counting.counter == 1

    wanted = hashes(1)
    requested = counting.world.request(*wanted)
    assert counting.page.ways(requested.id).hotp.open
    assert not counting.page.ways(requested.id).totp.open
    assert counting.approve(requested.id) is APPROVED
    assert counting.page.row(requested.id).method == HOTP_METHOD
    assert counting.counter == 2
    told = counting.world.check(requested)
    assert isinstance(told, Authorization)
    assert sad_of(told)["method"] == HOTP_METHOD
    assert counting.world.collect(counting.world.csc_sad(requested), *wanted)
    assert counting.page.tries_of_day() == 0


def test_where_no_phone_is_left_the_app_alone_is_enough(owner: Counting) -> None:
    removed = update(Device).values(removal_asked_at=owner.page.clock())
    owner.world.overwrite(lambda session: session.execute(removed))
    assert owner.approve(owner.request()) is APPROVED


def test_a_code_is_refused_again_also_by_a_sam_that_forgot_it(owner: Counting) -> None:
    code = owner.app.press()
    owner.approve(owner.request(), code)
    again = owner.request()
    for sam in (owner.sam, owner.fresh_sam()):
        with pytest.raises(WrongCode):
            owner.approve(again, code, sam=sam)
    assert owner.approve(again, sam=owner.fresh_sam()) is APPROVED


def test_two_codes_in_a_row_find_an_app_that_is_far_ahead(owner: Counting) -> None:
    for _ in range(10):
        owner.app.press()
    requested = owner.request()
    with pytest.raises(WrongCode) as caught:
        owner.approve(requested)
    assert caught.value.tries_left == 2
    both = f"{owner.app.press()} {owner.app.press()}"
    assert owner.approve(requested, both) is APPROVED
    assert owner.counter == owner.app.counter


@pytest.mark.parametrize("typed", ["", "1234567", "1" * 15, "1" * 24, "12345678x2345678"])
def test_what_is_neither_one_code_nor_two_costs_no_try(owner: Counting, typed: str) -> None:
    requested = owner.request()
    with pytest.raises(WrongCode) as caught:
        owner.approve(requested, typed)
    assert caught.value.tries_left == 3
    assert owner.page.row(requested).code_tries == 0


def test_another_app_takes_the_place_of_the_first_and_its_seed_is_thrown_away(
    owner: Counting,
) -> None:
    first = owner.app
    owner.set_up()
    requested = owner.request()
    with pytest.raises(WrongCode):
        owner.approve(requested, first.press())
    assert owner.approve(requested) is APPROVED
    with owner.world.sessions() as session:
        assert session.scalar(select(func.count()).select_from(HotpSeed)) == 1


def test_an_app_that_goes_by_time_leaves_the_one_that_counts(owner: Counting) -> None:
    with owner.world.sessions() as session:
        begin_authenticator(
            session,
            owner.sam,
            signer=owner.page.id,
            method="password+totp",
            settings=owner.world.settings,
            now=owner.page.clock(),
        )
    assert owner.approve(owner.request()) is APPROVED


def test_three_first_codes_of_a_seed_are_looked_at(owner: Counting) -> None:
    """T-15, by the database alone: the SAM forgets between the tries."""
    owner.begin()
    for _ in range(3):
        with pytest.raises(WrongCode):
            owner.ask(unverified_code="00000000", sam=owner.fresh_sam())
    with pytest.raises(TooManyTries):
        owner.ask()


def test_where_the_seed_is_gone_no_code_helps(owner: Counting) -> None:
    owner.world.overwrite(lambda session: session.execute(delete(HotpSeed)))
    with pytest.raises(CodeRefused):
        owner.approve(owner.request())
    with pytest.raises(NotFound):
        owner.ask()


# --- rows that somebody writes back ---------------------------------------------


def test_an_older_record_in_the_rows_gives_no_code_back_while_the_sam_runs(
    owner: Counting,
) -> None:
    code = owner.app.press()
    owner.approve(owner.request(), code)

    def roll_back(session: Session) -> None:
        cell = owner.page.signer.cell.made.cell
        newest = session.get_one(Cell, cell).epoch
        session.execute(delete(Record).where(Record.cell_id == cell, Record.epoch == newest))
        session.execute(update(Cell).where(Cell.id == cell).values(epoch=newest - 1))

    owner.world.overwrite(roll_back)
    requested = owner.request()
    with pytest.raises(WrongCode):
        owner.approve(requested, code)
    assert owner.approve(requested) is APPROVED


def test_an_approval_without_its_record_releases_nothing(owner: Counting) -> None:
    """Somebody takes the record away; the door wants to read that the code is used up."""
    wanted = hashes(1)
    requested = owner.world.request(*wanted)
    owner.approve(requested.id)
    csc_sad = owner.world.csc_sad(requested)
    cell = owner.page.signer.cell.made.cell
    back = update(Cell).where(Cell.id == cell).values(epoch=Cell.epoch - 1)
    owner.world.overwrite(lambda session: session.execute(back))
    with pytest.raises(CellkeyError) as caught:
        owner.world.collect(csc_sad, *wanted)
    cause = caught.value if isinstance(caught.value, DoorRefused) else caught.value.__cause__
    assert isinstance(cause, DoorRefused)
    assert cause.rule == 4


# --- who comes second -----------------------------------------------------------


def test_of_two_codes_at_once_one_approves_and_the_other_is_typed_anew(boris: Counting) -> None:
    """(cell, epoch) is unique: the second is told so, and the app's next code does."""
    requests = [boris.request(), boris.request()]
    codes = [boris.app.press(), boris.app.press()]
    results = at_once(
        *[
            partial(boris.approve, each, code, sam=boris.fresh_sam())
            for each, code in zip(requests, codes, strict=True)
        ]
    )
    approved = [one for one in results if one is APPROVED]
    assert approved
    for requested, result in zip(requests, results, strict=True):
        if result is not APPROVED:
            assert isinstance(result, AlreadyThere | WrongCode)
            assert boris.page.row(requested).state == PENDING
            assert boris.approve(requested) is APPROVED
    assert boris.counter == boris.app.counter


def test_one_code_at_once_for_two_requests_approves_one(boris: Counting) -> None:
    """Also where two SAMs, which know nothing of each other, found it right."""
    code, requests = boris.app.press(), [boris.request(), boris.request()]
    results = at_once(
        *[partial(boris.approve, each, code, sam=boris.fresh_sam()) for each in requests]
    )
    assert results.count(APPROVED) == 1
    with boris.world.sessions() as session:
        assert session.scalar(select(func.count()).select_from(Approval)) == 2
    assert boris.counter == 2


def test_who_is_overtaken_while_the_sam_works_is_told_and_loses_no_try_of_the_day(
    boris: Counting,
) -> None:
    other, requested = boris.request(), boris.request()
    with pytest.raises(AlreadyThere):
        boris.approve(requested, sam=Meanwhile(boris.sam, partial(boris.approve, other)))
    assert boris.page.row(other).state == APPROVED
    assert boris.page.row(requested).state == PENDING
    assert boris.page.tries_of_day() == 0
    assert boris.approve(requested) is APPROVED


def test_beside_a_phones_removal_no_record_is_lost(boris: Counting) -> None:
    """Else an approval would bring the phone back."""
    cell, requested = boris.page.signer.cell, boris.request()

    def removed() -> None:
        with boris.world.sessions() as session:
            assert remove(session, boris.sam, kid=cell.phone.kid, now=boris.page.clock())

    with pytest.raises(AlreadyThere):
        boris.approve(requested, sam=Meanwhile(boris.sam, removed))
    assert boris.record().devices == ()
    assert boris.counter == 1
    assert boris.approve(requested) is APPROVED
    assert boris.record().devices == ()


@pytest.mark.sms
def test_an_approval_beside_an_amendment_of_the_same_epoch_keeps_the_counter(
    boris: Counting,
) -> None:
    """The clerk comes again, and for another epoch than was asked for: the signer asks anew."""
    asked = boris.ask(method="password+sms", unverified_code=None)
    boris.answer(asked)
    requested = boris.request()
    with pytest.raises(AlreadyThere):
        boris.finish(sam=Meanwhile(boris.sam, partial(boris.approve, requested)))
    assert boris.page.row(requested).state == APPROVED
    assert boris.finish() == [False]
    assert boris.counter == 2
    boris.answer(boris.ask(method="password+sms", unverified_code=None))
    assert boris.finish() == [True]
    assert boris.record().policy.methods == ("app", "password+hotp", "password+sms")
    assert boris.counter == 2


@pytest.mark.sms
def test_an_amendment_beside_an_approval_of_the_same_epoch_is_not_undone(boris: Counting) -> None:
    boris.answer(boris.ask(method="password+sms", unverified_code=None))
    requested = boris.request()
    with pytest.raises(AlreadyThere):
        boris.approve(requested, sam=Meanwhile(boris.sam, boris.finish))
    assert "password+sms" in boris.record().policy.methods
    assert boris.approve(requested) is APPROVED
    assert boris.record().policy.methods == ("app", "password+hotp", "password+sms")


def test_an_app_is_set_up_anew_where_the_record_went_on_before_the_clerk_came(
    owner: Counting,
) -> None:
    """The price of an ask that cannot set a counter back."""
    first = owner.app
    owner.begin()
    owner.answer(owner.ask())
    owner.page.approve(owner.request(), first.press(), method=HOTP_METHOD)
    assert owner.finish() == [False]
    owner.set_up()
    assert owner.approve(owner.request()) is APPROVED


def test_a_freeze_while_the_sam_works_keeps_the_approval_out_and_the_code_used_up(
    boris: Counting,
) -> None:
    requested, code = boris.request(), boris.app.press()
    with pytest.raises(SignerFrozen):
        boris.approve(requested, code, sam=Meanwhile(boris.sam, boris.world.freeze))
    assert boris.page.row(requested).state == PENDING
    assert boris.counter == 2


def test_an_end_while_the_sam_works_stands_and_the_code_is_used_up(boris: Counting) -> None:
    requested = boris.request()

    def called_off() -> None:
        with boris.world.sessions() as session:
            cancel(session, transaction=requested, because="test", now=boris.page.clock())

    with pytest.raises(TransactionOver):
        boris.approve(requested, sam=Meanwhile(boris.sam, called_off))
    assert boris.counter == 2
    with boris.world.sessions() as session:
        assert session.get(Approval, requested) is None


def test_too_late_for_request_and_record_is_too_late(owner: Counting) -> None:
    requested, other = owner.request(), owner.request()

    def all_at_once() -> None:
        owner.approve(other)
        with owner.world.sessions() as session:
            cancel(session, transaction=requested, because="test", now=owner.page.clock())

    with pytest.raises(TransactionOver):
        owner.approve(requested, sam=Meanwhile(owner.sam, all_at_once))
    assert owner.counter == 3


def test_of_phone_and_code_at_once_one_answer_stands(boris: Counting) -> None:
    """R-056: exactly one way wins."""
    requested = boris.request()
    results = at_once(partial(boris.approve, requested), partial(boris.world.approve, requested))
    assert results.count(APPROVED) == 1
    by_code = boris.page.row(requested).method == HOTP_METHOD
    assert boris.counter == 2 or not by_code


def test_a_phones_answer_while_the_sam_works_stands_and_the_code_is_used_up(
    owner: Counting,
) -> None:
    requested = owner.request()
    with pytest.raises(TransactionOver):
        owner.approve(requested, sam=Meanwhile(owner.sam, partial(owner.world.approve, requested)))
    assert owner.page.row(requested).method == "app"
    assert owner.counter == 2


# --- kill -9 --------------------------------------------------------------------


def test_after_a_kill_anywhere_the_next_code_approves(world: SigningWorld, engine: Engine) -> None:
    """Also between the SAM's answer and the commit; record and approval are there together."""
    counting = beside(world)
    counting.set_up()
    current = [counting.request()]

    def type_it(sessions: sessionmaker[Session]) -> None:
        page = CodeWorld(
            world=replace(counting.world, sessions=sessions), signer=counting.page.signer
        )
        page.approve(current[0], counting.app.at(counting.app.counter), method=HOTP_METHOD)

    kills = 0
    for _ in killed_everywhere(engine, type_it):
        kills += 1
        counting.app.press()
        before = counting.counter
        kept = counting.page.row(current[0]).state == APPROVED
        assert before == counting.app.counter - (0 if kept else 1)
        if not kept:
            assert counting.approve(current[0]) is APPROVED
        assert counting.counter == counting.app.counter
        counting.world.overwrite(
            lambda session: session.execute(update(Signer).values(code_tries=0))
        )
        current[0] = counting.request()
    assert kills >= 8
