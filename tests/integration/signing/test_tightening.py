"""A code that may stand for the phone is taken back: by the signer, or by an operator."""

import pytest
from sqlalchemy import select, update

from backend.credentials.amendment import approved_amendments
from backend.credentials.tightening import tighten, tighten_own
from backend.errors import (
    AlreadyThere,
    AmendmentRefused,
    CodeRefused,
    NotFound,
    SamUnavailable,
    TransactionOver,
)
from backend.model.tables import Cell, OutboxMessage, Record, TotpSeed, TransactionState
from backend.protocol.approval import CodeMethod
from backend.protocol.record import verify_record
from backend.sam.amending import Amended, Tighten
from backend.sam.module import Sam
from backend.signing.amendment import ask_amendment
from tests.world.code_world import PASSWORD, CodeWorld, open_code_world
from tests.world.signing_world import SigningWorld, hashes

pytestmark = pytest.mark.sms

SMS: CodeMethod = "password+sms"


@pytest.fixture
def boris(world: SigningWorld) -> CodeWorld:
    """A signer with a phone who may approve by SMS, on each of the two databases."""
    return open_code_world(world.sam, world.sessions, world.clock, phone=True, login="boris")


@pytest.fixture
def owner(world_on_sqlite: SigningWorld) -> CodeWorld:
    """The same, where the database is not what is tried."""
    world = world_on_sqlite
    return open_code_world(world.sam, world.sessions, world.clock, phone=True, login="boris")


def take_back(page: CodeWorld, method: CodeMethod = SMS, *, sam: Sam | None = None) -> bool:
    with page.world.sessions() as session:
        return tighten(
            session, sam or page.world.sam.sam, signer=page.id, method=method, now=page.clock()
        )


def take_own_back(page: CodeWorld) -> bool:
    with page.world.sessions() as session:
        return tighten_own(
            session, page.world.sam.sam, signer=page.id, method=SMS, now=page.clock()
        )


def cell(page: CodeWorld) -> Cell:
    with page.world.sessions() as session:
        return session.get_one(Cell, page.signer.cell.made.cell)


def test_a_method_that_was_taken_back_approves_nothing_any_more(boris: CodeWorld) -> None:
    assert take_own_back(boris)
    assert not take_own_back(boris)

    asked = boris.world.request(*hashes(1))
    assert boris.texts(asked.id) == []
    assert boris.ways(asked.id).sms.why_not == "not_allowed"
    assert cell(boris).methods == "app"
    with boris.world.sessions() as session:
        newest = select(Record.record).where(Record.epoch == cell(boris).epoch)
        text = session.scalars(newest.where(Record.cell_id == cell(boris).id)).one()
    record = verify_record(text, expected_ks=boris.world.sam.public_keys.ks)
    assert record.policy.methods == ("app",)


def test_what_a_code_approved_before_stops_at_the_door(boris: CodeWorld) -> None:
    """The relying party may collect already, and gets nothing; the phone's approvals go on."""
    wanted, other = hashes(1), hashes(1, seed="by phone")
    by_code, by_phone = boris.world.request(*wanted), boris.world.request(*other)
    boris.wait_for_sms()
    assert boris.approve(by_code.id) is TransactionState.APPROVED
    boris.world.approve(by_phone.id)
    sad = boris.world.csc_sad(by_code)
    take_back(boris)

    with pytest.raises(TransactionOver):
        boris.world.collect(sad, *wanted)
    assert boris.world.state(by_code.id) == "failed"
    assert boris.world.collect(boris.world.csc_sad(by_phone), *other)


def test_a_code_that_was_sent_before_is_refused_and_none_is_sent_after(boris: CodeWorld) -> None:
    sent = boris.world.request(*hashes(1))
    boris.wait_for_sms()
    code = boris.code(sent.id)
    take_back(boris)

    assert boris.texts(sent.id) == []
    with pytest.raises(CodeRefused):
        boris.approve(sent.id, code)
    with boris.world.sessions() as session:
        pushes = select(OutboxMessage.id).where(OutboxMessage.transaction_id == sent.id)
        assert session.scalars(pushes).all()  # the phone is still woken


def test_what_the_phone_was_asked_to_allow_ends(owner: CodeWorld) -> None:
    """Else a yes from before would bring the method back."""
    page = owner
    with page.world.sessions() as session:
        asked = ask_amendment(
            session,
            page.world.sam.sam,
            signer=page.id,
            method=SMS,
            unverified_password=PASSWORD,
            unverified_code=None,
            settings=page.world.settings,
            now=page.clock(),
        )
    read = page.world.read_ask(asked.transaction)
    secret = page.signer.cell.phone.secret_in_lock(page.signer.cell.device_lock)
    page.world.send(
        asked.transaction, *page.signer.cell.phone.approve(read, secret, number=asked.number)
    )
    take_back(page)

    assert page.world.state(asked.transaction) == "cancelled"
    assert page.world.sealed(asked.transaction) is None
    with page.world.sessions() as session:
        assert approved_amendments(session, page.clock()) == []


def test_a_seed_goes_with_its_method(owner: CodeWorld) -> None:
    """Rows that say more than the record change nothing: the SAM is asked."""
    row = {"cell_id": cell(owner).id, "created_at": owner.clock(), "tries": 0}
    owner.world.overwrite(
        lambda session: session.add(TotpSeed(seed_hash=bytes(32), sealed="x", **row))
    )
    assert not take_back(owner, "password+totp")
    owner.world.overwrite(
        lambda session: session.execute(
            update(Cell).where(Cell.id == cell(owner).id).values(methods="app password+totp")
        )
    )
    with pytest.raises(AmendmentRefused, match="not allowed"):
        take_back(owner, "password+totp")
    assert cell(owner).methods == "app password+totp"


def test_who_has_no_phone_takes_nothing_back_alone(world_on_sqlite: SigningWorld) -> None:
    """An operator may: the signer asked for it at the counter."""
    world = world_on_sqlite
    alone = open_code_world(world.sam, world.sessions, world.clock, phone=False, login="boris")
    with pytest.raises(NotFound):
        take_own_back(alone)
    assert cell(alone).methods == "app password+sms"
    assert take_back(alone)


def test_a_record_that_goes_on_meanwhile_is_tightened_all_the_same(owner: CodeWorld) -> None:
    page = owner
    sam = Interrupted(page, times=1)
    assert take_back(page, sam=sam)  # type: ignore[arg-type]  # as far as tightening goes
    assert cell(page).methods == "app"
    assert cell(page).epoch == sam.first_epoch + 2


def test_a_record_that_goes_on_all_the_time_is_left_as_it_is(owner: CodeWorld) -> None:
    page = owner
    sam = Interrupted(page, times=3)
    with pytest.raises(AlreadyThere):
        take_back(page, sam=sam)  # type: ignore[arg-type]  # as far as tightening goes
    assert cell(page).methods == "app password+sms"


def test_without_the_sam_nothing_changes(owner: CodeWorld) -> None:
    class Away:
        def tighten(self, request: Tighten) -> Amended:
            raise SamUnavailable("away")

    with pytest.raises(SamUnavailable):
        take_back(owner, sam=Away())  # type: ignore[arg-type]  # as far as tightening goes
    assert cell(owner).methods == "app password+sms"


class Interrupted:
    """The real SAM; while it works the cell's record goes on, so many times."""

    def __init__(self, page: CodeWorld, *, times: int) -> None:
        self.page, self.times = page, times
        self.first_epoch = cell(page).epoch

    def tighten(self, request: Tighten) -> Amended:
        answer = self.page.world.sam.sam.tighten(request)
        if self.times:
            self.times -= 1
            voice = self.page.world.sam.sam._voice
            text, following = voice.next_record(request.record)
            with self.page.world.sessions.begin() as session:
                session.execute(
                    update(Cell).where(Cell.id == answer.cell).values(epoch=following.epoch)
                )
                session.add(
                    Record(
                        cell_id=answer.cell,
                        epoch=following.epoch,
                        record=text,
                        created_at=self.page.clock(),
                    )
                )
        return answer
