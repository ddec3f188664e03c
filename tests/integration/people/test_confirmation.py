"""Pairing, step 3: code or operator, and a phone that is believed; on both databases."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import delete, func, insert, select, update

from backend.access.phones import verified_record
from backend.devices.enrolment.confirmation import confirm_by_code, confirm_by_operator
from backend.devices.enrolment.sms_code import send_code
from backend.errors import (
    CellkeyError,
    EnrolmentRefused,
    NotConfirmed,
    NotFound,
    PairingOver,
    RecordRefused,
    RequestRefused,
    SamUnavailable,
    SignerFrozen,
    TooManyTries,
    Unauthenticated,
    WrongCode,
)
from backend.model.tables import (
    Cell,
    Device,
    Enrolment,
    Lock,
    OutboxMessage,
    Pairing,
    Record,
    Signer,
    Transaction,
)
from backend.sam.client import SamClient
from backend.signers.freeze import freeze
from tests.world.counter import APPLICANT, NUMBER, OTHER_OPERATOR, PRINTER, Counter
from tests.world.paper_phone import PaperPhone
from tests.world.sam import open_sam_world


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**8:08}"


def confirm_as(counter: Counter, operator: str, twelve: str) -> str:
    with counter.session_factory() as session:
        return confirm_by_operator(
            session,
            counter.world.sam,
            login=counter.envelope.login,
            operator=operator,
            twelve=twelve,
            now=counter.clock(),
        )


def freeze_signer(counter: Counter) -> None:
    with counter.session_factory() as session:
        freeze(session, signer=counter.signer, by="desk", now=counter.clock())


@pytest.fixture
def waiting(counter: Counter) -> tuple[Counter, str]:
    """A signer without a number, whose phone waits for an operator; and its 12 characters."""
    counter.register(msgspec.structs.replace(APPLICANT, number=None))
    counter.sign_in()
    return counter, counter.present(*counter.enrolment()).twelve


# --- what is written --------------------------------------------------------------


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


def test_the_text_names_the_phones_twelve_characters(enrolled: Counter) -> None:
    enrolled.send_code()
    twelve = enrolled.present(
        enrolled.row(select(Enrolment.enrolment)), enrolled.row(select(Enrolment.sealed))
    ).twelve

    assert twelve.replace("-", "") in enrolled.texts()[0].replace("-", "").replace(" ", "")


def test_neither_number_nor_code_lies_in_the_outbox(enrolled: Counter) -> None:
    """T-29: only the worker's key opens the text."""
    code = enrolled.send_code()
    sealed = enrolled.row(select(OutboxMessage.sealed_sms))

    assert NUMBER not in sealed
    assert code not in sealed


def test_a_text_expires_with_its_ask(enrolled: Counter) -> None:
    enrolled.send_code()

    assert enrolled.row(select(OutboxMessage.expires_at)) == enrolled.row(
        select(Transaction.use_by)
    )


def test_a_repeat_after_success_answers_the_same(paired: Counter) -> None:
    assert paired.confirm("00000000") == "confirmed"
    assert paired.row(select(func.count()).select_from(Device)) == 1
    assert paired.row(select(Cell.epoch)) == 2


def test_a_code_may_be_typed_in_two_groups(enrolled: Counter) -> None:
    code = enrolled.send_code()

    assert enrolled.confirm(f" {code[:4]}-{code[4:]} ") == "confirmed"


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


# --- sending ----------------------------------------------------------------------


def test_a_code_is_sent_three_times_at_most(enrolled: Counter) -> None:
    """T-14."""
    first, second, third = (enrolled.send_code() for _ in range(3))

    assert first == second == third
    with pytest.raises(TooManyTries):
        enrolled.send_code()
    assert len(enrolled.texts()) == 3


def test_four_requests_at_once_send_three_codes(enrolled: Counter) -> None:
    """T-14."""

    def attempt(_number: int) -> bool:
        try:
            enrolled.send_code()
        except TooManyTries:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        sent = list(pool.map(attempt, range(4)))

    assert sorted(sent) == [False, True, True, True]
    assert len(enrolled.texts()) == 3


def test_sending_says_how_often_a_code_may_be_typed(enrolled: Counter) -> None:
    code = enrolled.send_code()
    with pytest.raises(WrongCode):
        enrolled.confirm(wrong(code))
    with enrolled.session_factory() as session:
        sent = send_code(session, enrolled.world.sam, ticket=enrolled.ticket, now=enrolled.clock())

    assert sent.tries_left == 2


def test_no_code_is_sent_before_a_phone_presented_itself(begun: Counter) -> None:
    with pytest.raises(NotConfirmed):
        begun.send_code()


def test_no_code_is_sent_once_a_phone_is_paired(paired: Counter) -> None:
    with pytest.raises(PairingOver):
        paired.send_code()


def test_no_code_is_sent_for_a_frozen_signer(enrolled: Counter) -> None:
    freeze_signer(enrolled)

    with pytest.raises(SignerFrozen):
        enrolled.send_code()


def test_no_code_goes_to_a_number_that_was_not_verified(enrolled: Counter) -> None:
    """T-09, T-13: the record holds the HMAC of the verified number; a row cannot change it."""
    enrolled.write(update(Signer).values(number="+4915100000000"))

    with pytest.raises(RecordRefused):
        enrolled.send_code()
    assert enrolled.texts() == []


def test_where_an_operator_confirms_no_code_is_sent(waiting: tuple[Counter, str]) -> None:
    with pytest.raises(NotConfirmed, match="operator"):
        waiting[0].send_code()


def test_without_a_ticket_nothing_is_sent_or_confirmed(enrolled: Counter) -> None:
    enrolled.ticket = "x" * 43

    with pytest.raises(Unauthenticated):
        enrolled.send_code()
    with pytest.raises(Unauthenticated):
        enrolled.confirm("12345678")


# --- wrong codes ------------------------------------------------------------------


def test_a_wrong_code_says_how_many_tries_are_left_and_the_third_ends_the_ask(
    enrolled: Counter,
) -> None:
    """T-15."""
    code = enrolled.send_code()
    left = []
    for _ in range(3):
        with pytest.raises(WrongCode) as refused:
            enrolled.confirm(wrong(code))
        left.append(refused.value.tries_left)

    assert left == [2, 1, 0]
    with pytest.raises(TooManyTries):
        enrolled.confirm(code)
    assert enrolled.row(select(Transaction.state)) == "failed"


def test_after_three_wrong_codes_the_pairing_begins_again_with_the_same_envelope(
    enrolled: Counter,
) -> None:
    code = enrolled.send_code()
    for _ in range(3):
        with pytest.raises(WrongCode):
            enrolled.confirm(wrong(code))
    enrolled.sign_in()
    enrolled.present(*enrolled.enrolment(PaperPhone()))

    assert enrolled.confirm(enrolled.send_code()) == "confirmed"


def test_a_restarted_sam_forgets_no_wrong_code(enrolled: Counter) -> None:
    """T-15: they are counted in the database, before the SAM is asked."""
    code = enrolled.send_code()
    for _ in range(3):
        enrolled.world = open_sam_world(enrolled.world.hsm, enrolled.clock)
        with pytest.raises(WrongCode):
            enrolled.confirm(wrong(code))
    enrolled.world = open_sam_world(enrolled.world.hsm, enrolled.clock)

    with pytest.raises(TooManyTries):
        enrolled.confirm(code)


def test_a_rewritten_count_gives_no_fourth_try(enrolled: Counter) -> None:
    """T-09: the SAM counts in its memory, whatever the row says."""
    code = enrolled.send_code()
    for _ in range(3):
        with pytest.raises(WrongCode):
            enrolled.confirm(wrong(code))
        enrolled.write(update(Pairing).values(code_tries=0))

    with pytest.raises(TooManyTries):
        enrolled.confirm(code)


def test_parallel_wrong_codes_are_all_counted(enrolled: Counter) -> None:
    """T-15."""
    code = enrolled.send_code()

    def attempt(_number: int) -> str:
        with pytest.raises(CellkeyError) as refused:
            enrolled.confirm(wrong(code))
        return type(refused.value).__name__

    with ThreadPoolExecutor(6) as pool:
        refused = list(pool.map(attempt, range(6)))

    assert refused.count("WrongCode") <= 3
    with pytest.raises(TooManyTries):
        enrolled.confirm(code)


@pytest.mark.parametrize(
    "typed", ["", "1234567", "123456789", "abcdefgh", "١٢٣٤٥٦٧٨", "1" * 10_000]
)  # other digits are the point
def test_what_is_no_code_costs_no_try(enrolled: Counter, typed: str) -> None:
    enrolled.send_code()
    with pytest.raises(WrongCode) as refused:
        enrolled.confirm(typed)

    assert refused.value.tries_left == 3
    assert enrolled.row(select(Pairing.code_tries)) == 0


def test_no_code_is_guessed_before_the_signer_was_told(enrolled: Counter) -> None:
    """Who guesses must first send the signer an SMS that names the phone."""
    with pytest.raises(NotConfirmed):
        enrolled.confirm("12345678")


def test_a_try_that_nobody_could_check_is_given_back(enrolled: Counter, tmp_path: Path) -> None:
    code = enrolled.send_code()
    nobody = SamClient(tmp_path / "nobody-listens")
    with enrolled.session_factory() as session, pytest.raises(SamUnavailable):
        confirm_by_code(session, nobody, ticket=enrolled.ticket, code=code, now=enrolled.clock())

    assert enrolled.row(select(Pairing.code_tries)) == 0
    assert enrolled.confirm(code) == "confirmed"


def test_another_enrolments_code_confirms_nothing(enrolled: Counter) -> None:
    """The code is bound to the enrolment: a swapped row does not get its own phone in."""
    code = enrolled.send_code()
    thief = enrolled.enrolment(PaperPhone())
    enrolled.write(update(Enrolment).values(enrolment=thief[0], sealed=thief[1]))

    with pytest.raises(WrongCode):
        enrolled.confirm(code)
    assert enrolled.rows(select(Device)) == []


def test_a_row_that_says_confirmed_makes_no_phone_believed(enrolled: Counter) -> None:
    """T-09: states are a convenience."""
    enrolled.write(update(Pairing).values(state="confirmed"))
    enrolled.confirm("12345678")

    assert enrolled.rows(select(Device)) == []
    assert enrolled.row(select(func.max(Record.epoch))) == 1


def test_without_a_password_proof_no_phone_is_believed(enrolled: Counter) -> None:
    code = enrolled.send_code()
    enrolled.write(update(Pairing).values(password_proof=None))

    with pytest.raises(EnrolmentRefused) as refused:
        enrolled.confirm(code)
    assert refused.value.rule == 6


# --- the operator -----------------------------------------------------------------


def test_another_operator_confirms_by_the_twelve_characters(waiting: tuple[Counter, str]) -> None:
    counter, twelve = waiting

    assert confirm_as(counter, OTHER_OPERATOR, twelve.lower()) == "confirmed"
    record = verified_record(
        counter.row(select(Record.record).where(Record.epoch == 2)), counter.public_keys.ks
    )
    assert record.devices[0].confirmed_by == ("operator",)


@pytest.mark.parametrize("same", [PRINTER, f"  {PRINTER.upper()} "])
def test_who_printed_does_not_confirm(waiting: tuple[Counter, str], same: str) -> None:
    """T-10: an operator alone pairs no phone."""
    counter, twelve = waiting

    with pytest.raises(RequestRefused):
        confirm_as(counter, same, twelve)
    assert counter.rows(select(Device)) == []


@pytest.mark.parametrize("other", ["AAAA-BBBB-CCCC", "", "ж" * 12])
def test_other_characters_confirm_nothing(waiting: tuple[Counter, str], other: str) -> None:
    counter, _ = waiting
    with pytest.raises(EnrolmentRefused) as refused:
        confirm_as(counter, OTHER_OPERATOR, other)

    assert refused.value.rule == 6
    assert counter.row(select(Pairing.state)) == "enrolled"


def test_an_operators_confirmation_repeated_answers_the_same(
    waiting: tuple[Counter, str],
) -> None:
    counter, twelve = waiting
    confirm_as(counter, OTHER_OPERATOR, twelve)

    assert confirm_as(counter, OTHER_OPERATOR, twelve) == "confirmed"
    assert counter.row(select(func.count()).select_from(Device)) == 1


def test_where_a_code_is_demanded_an_operators_word_is_not_enough(enrolled: Counter) -> None:
    """The policy stands in the signed record."""
    twelve = enrolled.present(
        enrolled.row(select(Enrolment.enrolment)), enrolled.row(select(Enrolment.sealed))
    ).twelve

    with pytest.raises(EnrolmentRefused) as refused:
        confirm_as(enrolled, OTHER_OPERATOR, twelve)
    assert refused.value.rule == 6


def test_an_operator_confirms_no_phone_that_is_not_there(begun: Counter) -> None:
    with pytest.raises(NotConfirmed):
        confirm_as(begun, OTHER_OPERATOR, "AAAA-BBBB-CCCC")


def test_an_operator_confirms_nobody_who_has_not_begun(printed: Counter) -> None:
    with pytest.raises(NotFound):
        confirm_as(printed, OTHER_OPERATOR, "AAAA-BBBB-CCCC")


# --- freezes, crashes, other epochs -----------------------------------------------


def test_a_frozen_signers_phone_is_not_confirmed(enrolled: Counter) -> None:
    code = enrolled.send_code()
    freeze_signer(enrolled)

    with pytest.raises(SignerFrozen):
        enrolled.confirm(code)


def test_a_freeze_while_the_sam_works_is_heard(
    enrolled: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-048: it is read in the statement that writes."""
    code = enrolled.send_code()
    enrol = enrolled.world.sam.enrol

    def frozen_meanwhile(request: object) -> object:
        freeze_signer(enrolled)
        return enrol(request)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(enrolled.world.sam, "enrol", frozen_meanwhile)
    with pytest.raises(SignerFrozen):
        enrolled.confirm(code)

    assert enrolled.rows(select(Device)) == []
    assert enrolled.row(select(func.max(Record.epoch))) == 1


def test_a_second_phone_while_the_sam_works_is_heard(
    enrolled: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T-02."""
    code = enrolled.send_code()
    enrol = enrolled.world.sam.enrol

    def attacked_meanwhile(request: object) -> object:
        enrolled.write(update(Pairing).values(state="frozen"))
        return enrol(request)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(enrolled.world.sam, "enrol", attacked_meanwhile)
    with pytest.raises(PairingOver):
        enrolled.confirm(code)
    assert enrolled.rows(select(Device)) == []


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
    code = enrolled.send_code()
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
        enrolled.confirm(code)
    assert enrolled.row(select(Cell.epoch)) == 1


def test_a_swapped_cell_is_not_opened(enrolled: Counter) -> None:
    """T-09: the secret opens the cell of this record and no other blob."""
    code = enrolled.send_code()
    enrolled.write(update(Cell).values(blob=bytes(200)))

    with pytest.raises(EnrolmentRefused) as refused:
        enrolled.confirm(code)
    assert refused.value.rule == 8


def test_an_erased_seal_opens_nothing(enrolled: Counter) -> None:
    code = enrolled.send_code()
    enrolled.write(update(Enrolment).values(sealed=None))

    with pytest.raises(EnrolmentRefused) as refused:
        enrolled.confirm(code)
    assert refused.value.rule == 7


def test_an_enrolment_that_vanished_waits_for_its_phone(enrolled: Counter) -> None:
    enrolled.send_code()
    enrolled.write(delete(Enrolment))

    with pytest.raises(NotConfirmed):
        enrolled.confirm("12345678")
