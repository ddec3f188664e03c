"""What a paired phone may do: list and remove phones, keep a recovery lock."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import delete, func, insert, select, update

from backend.access.phones import verified_record
from backend.delivery.endpoints import parse_push_hosts
from backend.devices.enrolment.removal import remove
from backend.devices.listing import phones_of
from backend.devices.push import subscribe
from backend.devices.recovery import store_recovery_lock
from backend.devices.removal import ask_removal, asked_removals
from backend.errors import (
    MalformedMessage,
    NotFound,
    RecordRefused,
    SamUnavailable,
    SignerFrozen,
    Unauthenticated,
)
from backend.model.tables import Cell, Device, Lock, PushSubscription, Record
from backend.protocol.encoding import b64u
from backend.protocol.record import CellRecord
from backend.sam.client import SamClient
from backend.virtual_phone.locks import make_recovery_lock, open_recovery_lock
from tests.world.counter import Counter

CODE = bytes(range(16))
P256DH = b64u(
    ec.generate_private_key(ec.SECP256R1())
    .public_key()
    .public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
)
AUTH = b64u(bytes(16))


def ask(counter: Counter, kid: bytes) -> None:
    phone = counter.paired_phone()
    with counter.session_factory() as session:
        ask_removal(session, phone=phone, kid=kid, now=counter.clock())


def follow(counter: Counter) -> list[bool]:
    """What the clerk does."""
    with counter.session_factory() as session:
        asked = asked_removals(session)
        session.commit()
        return [remove(session, counter.world.sam, kid=kid, now=counter.clock()) for kid in asked]


def verified(counter: Counter) -> CellRecord:
    epoch = counter.row(select(Cell.epoch))
    record = counter.row(select(Record.record).where(Record.epoch == epoch))
    return verified_record(record, counter.public_keys.ks)


# --- phones --------------------------------------------------------------------


def test_a_phone_sees_itself(paired: Counter) -> None:
    with paired.session_factory() as session:
        (listed,) = phones_of(session, phone=paired.paired_phone())

    assert (listed.kid, listed.kind, listed.this, listed.removal_asked) == (
        paired.phone.kid,
        "virtual",
        True,
        False,
    )
    assert listed.paired_at == paired.clock()


def test_a_phone_sees_the_phones_of_its_cell_alone(paired: Counter) -> None:
    cell: Cell = paired.row(select(Cell))
    copied = {column.key: getattr(cell, column.key) for column in Cell.__table__.columns}
    other = uuid4()
    paired.write(insert(Cell).values(copied | {"id": other}))
    for number, cell_id in enumerate((cell.id, other)):
        paired.write(
            insert(Device).values(
                kid=bytes([number]) * 32,
                cell_id=cell_id,
                request_kid=bytes([number + 100]) * 32,
                kind="native",
                paired_at=paired.clock.advance(minutes=1),
            )
        )
    paired.clock.advance(minutes=-2)
    with paired.session_factory() as session:
        listed = phones_of(session, phone=paired.paired_phone())

    assert [one.kid for one in listed] == [paired.phone.kid, bytes(32)]
    assert [one.this for one in listed] == [True, False]


def test_a_removed_phone_is_refused_at_once(paired: Counter) -> None:
    """T-37, R-045: before the record follows."""
    ask(paired, paired.phone.kid)

    with pytest.raises(Unauthenticated):
        paired.paired_phone()
    assert len(verified(paired).devices) == 1


def test_the_record_follows_a_removal(paired: Counter) -> None:
    """Design 4: lock and phone go, in one commit with the next epoch."""
    ask(paired, paired.phone.kid)

    assert follow(paired) == [True]
    assert verified(paired).devices == ()
    assert paired.row(select(Cell.epoch)) == 3
    assert paired.rows(select(Lock).where(Lock.kind == "device")) == []
    assert paired.row(select(Device.removed_at)) == paired.clock()


def test_a_removal_that_is_done_is_not_done_again(paired: Counter) -> None:
    ask(paired, paired.phone.kid)
    follow(paired)

    assert follow(paired) == []
    with paired.session_factory() as session:
        assert not remove(session, paired.world.sam, kid=paired.phone.kid, now=paired.clock())
    assert paired.row(select(Cell.epoch)) == 3


def test_two_clerks_make_one_next_epoch(paired: Counter) -> None:
    """T-07, on both engines."""
    ask(paired, paired.phone.kid)

    def attempt(_number: int) -> bool:
        with paired.session_factory() as session:
            return remove(session, paired.world.sam, kid=paired.phone.kid, now=paired.clock())

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(attempt, range(4)))

    assert sorted(done) == [False, False, False, True]
    assert paired.row(select(func.count()).select_from(Record)) == 3


def test_a_removal_waits_for_the_sam(paired: Counter, tmp_path: Path) -> None:
    ask(paired, paired.phone.kid)
    nobody = SamClient(tmp_path / "nobody-listens")
    with paired.session_factory() as session, pytest.raises(SamUnavailable):
        remove(session, nobody, kid=paired.phone.kid, now=paired.clock())

    assert follow(paired) == [True]


def test_a_removal_follows_no_planted_record(paired: Counter) -> None:
    """T-09."""
    ask(paired, paired.phone.kid)
    paired.write(update(Record).values(record="a.b.c"))

    with pytest.raises(RecordRefused):
        follow(paired)


def test_a_removed_phone_is_woken_no_more(paired: Counter) -> None:
    paired.write(
        insert(PushSubscription).values(
            kid=paired.phone.kid, endpoint="https://push.example/1", p256dh="x", auth="y",
            created_at=paired.clock(),
        )
    )  # fmt: skip  # one row
    ask(paired, paired.phone.kid)

    assert paired.rows(select(PushSubscription)) == []


def test_a_phone_that_is_not_of_this_cell_is_not_removed(paired: Counter) -> None:
    with pytest.raises(NotFound):
        ask(paired, bytes(32))


# --- the recovery lock ---------------------------------------------------------


def keep(counter: Counter, lock: str) -> None:
    phone = counter.paired_phone()
    with counter.session_factory() as session:
        store_recovery_lock(session, phone=phone, lock=lock, now=counter.clock())


def recovery_lock(counter: Counter) -> str:
    secret = counter.phone.secret_in_lock(
        counter.row(select(Lock.lock).where(Lock.kind == "device"))
    )
    return make_recovery_lock(secret, code=CODE, cell=counter.cell.bytes)


def test_the_recovery_code_opens_the_lock_that_was_kept(paired: Counter) -> None:
    keep(paired, recovery_lock(paired))
    kept = paired.row(select(Lock.lock).where(Lock.kind == "recovery"))

    assert len(open_recovery_lock(kept, code=CODE, cell=paired.cell.bytes)) == 32


def test_a_newer_recovery_lock_replaces_the_one_before(paired: Counter) -> None:
    keep(paired, recovery_lock(paired))
    newer = recovery_lock(paired)
    keep(paired, newer)

    assert paired.row(select(Lock.lock).where(Lock.kind == "recovery")) == newer


def test_of_recovery_locks_at_once_one_is_kept(paired: Counter) -> None:
    locks = [recovery_lock(paired) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda lock: keep(paired, lock), locks))

    assert paired.row(select(Lock.lock).where(Lock.kind == "recovery")) in locks


@pytest.mark.parametrize("rubbish", ["", "AAAA", "!" * 80, "A" * 100_000, "замок"])
def test_what_is_no_recovery_lock_is_refused(paired: Counter, rubbish: str) -> None:
    with pytest.raises(MalformedMessage):
        keep(paired, rubbish)

    assert paired.rows(select(Lock).where(Lock.kind == "recovery")) == []


def test_a_frozen_signers_recovery_lock_is_not_changed(paired: Counter) -> None:
    lock = recovery_lock(paired)
    paired.freeze()

    with pytest.raises(SignerFrozen):
        keep(paired, lock)


# --- push ----------------------------------------------------------------------


def test_two_subscriptions_of_a_phone_at_once_leave_one(paired: Counter) -> None:
    """A phone that repeats itself is answered, whichever of the two was faster."""
    phone = paired.paired_phone()
    allowed = parse_push_hosts(["push.cellkey.test"])
    together = Barrier(2)

    def put(endpoint: str) -> None:
        with paired.session_factory() as session:
            together.wait()
            subscribe(
                session,
                phone=phone,
                endpoint=f"https://push.cellkey.test/{endpoint}",
                p256dh=P256DH,
                auth=AUTH,
                allowed_hosts=allowed,
                now=paired.clock(),
            )

    with ThreadPoolExecutor(2) as phones:
        for turn in range(10):
            paired.write(delete(PushSubscription))
            list(phones.map(put, (f"a{turn}", f"b{turn}")))

            assert len(paired.rows(select(PushSubscription.kid))) == 1
