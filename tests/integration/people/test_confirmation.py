"""Pairing, step 3: a phone is believed, or not; on both databases."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import delete, func, insert, select, update

from backend.access.phones import verified_record
from backend.errors import (
    CellkeyError,
    EnrolmentRefused,
    NotConfirmed,
    PairingOver,
    SignerFrozen,
    TooManyTries,
)
from backend.model.tables import (
    Cell,
    Device,
    Enrolment,
    Lock,
    OutboxMessage,
    Pairing,
    Record,
    Transaction,
)
from tests.world.counter import NUMBER, Counter
from tests.world.paper_phone import PaperPhone

# --- what is written -----------------------------------------------------------


@pytest.mark.sms
def test_a_right_code_makes_the_phone_believed(enrolled: Counter) -> None:
    """R-040: one commit: record, phone and its lock come; envelope lock and seal go."""
    enrolled.confirm(enrolled.send_code())
    cell: Cell = enrolled.row(select(Cell))
    record = verified_record(
        enrolled.row(select(Record.record).where(Record.epoch == cell.epoch)),
        enrolled.public_keys.ks,
    )
    device: Device = enrolled.row(select(Device))

    assert cell.epoch == record.epoch == 2
    assert record.device(enrolled.phone.kid).confirmed_by == ("sms",)
    assert (device.kid, device.cell_id, device.kind) == (enrolled.phone.kid, cell.id, "virtual")
    assert device.request_kid == record.devices[0].request.thumbprint()
    assert set(enrolled.rows(select(Lock.kind))) == {"device", "password"}
    assert enrolled.row(select(Enrolment.sealed)) is None
    assert enrolled.row(select(Transaction.state)) == "redeemed"


def test_the_phones_lock_opens_with_its_unlock_key_alone(paired: Counter) -> None:
    lock = paired.row(select(Lock.lock).where(Lock.kind == "device"))

    assert len(paired.phone.secret_in_lock(lock)) == 32
    with pytest.raises(CellkeyError):
        PaperPhone().secret_in_lock(lock)


@pytest.mark.sms
def test_the_text_names_the_phones_twelve_characters(enrolled: Counter) -> None:
    enrolled.send_code()
    twelve = enrolled.present(
        enrolled.row(select(Enrolment.enrolment)), enrolled.row(select(Enrolment.sealed))
    ).twelve

    assert twelve.replace("-", "") in enrolled.texts()[0].replace("-", "").replace(" ", "")


@pytest.mark.sms
def test_neither_number_nor_code_lies_in_the_outbox(enrolled: Counter) -> None:
    """T-29: only the worker's key opens the text."""
    code = enrolled.send_code()
    sealed = enrolled.row(select(OutboxMessage.sealed_sms))

    assert NUMBER not in sealed
    assert code not in sealed


@pytest.mark.sms
def test_a_text_expires_with_its_ask(enrolled: Counter) -> None:
    enrolled.send_code()

    assert enrolled.row(select(OutboxMessage.expires_at)) == enrolled.row(
        select(Transaction.use_by)
    )


def test_a_repeat_after_success_answers_the_same(paired: Counter) -> None:
    assert paired.confirm("00000000") == "confirmed"
    assert paired.row(select(func.count()).select_from(Device)) == 1
    assert paired.row(select(Cell.epoch)) == 2


@pytest.mark.sms
def test_a_code_may_be_typed_in_two_groups(enrolled: Counter) -> None:
    code = enrolled.send_code()

    assert enrolled.confirm(f" {code[:4]}-{code[4:]} ") == "confirmed"


@pytest.mark.sms
def test_the_same_code_four_times_at_once_pairs_one_phone(enrolled: Counter) -> None:
    """T-07: whoever comes second finds it done, or is told to come again."""
    code = enrolled.send_code()

    def attempt(_number: int) -> str:
        try:
            return enrolled.confirm(code)
        except TooManyTries:
            return "too many"

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(attempt, range(4)))

    assert "confirmed" in answers
    assert set(answers) <= {"confirmed", "too many"}
    assert enrolled.row(select(func.count()).select_from(Device)) == 1
    assert enrolled.row(select(func.count()).select_from(Record)) == 2


# --- freezes, crashes, other epochs --------------------------------------------


def test_a_frozen_signers_phone_is_not_confirmed(enrolled: Counter) -> None:
    enrolled.freeze()

    with pytest.raises(SignerFrozen):
        enrolled.confirm_by_operator()


def test_a_freeze_while_the_sam_works_is_heard(
    enrolled: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-048: it is read in the statement that writes."""
    enrol = enrolled.world.sam.enrol

    def frozen_meanwhile(request: object) -> object:
        enrolled.freeze()
        return enrol(request)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(enrolled.world.sam, "enrol", frozen_meanwhile)
    with pytest.raises(SignerFrozen):
        enrolled.confirm_by_operator()

    assert enrolled.rows(select(Device)) == []
    assert enrolled.row(select(func.max(Record.epoch))) == 1


def test_a_second_phone_while_the_sam_works_is_heard(
    enrolled: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T-02."""
    enrol = enrolled.world.sam.enrol

    def attacked_meanwhile(request: object) -> object:
        enrolled.write(update(Pairing).values(state="frozen"))
        return enrol(request)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(enrolled.world.sam, "enrol", attacked_meanwhile)
    with pytest.raises(PairingOver):
        enrolled.confirm_by_operator()
    assert enrolled.rows(select(Device)) == []


@pytest.mark.sms
def test_a_crash_between_sam_and_commit_loses_nothing(
    enrolled: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the SAM said was lost; the same code, once more, pairs the same phone."""
    code = enrolled.send_code()
    enrol = enrolled.world.sam.enrol

    def crash(request: object) -> object:
        enrol(request)  # type: ignore[arg-type]  # passed on as it came
        raise KeyboardInterrupt

    monkeypatch.setattr(enrolled.world.sam, "enrol", crash)
    with pytest.raises(KeyboardInterrupt):
        enrolled.confirm(code)
    monkeypatch.undo()

    assert enrolled.rows(select(Device)) == []
    assert enrolled.confirm(code) == "confirmed"


def test_keys_that_another_cell_took_meanwhile_are_refused(enrolled: Counter) -> None:
    enrolled.write(
        insert(Device).values(
            kid=enrolled.phone.kid,
            cell_id=enrolled.cell,
            request_kid=bytes(32),
            kind="virtual",
            paired_at=enrolled.clock(),
        )
    )

    with pytest.raises(EnrolmentRefused, match="paired already"):
        enrolled.confirm_by_operator()
    assert enrolled.row(select(Cell.epoch)) == 1


def test_a_swapped_cell_is_not_opened(enrolled: Counter) -> None:
    """T-09: the secret opens the cell of this record and no other blob."""
    enrolled.write(update(Cell).values(blob=bytes(200)))

    with pytest.raises(EnrolmentRefused) as refused:
        enrolled.confirm_by_operator()
    assert refused.value.rule == 8


def test_an_erased_seal_opens_nothing(enrolled: Counter) -> None:
    enrolled.write(update(Enrolment).values(sealed=None))

    with pytest.raises(EnrolmentRefused) as refused:
        enrolled.confirm_by_operator()
    assert refused.value.rule == 7


@pytest.mark.sms
def test_an_enrolment_that_vanished_waits_for_its_phone(enrolled: Counter) -> None:
    enrolled.send_code()
    enrolled.write(delete(Enrolment))

    with pytest.raises(NotConfirmed):
        enrolled.confirm("12345678")
