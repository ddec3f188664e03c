"""Pairing, step 2: a phone presents its keys; on both databases, without the SAM."""

from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import delete, select, update

from backend.algorithms import KeyAlgorithm
from backend.devices.envelope import standard_policy
from backend.devices.pairing import PairingView, pairing_view
from backend.errors import (
    EnrolmentRefused,
    KindRefused,
    MalformedMessage,
    PairingConflict,
    SignerFrozen,
    Unauthenticated,
)
from backend.model.tables import Device, Enrolment, Lock, Pairing, Record, Transaction
from backend.protocol.enrolment import twelve_characters
from backend.sam.cells import MakeCell
from backend.settings import Environment
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


# --- what the phone is given ---------------------------------------------------


def test_the_phone_is_given_ask_lock_and_what_confirms_it(begun: Counter) -> None:
    view = shown(begun)

    assert view.state == "printed"
    assert view.ask == begun.row(select(Transaction.ask))
    assert view.envelope_lock == begun.row(select(Lock.lock).where(Lock.kind == "envelope"))
    assert (view.ks, view.keys) == (begun.public_keys.ks, begun.public_keys.keys)
    assert view.confirmation == ("operator",)


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


@pytest.mark.parametrize("ticket", ["", "x" * 43, "x" * 100_000, "билет", "\0", "\ud800"])
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
    begun.freeze()

    with pytest.raises(SignerFrozen):
        shown(begun)


def test_a_planted_record_is_not_believed(begun: Counter) -> None:
    """T-09: what is said of the confirmation comes from the signed record."""
    begun.write(update(Record).values(record=begun.row(select(Record.record))[:-4] + "AAAA"))

    with pytest.raises(MalformedMessage):
        shown(begun)


# --- what the phone sends ------------------------------------------------------


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
    enrolled.confirm_by_operator()

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


# --- what is not in order ------------------------------------------------------


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

    with pytest.raises(KindRefused, match="kind virtual"):
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
    begun.freeze()

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
