"""Whatever happens in whatever order: signatures out ⊆ hashes the phone approved, each once.

The machine drives the real code on a real database with a real SAM. It keeps its own book of what
the phone approved; the code under test never sees that book.
"""

import shutil
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError

from backend.errors import CellkeyError
from backend.model.base import Base
from backend.model.tables import Approval, Device
from backend.sam.cells import RemoveDevice
from backend.signing.authorization import csc_sad_of
from backend.signing.cancellation import cancel
from backend.signing.expiry import expire_overdue
from backend.signing.release import release
from backend.signing.request import RequestedTransaction
from backend.wiring import make_engine, make_session_factory
from tests.world.clock import SettableClock
from tests.world.code_cell import policy_with
from tests.world.code_world import open_code_world
from tests.world.sam import open_sam_world, software_hsm
from tests.world.second_phone import ask_removal_of, follow_removals, let_in
from tests.world.signing_world import SigningWorld, hashes

pytestmark = pytest.mark.sms

GUARDS_OF_ONCE = {"signatures", "receipts", "authorised_hashes", "approvals", "transactions"}
"""Who rewrites these can have a hash signed again: invariant 4 is not against the database."""
EDITABLE = [
    (table.name, column.name) for table in Base.metadata.sorted_tables for column in table.columns
]
NO_DELAY = policy_with(sms_delay=0, multisign=1000)
"""So that phone and code may race."""
IDEAS = st.one_of(
    st.none(), st.binary(max_size=40), st.integers(0, 99), st.sampled_from(["approved", "", "x"])
)


class Life(RuleBasedStateMachine):
    """Transactions of one signer, and everybody who may touch them."""

    template: ClassVar[Path]
    asked = Bundle("asked")

    def __init__(self) -> None:
        """A new signer, phone, database and clock."""
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="cellkey-life-"))
        self.path = self.folder / "cellkey.sqlite3"
        shutil.copyfile(self.template, self.path)
        self.clock = SettableClock()
        self.hsm = software_hsm(self.folder / "vault")
        self.engine = make_engine(f"sqlite:///{self.path}")
        sam = open_sam_world(self.hsm, self.clock)
        self.page = open_code_world(
            sam, make_session_factory(self.engine), self.clock, phone=True, policy=NO_DELAY
        )
        self.world = self.page.world
        self.numbers = iter(range(10_000))
        self.approved: set[bytes] = set()
        self.out: dict[bytes, set[bytes]] = {}
        self.once_is_guarded = True
        self.second: SigningWorld | None = None
        self.second_is_removed = False
        self.by_second_alone: set[bytes] = set()
        self.rows_are_ours = True

    def teardown(self) -> None:
        """Throw everything away."""
        self.engine.dispose()
        shutil.rmtree(self.folder)

    # --- people -----------------------------------------------------------------

    @rule(target=asked, count=st.integers(1, 3))
    def request(self, count: int) -> Any:  # noqa: ANN401  # as Hypothesis has it
        """The relying party asks."""
        wanted = hashes(count, seed=str(next(self.numbers)))
        try:
            return (self.world.request(*wanted), wanted)
        except (CellkeyError, SQLAlchemyError, ValueError, TypeError):
            return multiple()

    @rule(transaction=asked)
    def approve(self, transaction: tuple[RequestedTransaction, tuple[bytes, ...]]) -> None:
        """The signer approves on the phone; from here on these hashes may be signed."""
        requested, wanted = transaction
        with suppress(CellkeyError, SQLAlchemyError, ValueError, TypeError):
            approval, sealed = self.world.answer(requested.id)
            self._said_yes(wanted)
            self.world.send(requested.id, approval, sealed)

    def _said_yes(self, wanted: tuple[bytes, ...]) -> None:
        """Write it into the book."""
        self.approved |= set(wanted)
        self.by_second_alone -= set(wanted)

    @rule(transaction=asked)
    def approve_by_code(self, transaction: tuple[RequestedTransaction, tuple[bytes, ...]]) -> None:
        """The signer types password and the code of the SMS; from here on these may be signed."""
        requested, wanted = transaction
        with suppress(CellkeyError, SQLAlchemyError, ValueError, TypeError, IndexError):
            code = self.page.code(requested.id)
            self._said_yes(wanted)
            self.page.approve(requested.id, code)

    @rule(
        transaction=asked,
        code=st.sampled_from(["00000000", "12345678", ""]),
        method=st.sampled_from(["password+sms", "password+totp", "password+hotp"]),
    )
    def guess_a_code(
        self,
        transaction: tuple[RequestedTransaction, tuple[bytes, ...]],
        code: str,
        method: str,
    ) -> None:
        """Somebody who knows the password types a code that nobody sent."""
        with suppress(CellkeyError, SQLAlchemyError, ValueError, TypeError):
            self.page.approve(transaction[0].id, code, method=method)

    @rule(transaction=asked)
    def type_a_code_without_the_password(
        self, transaction: tuple[RequestedTransaction, tuple[bytes, ...]]
    ) -> None:
        """Somebody who reads the SMS does not know the password."""
        with suppress(CellkeyError, SQLAlchemyError, ValueError, TypeError, IndexError):
            code = self.page.code(transaction[0].id)
            self.page.approve(transaction[0].id, code, unverified_password="guess")

    @rule(transaction=asked)
    def send_the_sms_again(
        self, transaction: tuple[RequestedTransaction, tuple[bytes, ...]]
    ) -> None:
        """The page lets it be sent again."""
        with suppress(CellkeyError, SQLAlchemyError, ValueError, TypeError):
            self.page.send(transaction[0].id)

    @rule(transaction=asked)
    def refuse(self, transaction: tuple[RequestedTransaction, tuple[bytes, ...]]) -> None:
        """The signer refuses."""
        with suppress(CellkeyError, SQLAlchemyError, ValueError, TypeError):
            self.world.refuse(transaction[0].id)

    @rule(transaction=asked, take=st.integers(1, 3), mixed=asked)
    def collect(
        self,
        transaction: tuple[RequestedTransaction, tuple[bytes, ...]],
        take: int,
        mixed: tuple[RequestedTransaction, tuple[bytes, ...]],
    ) -> None:
        """The relying party collects, sometimes another transaction's hashes."""
        for wanted in (transaction[1][:take], mixed[1][:take]):
            with suppress(CellkeyError, SQLAlchemyError, ValueError, TypeError):
                signatures = self._released(transaction[0], wanted)
                for digest, signature in zip(wanted, signatures, strict=True):
                    self.out.setdefault(digest, set()).add(signature)

    def _released(
        self, requested: RequestedTransaction, wanted: tuple[bytes, ...]
    ) -> tuple[bytes, ...]:
        now = self.clock()

        def wait(seconds: float) -> None:
            self.clock.advance(seconds=seconds)

        try:
            with self.world.sessions() as session:
                return release(
                    session,
                    self.world.sam.sam,
                    self.world.collection(csc_sad_of(requested.handle), *wanted),
                    now=self.clock,
                    pause=wait,
                )
        finally:
            self.clock.set(now)

    @rule(transaction=asked)
    def cancel(self, transaction: tuple[RequestedTransaction, tuple[bytes, ...]]) -> None:
        """An operator cancels."""
        with (
            suppress(CellkeyError, SQLAlchemyError, ValueError, TypeError),
            self.world.sessions() as session,
        ):
            cancel(session, transaction=transaction[0].id, because="test", now=self.clock())

    @rule(seconds=st.sampled_from([1, 60, 299, 300, 301, 600, 4000]))
    def time_passes(self, seconds: int) -> None:
        """Clocks go on; the worker expires, the SAM destroys finished hours."""
        self.clock.advance(seconds=seconds)
        with suppress(SQLAlchemyError, ValueError), self.world.sessions() as session:
            expire_overdue(session, now=self.clock())
        self.world.sam.sam.destroy_finished_hours()

    @rule()
    def freeze(self) -> None:
        """The signer's access is locked."""
        with suppress(SQLAlchemyError):
            self.world.freeze()

    @rule()
    def remove_device(self) -> None:
        """The phone is removed; it may go on answering, in vain."""
        removed = self.world.sam.sam.remove_device(
            RemoveDevice(record=self.world.cell.record, kid=self.world.cell.phone.kid)
        )
        with suppress(SQLAlchemyError), self.world.sessions.begin() as session:
            session.execute(update(Device).values(removed_at=self.clock()))
        del removed

    # --- a second phone ---------------------------------------------------------

    @precondition(lambda self: self.second is None)
    @rule()
    def let_a_second_phone_in(self) -> None:
        """The first one asks for it and approves it; the clerk writes the record."""
        with suppress(CellkeyError, SQLAlchemyError, ValueError, TypeError, AssertionError):
            self.second = let_in(self.world)

    @precondition(lambda self: self.second is not None)
    @rule(transaction=asked)
    def approve_on_the_second_phone(
        self, transaction: tuple[RequestedTransaction, tuple[bytes, ...]]
    ) -> None:
        """It counts until the phone is removed; who writes rows may put the record back."""
        requested, wanted = transaction
        assert self.second is not None
        with suppress(CellkeyError, SQLAlchemyError, ValueError, TypeError):
            approval, sealed = self.second.answer(requested.id)
            if not (self.second_is_removed and self.rows_are_ours):
                self.by_second_alone |= set(wanted) - self.approved
                self.approved |= set(wanted)
            self.second.send(requested.id, approval, sealed)

    @precondition(lambda self: self.second is not None and not self.second_is_removed)
    @rule()
    def remove_the_second_phone(self) -> None:
        """From here on nothing is signed by its word that has not been."""
        assert self.second is not None
        with suppress(CellkeyError, SQLAlchemyError, ValueError, TypeError):
            ask_removal_of(self.second, by=self.world)
            self.second_is_removed = True
            if self.rows_are_ours:
                self.approved -= self.by_second_alone - self.out.keys()

    @rule()
    def the_clerk_follows_removals(self) -> None:
        """The record forgets what is removed."""
        with suppress(CellkeyError, SQLAlchemyError, ValueError, TypeError):
            follow_removals(self.world)

    # --- attackers and accidents ------------------------------------------------

    @rule(one=asked, other=asked)
    def replay(
        self,
        one: tuple[RequestedTransaction, tuple[bytes, ...]],
        other: tuple[RequestedTransaction, tuple[bytes, ...]],
    ) -> None:
        """Evidence of one transaction is sent for another."""
        with suppress(CellkeyError, SQLAlchemyError, ValueError, TypeError):
            with self.world.sessions() as session:
                evidence = session.get_one(Approval, one[0].id)
            self.world.send(other[0].id, evidence.approval, evidence.sealed or "")

    @rule(transaction=asked, position=st.integers(0, 400), by=st.sampled_from("AB09_-."))
    def tamper(
        self,
        transaction: tuple[RequestedTransaction, tuple[bytes, ...]],
        position: int,
        by: str,
    ) -> None:
        """One character of an approval is changed on the way."""
        with suppress(CellkeyError, SQLAlchemyError, ValueError, TypeError):
            approval, sealed = self.world.answer(transaction[0].id)
            changed = approval[:position] + by + approval[position + 1 :]
            if changed == approval:
                self._said_yes(transaction[1])
            self.world.send(transaction[0].id, changed, sealed)

    @rule(place=st.sampled_from(EDITABLE), value=IDEAS)
    def edit_any_row(self, place: tuple[str, str], value: object) -> None:
        """Somebody writes into the database."""
        table, column = place
        with closing(sqlite3.connect(self.path, timeout=10)) as connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            with suppress(sqlite3.IntegrityError):
                statement = f'UPDATE {table} SET "{column}" = ?'  # noqa: S608  # names of our schema
                connection.execute(statement, (value,))
            connection.commit()
        if table in GUARDS_OF_ONCE:
            self.once_is_guarded = False
        self.rows_are_ours = False

    @rule()
    def crash(self) -> None:
        """Every process dies; the SAM forgets what it had in memory."""
        self.engine.dispose()
        self.world.sam = open_sam_world(self.hsm, self.clock, worker_key=self.world.sam.worker_key)

    @rule(transaction=consumes(asked))
    def forget(self, transaction: tuple[RequestedTransaction, tuple[bytes, ...]]) -> None:
        """The relying party loses a handle."""
        del transaction

    # --- what must hold -----------------------------------------------------------

    @invariant()
    def only_what_the_phone_approved_was_signed(self) -> None:
        """Invariant 1."""
        assert self.out.keys() <= self.approved

    @invariant()
    def each_hash_has_one_signature(self) -> None:
        """Invariant 4."""
        if self.once_is_guarded:
            assert all(len(signatures) == 1 for signatures in self.out.values())


@pytest.mark.timeout(900)  # more steps than any other test
def test_signatures_out_are_hashes_the_phone_approved_each_once(sqlite_template: Path) -> None:
    Life.template = sqlite_template
    run_state_machine_as_test(Life, settings=settings(max_examples=40, stateful_step_count=30))


def test_the_machine_does_approve_by_code(sqlite_template: Path) -> None:
    """Likewise: the codes that its rules type are right."""
    Life.template = sqlite_template
    life = Life()
    try:
        transaction = life.request(2)
        life.guess_a_code(transaction, "00000000", "password+sms")
        life.collect(transaction, 2, transaction)
        assert not life.out
        life.approve_by_code(transaction)
        life.collect(transaction, 2, transaction)
        assert len(life.out) == 2
    finally:
        life.teardown()


def test_the_machine_does_release_signatures(sqlite_template: Path) -> None:
    """So that the invariants above are not kept by an empty book."""
    Life.template = sqlite_template
    life = Life()
    try:
        transaction = life.request(2)
        life.approve(transaction)
        life.collect(transaction, 2, transaction)
        assert len(life.out) == 2
    finally:
        life.teardown()


def test_the_machine_does_approve_on_a_second_phone_until_it_is_removed(
    sqlite_template: Path,
) -> None:
    """Likewise; and what it approved in vain is not signed after its removal."""
    Life.template = sqlite_template
    life = Life()
    try:
        life.let_a_second_phone_in()
        asked: list[Any] = [life.request(1) for _ in range(3)]
        signed, unsigned, late = asked
        life.approve_on_the_second_phone(signed)
        life.approve_on_the_second_phone(unsigned)
        life.collect(signed, 1, signed)
        life.remove_the_second_phone()
        life.approve_on_the_second_phone(late)
        for transaction in (unsigned, late):
            life.collect(transaction, 1, transaction)
        life.the_clerk_follows_removals()
        life.collect(unsigned, 1, late)
        assert life.out.keys() == life.approved == set(signed[1])
    finally:
        life.teardown()
