"""Pairing, step 2: a phone presents its keys; on both databases, no SAM in the code under test."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import Engine, delete, event, func, select, update

from backend.algorithms import KeyAlgorithm
from backend.devices.envelope import standard_policy
from backend.devices.pairing import PairingView, pairing_view
from backend.errors import (
    CellkeyError,
    EnrolmentRefused,
    MalformedMessage,
    PairingConflict,
    PairingOver,
    SignerFrozen,
    Unauthenticated,
)
from backend.model.tables import Device, Enrolment, Lock, Pairing, Record, Transaction
from backend.protocol.enrolment import twelve_characters
from backend.sam.cells import MakeCell
from backend.settings import Environment
from backend.signers.freeze import freeze
from tests.world.counter import Counter
from tests.world.paper_phone import PaperPhone, read
from tests.world.sam import ORIGIN


def shown(counter: Counter) -> PairingView:
    with counter.session_factory() as session:
        return pairing_view(
            session, ticket=counter.ticket, public_keys=counter.public_keys, now=counter.clock()
        )


def state(counter: Counter) -> str:
    found: str = counter.row(select(Pairing.state))
    return found


# --- what the phone is given ------------------------------------------------------


def test_the_phone_is_given_ask_lock_and_what_confirms_it(begun: Counter) -> None:
    view = shown(begun)

    assert view.state == "printed"
    assert view.ask == begun.row(select(Transaction.ask))
    assert view.envelope_lock == begun.row(select(Lock.lock).where(Lock.kind == "envelope"))
    assert (view.ks, view.keys) == (begun.public_keys.ks, begun.public_keys.keys)
    assert view.confirmation == ("sms",)


def test_showing_writes_nothing(begun: Counter) -> None:
    before = begun.row(select(Pairing)).__dict__ | {"_sa_instance_state": None}
    shown(begun)

    assert begun.row(select(Pairing)).__dict__ | {"_sa_instance_state": None} == before


def test_once_confirmed_there_is_no_lock_to_give(paired: Counter) -> None:
    view = shown(paired)

    assert (view.state, view.envelope_lock) == ("confirmed", None)


def test_a_frozen_pairing_is_shown_without_its_lock(begun: Counter) -> None:
    begun.write(update(Pairing).values(state="frozen"))
    view = shown(begun)

    assert (view.state, view.envelope_lock) == ("frozen", None)


@pytest.mark.parametrize("ticket", ["", "x" * 43, "x" * 100_000, "билет", "\0"])
def test_a_ticket_that_was_not_given_is_refused(begun: Counter, ticket: str) -> None:
    begun.ticket = ticket

    with pytest.raises(Unauthenticated):
        shown(begun)


def test_a_ticket_is_over_with_its_quarter_of_an_hour(begun: Counter) -> None:
    begun.clock.advance(minutes=14, seconds=59)
    shown(begun)
    begun.clock.advance(seconds=1)

    with pytest.raises(Unauthenticated):
        shown(begun)


def test_a_frozen_signer_is_shown_nothing(begun: Counter) -> None:
    """R-048."""
    freeze_signer(begun)

    with pytest.raises(SignerFrozen):
        shown(begun)


def test_a_planted_record_is_not_believed(begun: Counter) -> None:
    """T-09: what is said of the confirmation comes from the signed record."""
    begun.write(update(Record).values(record=begun.row(select(Record.record))[:-4] + "AAAA"))

    with pytest.raises(MalformedMessage):
        shown(begun)


# --- what the phone sends ---------------------------------------------------------


def test_a_phone_presents_itself_and_is_told_its_twelve_characters(begun: Counter) -> None:
    enrolment, sealed = begun.enrolment()
    stored = begun.present(enrolment, sealed)

    assert (stored.state, stored.twelve) == ("enrolled", twelve_characters(enrolment))
    assert state(begun) == "enrolled"
    assert begun.row(select(Enrolment.sealed)) == sealed
    assert begun.row(select(Enrolment.kid)) == begun.phone.kid


def test_a_pwa_presents_itself_with_its_passkey(begun: Counter) -> None:
    assert begun.present(*begun.enrolment(app=ORIGIN)).state == "enrolled"


def test_a_passkey_of_another_site_is_refused(begun: Counter) -> None:
    with pytest.raises(MalformedMessage):
        begun.present(*begun.enrolment(app="https://localhost.example"))

    assert state(begun) == "printed"


def test_the_same_bytes_again_are_the_same_use(begun: Counter) -> None:
    enrolment, sealed = begun.enrolment()
    first = begun.present(enrolment, sealed)

    assert begun.present(enrolment, sealed) == first
    assert state(begun) == "enrolled"


def test_the_same_bytes_after_the_confirmation_are_told_so(enrolled: Counter) -> None:
    kept: Enrolment = enrolled.row(select(Enrolment))
    enrolled.confirm(enrolled.send_code())

    assert enrolled.present(kept.enrolment, kept.sealed or "").state == "confirmed"


def test_the_same_keys_in_other_bytes_are_refused_and_the_first_stands(begun: Counter) -> None:
    """docs/phone-protocol.md, 6."""
    enrolment, sealed = begun.enrolment()
    other, other_sealed = begun.enrolment()
    begun.present(enrolment, sealed)

    with pytest.raises(PairingConflict):
        begun.present(other, other_sealed)

    assert state(begun) == "enrolled"
    assert begun.row(select(Enrolment.enrolment)) == enrolment


# --- another phone ----------------------------------------------------------------


def test_a_second_phone_with_the_same_envelope_freezes_the_pairing(
    enrolled: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    """T-02: pair twice, the second is refused, nobody is believed, and it is reported."""
    code = enrolled.send_code()
    with pytest.raises(PairingConflict):
        enrolled.present(*enrolled.enrolment(PaperPhone()))

    assert state(enrolled) == "frozen"
    assert enrolled.row(select(Enrolment.sealed)) is None
    assert "two phones used one envelope" in caplog.text
    with pytest.raises(PairingOver):
        enrolled.confirm(code)
    assert enrolled.rows(select(Device)) == []


def test_a_frozen_pairing_takes_no_phone_any_more(enrolled: Counter) -> None:
    enrolment, sealed = enrolled.enrolment(PaperPhone())
    enrolled.write(update(Pairing).values(state="frozen"))

    with pytest.raises(PairingOver):
        enrolled.present(enrolment, sealed)


def test_a_second_phone_under_a_second_ticket_freezes_the_pairing_too(enrolled: Counter) -> None:
    """T-02: who knows envelope and password begins again while the first phone waits."""
    enrolled.sign_in()
    with pytest.raises(PairingConflict):
        enrolled.present(*enrolled.enrolment(PaperPhone()))

    assert state(enrolled) == "frozen"
    assert set(enrolled.rows(select(Enrolment.sealed))) == {None}


def test_the_same_phone_may_begin_again(enrolled: Counter) -> None:
    """The same keys are the same use, also under a new ask."""
    enrolled.sign_in()
    enrolled.present(*enrolled.enrolment())

    assert enrolled.confirm(enrolled.send_code()) == "confirmed"


def test_after_the_first_ask_is_over_another_phone_may_come(enrolled: Counter) -> None:
    """A phone that lost its keys half-way: a quarter of an hour later the envelope still works."""
    enrolled.clock.advance(minutes=15)
    enrolled.sign_in()
    enrolled.present(*enrolled.enrolment(PaperPhone()))

    assert enrolled.confirm(enrolled.send_code()) == "confirmed"


def test_after_the_confirmation_another_phone_is_only_reported(
    enrolled: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    """The paired phone is not touched: a thief's try must not lock its owner out (T-21)."""
    thief = enrolled.enrolment(PaperPhone())
    enrolled.confirm(enrolled.send_code())
    with pytest.raises(PairingConflict):
        enrolled.present(*thief)

    assert state(enrolled) == "confirmed"
    assert "another phone used a used envelope" in caplog.text
    with enrolled.session_factory() as session:
        assert enrolled.authenticate(session, enrolled.proof()).kid == enrolled.phone.kid


def test_of_two_phones_at_once_none_is_paired(begun: Counter) -> None:
    """T-02, T-07: whichever comes second freezes, on both engines."""
    presented = [begun.enrolment(), begun.enrolment(PaperPhone())]

    def attempt(messages: tuple[str, str]) -> str:
        try:
            return begun.present(*messages).state
        except CellkeyError as error:
            return type(error).__name__

    with ThreadPoolExecutor(2) as pool:
        answers = sorted(pool.map(attempt, presented))

    assert answers == ["PairingConflict", "enrolled"]
    assert state(begun) == "frozen"


def test_the_same_bytes_at_once_are_one_use(begun: Counter) -> None:
    messages = begun.enrolment()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: begun.present(*messages), range(4)))

    assert {answer.state for answer in answers} == {"enrolled"}
    assert begun.row(select(func.count()).select_from(Enrolment)) == 1


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_phone_whose_pairing_froze_before_the_commit_is_refused(
    begun: Counter, engine: Engine
) -> None:
    """SQLite locks out the other writer; on PostgreSQL it comes between look and update."""
    messages = begun.enrolment()
    other_writers: list[str] = ["another phone"]

    def come_first(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE pairings") and other_writers:
            other_writers.pop()
            begun.write(update(Pairing).values(state="frozen"))

    event.listen(engine, "before_cursor_execute", come_first)
    with pytest.raises(PairingOver):
        begun.present(*messages)

    assert begun.rows(select(Enrolment)) == []


# --- what is not in order ---------------------------------------------------------


def test_an_enrolment_for_another_ask_is_refused(begun: Counter) -> None:
    messages = begun.enrolment()
    begun.sign_in()

    with pytest.raises(MalformedMessage, match="another ask"):
        begun.present(*messages)


def test_a_seal_of_another_enrolment_is_refused(begun: Counter) -> None:
    enrolment, _ = begun.enrolment()
    _, other_sealed = begun.enrolment(PaperPhone())

    with pytest.raises(MalformedMessage, match="sealed"):
        begun.present(enrolment, other_sealed)


def test_an_enrolment_without_a_secret_is_refused(begun: Counter) -> None:
    """It is a further phone's; this one has no other phone to bring the secret."""
    view = shown(begun)
    enrolment = begun.phone.enrol_without_secret(read(view.ask, view.ks))

    with pytest.raises(MalformedMessage, match="secret"):
        begun.present(enrolment, "")


@pytest.mark.parametrize("rubbish", ["", "a.b.c", "x" * 100_000, "билет"])
def test_rubbish_is_refused_and_changes_nothing(begun: Counter, rubbish: str) -> None:
    enrolment, sealed = begun.enrolment()
    for messages in ((rubbish, sealed), (enrolment, rubbish)):
        with pytest.raises(MalformedMessage):
            begun.present(*messages)

    assert state(begun) == "printed"
    assert begun.rows(select(Enrolment)) == []


def test_a_kind_that_the_cell_does_not_allow_is_refused(begun: Counter) -> None:
    """Production pairs no virtual phones: the cell's signed policy says so."""
    production = msgspec.structs.replace(begun.settings, environment=Environment.PRODUCTION)
    strict = MakeCell(
        signer=begun.signer,
        subject=bytes(32),
        algorithm=KeyAlgorithm.P256,
        policy=standard_policy(production, with_number=True),
        number=None,
        password_hash=None,
    )
    messages = begun.enrolment()
    begun.write(update(Record).values(record=begun.world.sam.make_cell(strict).record))

    with pytest.raises(EnrolmentRefused, match="kind"):
        begun.present(*messages)


def test_keys_that_are_paired_elsewhere_are_refused(begun: Counter) -> None:
    messages = begun.enrolment()
    begun.write(
        Device.__table__.insert().values(  # type: ignore[attr-defined]  # a Table
            kid=begun.phone.kid,
            cell_id=begun.cell,
            request_kid=bytes(32),
            kind="virtual",
            paired_at=begun.clock(),
            removed_at=begun.clock(),
        )
    )

    with pytest.raises(EnrolmentRefused, match="paired already"):
        begun.present(*messages)


def test_a_frozen_signers_phone_is_refused(begun: Counter) -> None:
    messages = begun.enrolment()
    freeze_signer(begun)

    with pytest.raises(SignerFrozen):
        begun.present(*messages)


def test_an_enrolment_comes_too_late_with_the_ticket(begun: Counter) -> None:
    messages = begun.enrolment()
    begun.clock.set(begun.clock() + timedelta(minutes=15))

    with pytest.raises(Unauthenticated):
        begun.present(*messages)


def test_a_ticket_whose_ask_is_gone_is_refused(begun: Counter) -> None:
    begun.write(update(Pairing).values(transaction_id=None))
    begun.write(delete(Transaction))

    with pytest.raises(Unauthenticated):
        shown(begun)


def freeze_signer(counter: Counter) -> None:
    with counter.session_factory() as session:
        freeze(session, signer=counter.signer, by="desk", now=counter.clock())
