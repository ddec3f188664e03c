"""Pairing, step 3: sending codes, and wrong ones (T-14, T-15); on both databases."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import func, select, update

from backend.devices.enrolment.confirmation import confirm_by_code
from backend.devices.enrolment.sms_code import send_code
from backend.errors import (
    CellkeyError,
    EnrolmentRefused,
    NotConfirmed,
    PairingOver,
    RecordRefused,
    SamUnavailable,
    SignerFrozen,
    TooManyTries,
    Unauthenticated,
    WrongCode,
)
from backend.model.tables import (
    Device,
    Enrolment,
    Pairing,
    Record,
    Signer,
    Transaction,
)
from backend.sam.client import SamClient
from backend.settings import SmsGatewayKind
from tests.world.counter import Counter
from tests.world.paper_phone import PaperPhone
from tests.world.sam import open_sam_world

pytestmark = pytest.mark.sms


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**8:08}"


# --- sending -------------------------------------------------------------------


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
        sent = send_code(
            session,
            enrolled.world.sam,
            ticket=enrolled.ticket,
            settings=enrolled.settings,
            now=enrolled.clock(),
        )

    assert sent.tries_left == 2


def test_no_code_is_sent_before_a_phone_presented_itself(begun: Counter) -> None:
    with pytest.raises(NotConfirmed):
        begun.send_code()


def test_no_code_is_sent_once_a_phone_is_paired(paired: Counter) -> None:
    with pytest.raises(PairingOver):
        paired.send_code()


def test_no_code_is_sent_for_a_frozen_signer(enrolled: Counter) -> None:
    enrolled.freeze()

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


def test_where_no_text_can_be_sent_it_is_said_and_none_is_counted(enrolled: Counter) -> None:
    able = enrolled.settings
    enrolled.settings = msgspec.structs.replace(able, sms_gateway=SmsGatewayKind.OFF)
    with pytest.raises(NotConfirmed, match="no text can be sent"):
        enrolled.send_code()
    assert enrolled.texts() == []
    enrolled.settings = able
    assert enrolled.confirm(enrolled.send_code()) == "confirmed"


def test_without_a_ticket_nothing_is_sent_or_confirmed(enrolled: Counter) -> None:
    enrolled.ticket = "x" * 43

    with pytest.raises(Unauthenticated):
        enrolled.send_code()
    with pytest.raises(Unauthenticated):
        enrolled.confirm("12345678")


# --- wrong codes ---------------------------------------------------------------


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
