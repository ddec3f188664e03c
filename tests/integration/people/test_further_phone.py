"""A further phone: races, crashes and planted rows; on both databases."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, delete, func, insert, select, update
from sqlalchemy.orm import Session, sessionmaker

from backend.devices.enrolment.further import finish_further
from backend.devices.enrolment.removal import remove
from backend.devices.further_device import further_to_finish
from backend.devices.removal import ask_removal
from backend.errors import (
    EnrolmentRefused,
    MalformedMessage,
    NotFound,
    PairingConflict,
    ProofReplayed,
    SignerFrozen,
    TransactionOver,
)
from backend.model.tables import (
    Approval,
    Cell,
    Device,
    FurtherPhone,
    Lock,
    Record,
    RequestProof,
    Transaction,
)
from backend.signers.freeze import lift
from backend.virtual_phone.phone_keys import OpenKeys
from tests.world.counter import Counter
from tests.world.further import Further
from tests.world.killed import killed_everywhere
from tests.world.paper_phone import PaperPhone


@pytest.fixture
def further(paired: Counter) -> Further:
    return Further(counter=paired)


def phones(counter: Counter) -> set[bytes]:
    """The phones that rows, locks and the newest record agree about."""
    kids = set(counter.rows(select(Device.kid).where(Device.removed_at.is_(None))))
    assert kids == set(counter.rows(select(Lock.key_id).where(Lock.kind == "device")))
    text = counter.row(
        select(Record.record).join(Cell, (Cell.id == Record.cell_id) & (Cell.epoch == Record.epoch))
    )
    record = counter.world.sam._voice.verified_record(text)
    assert kids == {bytes(device.kid) for device in record.devices}
    return kids


def while_the_sam_works(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]
) -> None:
    """Let something happen between the SAM's answer and the commit."""
    enrol = counter.world.sam.enrol

    def interposed(request: Any) -> Any:  # noqa: ANN401  # passed on as it came
        enrolled = enrol(request)
        act()
        return enrolled

    monkeypatch.setattr(counter.world.sam, "enrol", interposed)


# --- races ------------------------------------------------------------------------


def test_many_clerks_add_the_phone_once(further: Further) -> None:
    further.ready()
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: further.finish(), range(4)))
    assert sorted(done) == [False, False, False, True]
    assert phones(further.counter) == {further.counter.phone.kid, further.new.kid}
    assert further.state == "redeemed"


def test_of_two_further_phones_at_once_one_is_let_in(paired: Counter) -> None:
    """Both were approved; the record that the second ask was made of is gone."""
    first, second = Further(counter=paired).ready(), Further(counter=paired).ready()
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda one: one.finish(), (first, second)))
    for one in (first, second):
        one.finish()
    assert sorted(done) == [False, True]
    assert sorted((first.state, second.state)) == ["failed", "redeemed"]
    assert len(phones(paired)) == 2
    assert set(paired.rows(select(Approval.sealed))) == {None}


def test_a_phone_whose_removal_is_asked_adds_none(
    further: Further, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T-37: it stops at once, also between the SAM's answer and the commit."""
    counter = further.counter
    further.ready()

    def stop() -> None:
        with counter.session_factory() as session:
            ask_removal(session, phone=phone, kid=counter.phone.kid, now=counter.clock())

    phone = counter.paired_phone()
    while_the_sam_works(counter, monkeypatch, stop)
    assert not further.finish()
    assert not further.finish()
    assert phones(counter) == {counter.phone.kid}
    with counter.session_factory() as session:
        assert further_to_finish(session, counter.clock()) == []


def test_a_removal_that_is_through_ends_the_ask(
    further: Further, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another phone of the cell was removed: the record went on, the ask is of the one before."""
    counter = further.counter
    other = Further(counter=counter).ready()
    assert other.finish()
    further.ready()

    def remove_other() -> None:
        monkeypatch.undo()
        with counter.session_factory() as session:
            assert remove(session, counter.world.sam, kid=other.new.kid, now=counter.clock())

    while_the_sam_works(counter, monkeypatch, remove_other)
    assert not further.finish()
    assert further.state == "approved"
    assert not further.finish()
    assert further.state == "failed"
    assert phones(counter) == {counter.phone.kid}


def test_a_freeze_while_the_sam_works_is_heard(
    further: Further, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-048. Once two people have lifted it, the same approval adds the phone."""
    counter = further.counter
    further.ready()
    while_the_sam_works(counter, monkeypatch, counter.freeze)
    assert not further.finish()
    monkeypatch.undo()
    assert not further.finish()
    assert phones(counter) == {counter.phone.kid}

    with counter.session_factory() as session:
        lift(session, signer=counter.signer, operator="a", second="b", now=counter.clock())
    assert further.finish()


def test_a_frozen_signers_new_phone_sends_nothing(further: Further) -> None:
    further.begin()
    further.counter.freeze()
    with pytest.raises(SignerFrozen):
        further.present()


def test_keys_that_another_cell_took_meanwhile_end_the_ask(
    further: Further, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = further.counter
    further.ready()
    row = {"kid": further.new.kid, "cell_id": counter.cell, "request_kid": bytes(32)}
    taken = insert(Device).values(row | {"kind": "virtual", "paired_at": counter.clock()})
    while_the_sam_works(counter, monkeypatch, lambda: counter.write(taken))
    assert not further.finish()
    assert further.state == "failed"


def test_two_enrolments_at_once_one_stands(further: Further) -> None:
    further.begin()
    ask = further.ask
    made = [further.new.enrol_without_secret(ask) for _ in range(2)]

    def send(enrolment: str) -> bool:
        try:
            further.send(enrolment)
        except PairingConflict:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(send, made)) == [False, True]


# --- crashes ----------------------------------------------------------------------


def test_a_kill_anywhere_in_the_clerk_loses_nothing_and_adds_nothing_twice(
    further: Further, engine: Engine
) -> None:
    """SIGKILL before and after each commit."""
    counter = further.counter
    further.ready()

    def finish(sessions: sessionmaker[Session]) -> None:
        with sessions() as session:
            finish_further(session, counter.world.sam, transaction=further.id, now=counter.clock())

    for _ in killed_everywhere(engine, finish):
        assert len(phones(counter)) in {1, 2}
    assert phones(counter) == {counter.phone.kid, further.new.kid}
    assert counter.row(select(FurtherPhone.pin)) is not None
    assert further.state == "redeemed"


def test_a_kill_anywhere_while_the_new_phone_sends_leaves_one_enrolment(
    further: Further, engine: Engine
) -> None:
    further.begin()
    enrolment = further.new.enrol_without_secret(further.ask)

    def send(sessions: sessionmaker[Session]) -> None:
        further.counter.session_factory = sessions  # of the process that is killed
        further.send(enrolment)

    for _ in killed_everywhere(engine, send):
        assert further.counter.row(select(FurtherPhone.enrolment)) in {None, enrolment}
    further.approve()
    assert further.finish()


# --- what is refused --------------------------------------------------------------


def test_the_same_enrolment_may_be_sent_again_and_no_other(further: Further) -> None:
    """Replay of an enrolment."""
    further.begin()
    enrolment = further.new.enrol_without_secret(further.ask)
    assert further.send(enrolment) == "waiting"
    assert further.send(enrolment) == "waiting"
    with pytest.raises(PairingConflict):
        further.present()
    further.approve()
    assert further.finish()
    assert further.send(enrolment) == "confirmed"


def test_a_proof_counts_once(further: Further, monkeypatch: pytest.MonkeyPatch) -> None:
    """T-04: also where another process used it up while the SAM worked."""
    counter = further.counter
    with counter.session_factory() as session:
        call = further.call(session)
    counter.write(insert(RequestProof).values(jti=call.proof.jti, expires_at=counter.clock()))
    monkeypatch.setattr(Further, "call", lambda *_: call)
    with pytest.raises(ProofReplayed):
        further.begin()
    assert counter.rows(select(FurtherPhone.transaction_id)) == []


def test_an_enrolment_with_other_keys_is_refused(further: Further) -> None:
    """Another phone's keys, also those that share the request key by which it is found."""
    further.begin()
    with pytest.raises(NotFound):
        further.present(PaperPhone())
    own, theirs = PaperPhone().keys, further.new.keys
    mixed = OpenKeys(approval=own.approval, request=theirs.request, unlock=own.unlock)
    with pytest.raises(MalformedMessage, match="other keys"):
        further.present(PaperPhone(keys=mixed))


def test_an_enrolment_that_brings_a_secret_is_refused(further: Further) -> None:
    further.begin()
    enrolment, _ = further.new.enrol(further.ask, bytes(32))
    with pytest.raises(MalformedMessage, match="no secret"):
        further.send(enrolment)


def test_what_took_too_long_is_over(further: Further) -> None:
    further.begin()
    enrolment = further.new.enrol_without_secret(further.ask)
    further.counter.clock.advance(seconds=901)
    with pytest.raises(TransactionOver):
        further.send(enrolment)


def test_the_keys_of_a_paired_phone_are_not_asked_for(paired: Counter) -> None:
    with pytest.raises(EnrolmentRefused):
        Further(counter=paired, new=paired.phone).begin()


# --- who writes every row ---------------------------------------------------------


def test_planted_thumbprints_and_enrolments_add_nobody(further: Further) -> None:
    """T-09: the SAM believes the ask that KS signed, and the approval of that ask."""
    counter, thief = further.counter, PaperPhone()
    further.begin()
    ask = further.ask
    counter.write(
        update(FurtherPhone).values(
            request_kid=thief.keys.public().request.thumbprint(),
            enrolment=thief.enrol_without_secret(ask),
        )
    )
    further.approve()
    assert not further.finish()
    assert further.state == "failed"
    assert phones(counter) == {counter.phone.kid}


def test_rows_that_say_approved_add_nobody(further: Further) -> None:
    further.begin()
    further.present()
    counter = further.counter
    counter.write(update(Transaction).where(Transaction.id == further.id).values(state="approved"))
    assert not further.finish()
    forged, sealed = further.new.approve(further.ask, bytes(32))
    row = {"transaction_id": further.id, "approval": forged, "sealed": sealed}
    counter.write(
        insert(Approval).values(row | {"kid": counter.phone.kid, "received_at": counter.clock()})
    )
    assert not further.finish()
    assert phones(counter) == {counter.phone.kid}


def test_the_approval_of_a_signature_adds_nobody(further: Further) -> None:
    """T-34: an approval of something else, moved into the ask's row."""
    counter = further.counter
    other = Further(counter=counter).ready()
    moved = counter.rows(select(Approval.approval))[0]
    further.begin()
    further.present()
    further.approve()
    counter.write(
        update(Approval).where(Approval.transaction_id == further.id).values(approval=moved)
    )
    assert not further.finish()
    assert other.finish()
    assert phones(counter) == {counter.phone.kid, other.new.kid}


def test_a_removed_phone_does_not_come_back_by_its_old_rows(further: Further) -> None:
    """T-37: who kept approval, seal and enrolment, and writes them again."""
    counter = further.counter
    further.ready()
    kept = counter.row(select(Approval.sealed))
    assert further.finish()
    with counter.session_factory() as session:
        assert remove(session, counter.world.sam, kid=further.new.kid, now=counter.clock())
    counter.write(update(Approval).values(sealed=kept))
    counter.write(update(Transaction).where(Transaction.id == further.id).values(state="approved"))
    counter.write(delete(Device).where(Device.kid == further.new.kid))
    assert not further.finish()
    assert phones(counter) == {counter.phone.kid}


THIEF = PaperPhone()
LIES: dict[str, Callable[[Further], Any]] = {
    "enrolment": lambda further: update(FurtherPhone).values(
        enrolment=THIEF.enrol_without_secret(further.ask)
    ),
    "no enrolment": lambda _: update(FurtherPhone).values(enrolment="e30.e30.e30"),
    "kid": lambda _: update(FurtherPhone).values(kid=THIEF.kid),
    "ask": lambda _: update(Transaction).values(ask="e30.e30.e30"),
    "time": lambda further: update(Transaction).values(
        use_by=further.counter.clock() - timedelta(days=1)
    ),
    "kind": lambda _: update(Transaction).values(kind="enrol"),
    "approval": lambda _: update(Approval).values(approval="e30.e30.e30"),
    "sealed": lambda _: update(Approval).values(sealed=None),
    "record": lambda _: update(Record).values(record="e30.e30.e30"),
    "blob": lambda _: update(Cell).values(blob=bytes(200)),
}


@pytest.mark.parametrize("lie", LIES)
def test_rows_that_lie_add_nobody(further: Further, lie: str) -> None:
    """T-09."""
    counter = further.counter
    further.ready()
    if lie == "time":
        counter.write(update(Transaction).values(expires_at=counter.clock() - timedelta(days=2)))
    counter.write(LIES[lie](further))
    added = further.finish()
    assert added is (lie == "kid")  # overwritten by what the SAM says
    assert THIEF.kid not in counter.rows(select(Device.kid))
    assert counter.row(select(func.count()).select_from(Device)) == 1 + added
