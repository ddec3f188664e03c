"""A paired phone adds another one, through HTTP, with the real SAM and the reference client."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from backend.model.tables import Approval, Cell, Device, FurtherPhone, Record, Transaction
from backend.protocol.record import CellRecord, verify_record
from backend.virtual_phone.answers import PhoneKind
from backend.virtual_phone.errors import CannotAnswer, MessageRefused, NotPaired, ServerRefused
from backend.virtual_phone.invitation import Addresses
from backend.virtual_phone.phone import VirtualPhone
from backend.virtual_phone.transactions import Consent
from tests.world.clock import SettableClock
from tests.world.service import Service


def addresses(service: Service) -> Addresses:
    """What the new phone knows before anything else."""
    settings = service.settings
    return Addresses(
        authorization_server=settings.authorization_server_url,
        mobile_api=settings.mobile_api_url,
        app=settings.app_url,
    )


def newest_record(service: Service) -> CellRecord:
    with service.sessions() as session:
        text = session.scalars(
            select(Record.record).join(
                Cell, (Cell.id == Record.cell_id) & (Cell.epoch == Record.epoch)
            )
        ).one()
    return verify_record(text, expected_ks=service.public_keys.ks)


def refusal(call: Callable[[], object]) -> tuple[str, int]:
    with pytest.raises(ServerRefused) as refused:
        call()
    return refused.value.name, refused.value.status


def add(service: Service, new: VirtualPhone, *, kind: PhoneKind = "virtual") -> None:
    """The paired phone reads the code of the new one and approves; the clerk ends it."""
    code = new.show_code(addresses(service), kind=kind)
    old = service.phone()
    assert old.approve(old.ask_to_add(code), consent=Consent(further_phone=code)) == "approved"
    new.wait_to_be_added(rounds=1)
    service.clerk.run_once()


@pytest.mark.parametrize("kind", ["virtual", "pwa"])
def test_a_paired_phone_adds_another_one_which_then_approves(
    signing_service: Service, kind: PhoneKind
) -> None:
    new = signing_service.phone("new")
    add(signing_service, new, kind=kind)

    assert new.wait_to_be_added(rounds=1)

    first, second = newest_record(signing_service).devices
    assert (first.confirmed_by, second.confirmed_by) == (("sms",), ("device",))
    assert second.kind == kind
    party = signing_service.add_relying_party()
    asked = signing_service.ask(bytes(32), party=party)
    assert new.approve(new.show(str(asked.id))) == "approved"


def test_the_new_phone_is_nobody_until_a_paired_one_has_approved(signing_service: Service) -> None:
    new, old = signing_service.phone("new"), signing_service.phone()
    code = new.show_code(addresses(signing_service))
    assert not new.wait_to_be_added(rounds=2)
    shown = old.ask_to_add(code)
    assert not new.wait_to_be_added(rounds=2)
    signing_service.clerk.run_once()
    assert not new.wait_to_be_added(rounds=1)
    with pytest.raises(NotPaired):
        new.device()

    old.approve(shown, consent=Consent(further_phone=code))
    signing_service.clerk.run_once()

    assert new.wait_to_be_added(rounds=1)


def test_nothing_is_left_of_the_secret_once_the_phone_is_added(signing_service: Service) -> None:
    add(signing_service, signing_service.phone("new"))

    with signing_service.sessions() as session:
        rows = select(Transaction.state, Approval.sealed).join(Approval)
        found = session.execute(rows.where(Transaction.kind == "further")).one()
    assert tuple(found) == ("redeemed", None)


def test_phones_are_told_that_it_is_an_ask_to_enrol(signing_service: Service) -> None:
    code = signing_service.phone("new").show_code(addresses(signing_service))
    old = signing_service.phone()
    old.ask_to_add(code)

    (listed,) = old.pending().transactions
    assert listed.kind == "enrol"


def test_a_paired_phone_approves_no_other_keys_than_those_on_the_screen(
    signing_service: Service,
) -> None:
    """A key that came only from the service is never sealed to."""
    code = signing_service.phone("new").show_code(addresses(signing_service))
    other = signing_service.phone("other").show_code(addresses(signing_service))
    old = signing_service.phone()
    shown = old.ask_to_add(code)
    for read in (None, other):
        with pytest.raises(CannotAnswer):
            old.approve(shown, consent=Consent(further_phone=read))


def test_what_is_refused_at_the_paired_phone_is_over_at_the_new_one(
    signing_service: Service, clock: SettableClock
) -> None:
    new, old = signing_service.phone("new"), signing_service.phone()
    code = new.show_code(addresses(signing_service))
    assert old.reject(old.ask_to_add(code), decision="not_me") == "rejected"
    assert new.look_whether_added() == "over"

    clock.advance(seconds=1)
    assert new.show_code(addresses(signing_service)) == code
    add(signing_service, new)

    assert new.wait_to_be_added(rounds=1)


def test_a_newer_ask_ends_the_one_before(signing_service: Service) -> None:
    first, second = (
        signing_service.phone(name).show_code(addresses(signing_service)) for name in ("a", "b")
    )
    old = signing_service.phone()
    shown = old.ask_to_add(first)
    old.ask_to_add(second)

    assert refusal(lambda: old.approve(shown, consent=Consent(further_phone=first))) == (
        "over",
        409,
    )


def test_a_phone_that_is_paired_cannot_be_added_again(signing_service: Service) -> None:
    new = signing_service.phone("new")
    code = new.show_code(addresses(signing_service))
    add(signing_service, new)

    assert refusal(lambda: signing_service.phone().ask_to_add(code)) == ("refused", 422)


def test_so_many_further_phones_are_asked_for_in_an_hour(signing_service: Service) -> None:
    old = signing_service.phone()
    codes = [
        signing_service.phone(f"new{number}").show_code(addresses(signing_service))
        for number in range(11)
    ]
    for code in codes[:10]:
        old.ask_to_add(code)

    assert refusal(lambda: old.ask_to_add(codes[10])) == ("too-many-requests", 429)


def test_a_frozen_signer_adds_no_phone(signing_service: Service) -> None:
    new, old = signing_service.phone("new"), signing_service.phone()
    code = new.show_code(addresses(signing_service))
    shown = old.ask_to_add(code)
    old.calls().call("POST", "freeze", {})

    assert refusal(lambda: old.approve(shown, consent=Consent(further_phone=code)))[0] == "frozen"
    assert refusal(lambda: new.wait_to_be_added(rounds=1))[0] == "frozen"
    assert refusal(lambda: old.ask_to_add(code))[0] == "frozen"


def test_a_phone_that_lost_the_answer_is_told_again(signing_service: Service) -> None:
    """The same bytes are the same use; they may come before the approval or after it."""
    new, old = signing_service.phone("new"), signing_service.phone()
    code = new.show_code(addresses(signing_service))
    shown = old.ask_to_add(code)
    for _ in range(2):
        assert not new.wait_to_be_added(rounds=1)
    kept = new.keystore.load().further
    assert kept is not None
    assert kept.enrolment is not None
    old.approve(shown, consent=Consent(further_phone=code))
    signing_service.clerk.run_once()

    calls = new.keystore.load()
    assert new.wait_to_be_added(rounds=1)
    assert calls.device is None
    with signing_service.sessions() as session:
        assert session.scalars(select(FurtherPhone.enrolment)).one() == kept.enrolment.enrolment


def test_a_key_for_which_nobody_with_the_secret_vouches_is_not_pinned(
    signing_service: Service,
) -> None:
    new = signing_service.phone("new")
    add(signing_service, new)
    with signing_service.sessions() as session:
        session.query(FurtherPhone).update({"pin": bytes(32)})
        session.commit()

    with pytest.raises(MessageRefused):
        new.wait_to_be_added(rounds=1)
    with pytest.raises(NotPaired):
        new.device()


def test_a_removed_phone_gets_no_lock_any_more(signing_service: Service) -> None:
    new = signing_service.phone("new")
    add(signing_service, new)
    with signing_service.sessions() as session:
        kid = session.scalars(select(FurtherPhone.kid)).one()
        session.query(Device).filter(Device.kid == kid).update(
            {"removal_asked_at": signing_service.clock()}
        )
        session.commit()

    assert new.look_whether_added() == "over"


def test_a_phone_makes_a_recovery_code_of_its_own(signing_service: Service) -> None:
    phone = signing_service.phone()

    first, second = phone.new_recovery_code(), phone.new_recovery_code()

    assert first != second
    assert len(second.replace("-", "")) == 26
