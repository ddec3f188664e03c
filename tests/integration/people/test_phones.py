"""Who is calling, when a phone calls (T-04, T-09, T-37); on both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, func, insert, select, update

from backend.access.phones import authenticate_phone, forget_proofs
from backend.errors import CellkeyError, ProofReplayed, Unauthenticated
from backend.model.tables import Cell, Device, Record, RequestProof
from tests.world.counter import ADDRESS, Counter
from tests.world.paper_phone import PaperPhone
from tests.world.statements import counted


def send(
    counter: Counter,
    authorization: str | None,
    *,
    method: str = "GET",
    path: str = "/devices",
    body: bytes = b"",
) -> UUID:
    """Send a request; gives the signer for whom it was accepted."""
    with counter.session_factory() as session:
        phone = authenticate_phone(
            session,
            authorization=authorization,
            method=method,
            address=ADDRESS + path,
            body=body,
            public_keys=counter.public_keys,
            now=counter.clock(),
        )
        session.commit()
    return phone.signer


# --- who is believed --------------------------------------------------------------


def test_a_paired_phone_is_known_by_its_record(paired: Counter) -> None:
    phone = paired.paired_phone()

    assert (phone.kid, phone.cell, phone.signer) == (paired.phone.kid, paired.cell, paired.signer)
    assert phone.device.kid == paired.phone.kid
    assert phone.record == paired.row(select(Record.record).where(Record.epoch == 2))


def test_to_know_a_phone_takes_one_look_and_one_row(paired: Counter, engine: Engine) -> None:
    paired.paired_phone()
    with counted(engine) as asked:
        paired.paired_phone()

    assert len(asked.texts) == 2
    # On SQLite the look is a transaction by itself.
    assert (asked.writes, asked.commits) == (1, 0 if engine.dialect.name == "postgresql" else 1)


def test_a_request_with_a_body_is_proved_with_it(paired: Counter) -> None:
    proof = paired.proof(method="PUT", path="/recovery-lock", body=b"{}")

    assert send(paired, proof, method="PUT", path="/recovery-lock", body=b"{}") == paired.signer


@pytest.mark.parametrize(
    "authorization",
    [None, "", "DPoP", "DPoP ", "DPoP a.b.c", "Bearer x", "dpop x", "DPoP " + "x" * 10_000],
)
def test_without_a_proof_nobody_is_known(paired: Counter, authorization: str | None) -> None:
    with pytest.raises(Unauthenticated):
        send(paired, authorization)


def test_a_proof_for_another_request_is_refused(paired: Counter) -> None:
    for proof in (
        paired.proof(method="DELETE"),
        paired.proof(path="/transactions"),
        paired.proof(body=b"{}"),
    ):
        with pytest.raises(Unauthenticated):
            send(paired, proof)


@pytest.mark.parametrize("seconds", [-61, 61])
def test_a_proof_from_another_time_is_refused(paired: Counter, seconds: int) -> None:
    """T-18."""
    with pytest.raises(Unauthenticated):
        send(paired, paired.proof(at=paired.clock() + timedelta(seconds=seconds)))


@pytest.mark.parametrize("seconds", [-60, 60])
def test_a_clock_that_is_a_minute_wrong_is_accepted(paired: Counter, seconds: int) -> None:
    proof = paired.proof(at=paired.clock() + timedelta(seconds=seconds))

    assert send(paired, proof) == paired.signer


def test_an_unknown_phone_is_refused(paired: Counter) -> None:
    with pytest.raises(Unauthenticated):
        send(paired, paired.proof(phone=PaperPhone()))


def test_a_phone_that_is_not_confirmed_is_refused(enrolled: Counter) -> None:
    with pytest.raises(Unauthenticated):
        send(enrolled, enrolled.proof())


# --- once -------------------------------------------------------------------------


def test_a_proof_is_good_once(paired: Counter) -> None:
    """T-04."""
    proof = paired.proof()
    send(paired, proof)

    with pytest.raises(ProofReplayed):
        send(paired, proof)


def test_of_the_same_proof_at_once_one_is_accepted(paired: Counter) -> None:
    """T-04, on both engines."""
    proof = paired.proof()

    def attempt(_number: int) -> str:
        try:
            send(paired, proof)
        except CellkeyError as error:
            return type(error).__name__
        return "accepted"

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(attempt, range(4)))

    assert sorted(answers) == ["ProofReplayed"] * 3 + ["accepted"]


def test_a_request_that_failed_may_be_repeated_with_its_proof(paired: Counter) -> None:
    """The proof's row goes with the use: what was rolled back was not used."""
    proof = paired.proof()
    with paired.session_factory() as session:
        paired.authenticate(session, proof)
        session.rollback()

    assert send(paired, proof) == paired.signer


def test_a_proof_is_remembered_until_it_is_too_old_to_be_accepted(paired: Counter) -> None:
    early = paired.proof(at=paired.clock() + timedelta(seconds=60))
    send(paired, early)
    paired.clock.advance(seconds=120)
    forget(paired)
    with pytest.raises(ProofReplayed):
        send(paired, early)

    paired.clock.advance(seconds=2)
    assert forget(paired) == 1
    with pytest.raises(Unauthenticated, match="another time"):
        send(paired, early)


def test_young_proofs_are_not_forgotten(paired: Counter) -> None:
    send(paired, paired.proof())

    assert forget(paired) == 0
    assert paired.row(select(func.count()).select_from(RequestProof)) == 1


# --- rows that lie ----------------------------------------------------------------


def test_a_planted_phone_is_not_believed(paired: Counter) -> None:
    """T-09: a row in devices gives nobody a key."""
    thief = PaperPhone()
    paired.write(
        insert(Device).values(
            kid=thief.kid,
            cell_id=paired.cell,
            request_kid=request_kid(thief),
            kind="virtual",
            paired_at=paired.clock(),
        )
    )

    with pytest.raises(Unauthenticated):
        send(paired, paired.proof(phone=thief))


def test_a_planted_request_key_is_not_believed(paired: Counter) -> None:
    """T-09: the row of a real phone, with another key for requests."""
    thief = PaperPhone()
    paired.write(update(Device).values(request_kid=request_kid(thief)))

    with pytest.raises(Unauthenticated):
        send(paired, paired.proof(phone=thief))


def test_a_record_that_ks_did_not_sign_is_not_believed(paired: Counter) -> None:
    """T-09."""
    forged = paired.row(select(Record.record).where(Record.epoch == 2))[:-8] + "AAAAAAAA"
    paired.write(update(Record).where(Record.epoch == 2).values(record=forged))

    with pytest.raises(Unauthenticated):
        send(paired, paired.proof())


def test_an_older_record_in_the_newests_place_is_not_believed(
    paired: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    """T-09: a removed phone is not brought back by copying the epoch that had it."""
    first = paired.row(select(Record.record).where(Record.epoch == 2))
    paired.write(insert(Record).values(row(paired, epoch=3, record=first)))
    paired.write(update(Cell).values(epoch=3))

    with pytest.raises(Unauthenticated):
        send(paired, paired.proof())
    assert "another record" in caplog.text


def test_a_phone_does_not_move_to_another_cell(paired: Counter) -> None:
    """T-09: a row that gives the phone to somebody else's cell."""
    other = uuid4()
    copied: Cell = paired.row(select(Cell))
    paired.write(
        insert(Cell).values(
            id=other,
            signer_id=copied.signer_id,
            algorithm=copied.algorithm,
            spki=copied.spki,
            blob=copied.blob,
            epoch=2,
            created_at=copied.created_at,
        )
    )
    second = paired.row(select(Record.record).where(Record.epoch == 2))
    paired.write(insert(Record).values(row(paired, epoch=2, record=second) | {"cell_id": other}))
    paired.write(update(Device).values(cell_id=other))

    with pytest.raises(Unauthenticated):
        send(paired, paired.proof())


def forget(counter: Counter) -> int:
    with counter.session_factory() as session:
        return forget_proofs(session, now=counter.clock())


def request_kid(phone: PaperPhone) -> bytes:
    return phone.keys.public().request.thumbprint()


def row(counter: Counter, *, epoch: int, record: str) -> dict[str, object]:
    return {
        "cell_id": counter.cell,
        "epoch": epoch,
        "record": record,
        "created_at": counter.clock(),
    }
