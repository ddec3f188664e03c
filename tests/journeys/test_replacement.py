"""The phone is lost, the key stays: an envelope for a cell that exists (design, 4 and 8)."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from sqlalchemy import delete, select, update

from backend.devices.replacement import Replacement, ReplacementOrder, print_replacement
from backend.errors import AlreadyThere
from backend.model.tables import Cell, Device, Lock, Pairing, Record, Signer
from backend.protocol.record import verify_record
from backend.signers.freeze import freeze, lift
from backend.virtual_phone import pairing
from backend.virtual_phone.answers import PhoneKind
from backend.virtual_phone.encoding import secret_of
from backend.virtual_phone.errors import CannotAnswer, MessageRefused, ServerRefused
from backend.virtual_phone.invitation import read_addresses, read_envelope
from backend.virtual_phone.phone import VirtualPhone
from tests.world.service import NEW_PASSWORD, OTHER_OPERATOR, PRINTER, WITHOUT_NUMBER, Service

ANNAS = "a.ivanova"


def replace(
    service: Service, *, remove_phones: bool = False, reset_password: bool = False
) -> Replacement:
    order = ReplacementOrder(
        login=ANNAS,
        operator=PRINTER,
        remove_phones=remove_phones,
        reset_password=reset_password,
    )
    service.clock.advance(seconds=1)  # type: ignore[attr-defined]  # a clock that tests set
    with service.sessions() as session:
        return print_replacement(
            session,
            service.sam,
            order,
            settings=service.settings,
            public_keys=service.public_keys,
            now=service.clock(),
        )


def applicant(envelope: Replacement, **changed: Any) -> pairing.Applicant:  # noqa: ANN401  # members of Applicant
    given: dict[str, Any] = {
        "addresses": read_addresses(envelope.qr1),
        "envelope": read_envelope(envelope.qr2),
        "login": envelope.login,
        "password": NEW_PASSWORD,
    }
    return pairing.Applicant(**(given | changed))


def recovered(
    service: Service, envelope: Replacement, code: str, *, kind: PhoneKind = "virtual"
) -> VirtualPhone:
    """A new phone, paired by the recovery code and an operator."""
    phone = service.phone("new")
    begun = phone.pair_start(applicant(envelope, recovery_code=secret_of(code)), kind=kind)
    service.confirm(phone, begun, login=envelope.login)
    return phone


def refusal(call: Callable[[], object]) -> tuple[str, int]:
    with pytest.raises(ServerRefused) as refused:
        call()
    return refused.value.name, refused.value.status


def approves(service: Service, phone: VirtualPhone) -> bool:
    """Whether the cell signs by that phone."""
    asked = service.ask(bytes(32), party=service.add_relying_party())
    return phone.approve(phone.show(str(asked.id))) == "approved"


# --- the recovery code ------------------------------------------------------------


@pytest.mark.parametrize("kind", ["virtual", "pwa"])
def test_the_recovery_code_brings_the_key_to_another_phone(
    signing_service: Service, kind: PhoneKind
) -> None:
    code = signing_service.phone().new_recovery_code()

    new = recovered(signing_service, replace(signing_service), code, kind=kind)

    assert approves(signing_service, new)
    assert len(new.calls().call("GET", "devices").body) > 0


def test_the_key_and_its_certificate_stay(signing_service: Service) -> None:
    rows = select(Cell.id, Cell.spki, Cell.certificate)
    with signing_service.sessions() as session:
        before = session.execute(rows).all()
    recovered(
        signing_service, replace(signing_service), signing_service.phone().new_recovery_code()
    )

    with signing_service.sessions() as session:
        assert session.execute(rows).all() == before


def test_a_new_recovery_code_takes_the_place_of_the_one_that_was_used(
    signing_service: Service,
) -> None:
    used = signing_service.phone().new_recovery_code()
    new = recovered(signing_service, replace(signing_service), used)
    fresh = new.recovery_code()
    assert fresh

    again = signing_service.phone("third")
    with pytest.raises(MessageRefused):
        again.pair_start(applicant(replace(signing_service), recovery_code=secret_of(used)))
    assert again.pair_start(
        applicant(replace(signing_service), recovery_code=secret_of(fresh))
    ).confirmation == ("operator",)


def test_old_phones_are_removed_if_the_signer_says_so(signing_service: Service) -> None:
    """T-37."""
    old = signing_service.phone()
    code = old.new_recovery_code()
    envelope = replace(signing_service, remove_phones=True)

    assert refusal(old.pending)[0] == "unauthenticated"
    signing_service.clerk.run_once()
    new = recovered(signing_service, envelope, code)

    assert approves(signing_service, new)
    with signing_service.sessions() as session:
        assert session.scalars(select(Device.removed_at.is_(None))).all().count(True) == 1


def test_old_phones_are_kept_if_the_signer_says_so(signing_service: Service) -> None:
    code = signing_service.phone().new_recovery_code()
    recovered(signing_service, replace(signing_service), code)

    assert approves(signing_service, signing_service.phone())


def test_a_code_of_nobody_opens_nothing(signing_service: Service) -> None:
    signing_service.phone().new_recovery_code()
    new = signing_service.phone("new")
    with pytest.raises(MessageRefused):
        new.pair_start(applicant(replace(signing_service), recovery_code=bytes(16)))


def test_where_no_recovery_code_was_made_it_cannot_be_used(signing_service: Service) -> None:
    with signing_service.sessions() as session:
        session.execute(delete(Lock).where(Lock.kind == "recovery"))
        session.commit()
    new = signing_service.phone("new")
    with pytest.raises(CannotAnswer):
        new.pair_start(applicant(replace(signing_service), recovery_code=bytes(16)))


def test_the_envelope_pins_ks(signing_service: Service) -> None:
    """QR 2 says which service; another KS beside the ask is refused before anything is opened."""
    code = signing_service.phone().new_recovery_code()
    envelope = replace(signing_service)
    other = read_envelope(envelope.qr2[:-43] + "A" * 43)
    begun = applicant(envelope, recovery_code=secret_of(code))
    new = signing_service.phone("new")
    with pytest.raises(MessageRefused):
        new.pair_start(msgspec.structs.replace(begun, envelope=other))


# --- the password -----------------------------------------------------------------


@pytest.mark.sms
@pytest.mark.parametrize("kind", ["virtual", "pwa"])
def test_the_password_and_the_code_bring_the_key_to_another_phone(
    signing_service: Service, kind: PhoneKind
) -> None:
    new = signing_service.phone("new")
    new.pair_start(applicant(replace(signing_service)), kind=kind)
    new.send_code()

    assert new.pair_confirm(signing_service.work()[-1].code, password=NEW_PASSWORD)

    assert new.recovery_code() is None
    assert new.new_recovery_code()
    assert approves(signing_service, new)


@pytest.mark.sms
def test_a_wrong_password_costs_no_code(signing_service: Service) -> None:
    new = signing_service.phone("new")
    new.pair_start(applicant(replace(signing_service)))
    new.send_code()
    code = signing_service.work()[-1].code

    for _ in range(4):
        assert refusal(lambda: new.pair_confirm(code, password="another"))[1] == 401
    assert refusal(lambda: new.pair_confirm("00000000", password=NEW_PASSWORD))[0] == "wrong-code"
    assert new.pair_confirm(code, password=NEW_PASSWORD)


@pytest.mark.sms
def test_without_the_password_the_code_brings_nothing(signing_service: Service) -> None:
    new = signing_service.phone("new")
    new.pair_start(applicant(replace(signing_service)))
    new.send_code()

    code = signing_service.work()[-1].code
    assert refusal(lambda: new.pair_confirm(code)) == ("malformed", 422)


def test_a_reset_password_opens_the_key_no_more(signing_service: Service) -> None:
    """T-10, T-36: an operator who prints and resets has the password, and gets nothing by it."""
    code = signing_service.phone().new_recovery_code()
    envelope = replace(signing_service, reset_password=True)
    assert envelope.first_password
    first = {"password": envelope.first_password, "new_password": "новый чайник 8"}
    new = signing_service.phone("new")
    with pytest.raises(CannotAnswer):
        new.pair_start(applicant(envelope, **first))

    progress = new.pair_start(applicant(envelope, recovery_code=secret_of(code), **first))

    assert progress.confirmation == ("operator",)
    with signing_service.sessions() as session:
        assert session.scalars(select(Lock).where(Lock.kind == "password")).all() == []


def test_the_old_password_begins_nothing_after_a_reset(signing_service: Service) -> None:
    envelope = replace(signing_service, reset_password=True)
    new = signing_service.phone("new")
    assert refusal(lambda: new.pair_start(applicant(envelope)))[0] == "password-unfit"
    begun = applicant(envelope, new_password="новый чайник 8")
    assert refusal(lambda: new.pair_start(begun))[0] == "unauthenticated"


@pytest.mark.sms
def test_a_lock_that_goes_while_the_code_is_typed_opens_nothing(signing_service: Service) -> None:
    new = signing_service.phone("new")
    new.pair_start(applicant(replace(signing_service)))
    new.send_code()
    with signing_service.sessions() as session:
        session.execute(delete(Lock).where(Lock.kind == "password"))
        session.commit()

    code = signing_service.work()[-1].code
    assert refusal(lambda: new.pair_confirm(code, password=NEW_PASSWORD))[0] == "pairing-over"


def test_nobody_pairs_without_a_secret_by_a_first_envelope(service: Service) -> None:
    """The password recovers; it pairs no first phone."""
    envelope = service.register(WITHOUT_NUMBER)
    new = service.phone("new")
    with service.sessions() as session:
        assert not session.scalars(select(Pairing.for_existing)).all().count(True)
    pinned = read_envelope(f"{envelope.qr2}&k={'A' * 43}")
    begun = service.applicant(envelope)
    with pytest.raises(CannotAnswer):
        new.pair_start(msgspec.structs.replace(begun, envelope=pinned))


# --- people -----------------------------------------------------------------------


def test_a_freeze_is_in_force_until_two_people_lift_it(signing_service: Service) -> None:
    """R-048: the envelope may be printed meanwhile; it begins nothing."""
    code = signing_service.phone().new_recovery_code()
    signer, now = signing_service.signer(), signing_service.clock()
    with signing_service.sessions() as session:
        freeze(session, signer=signer, by=PRINTER, now=now)
    envelope = replace(signing_service, remove_phones=True)
    new = signing_service.phone("new")
    begun = applicant(envelope, recovery_code=secret_of(code))
    assert refusal(lambda: new.pair_start(begun))[0] == "frozen"

    with signing_service.sessions() as session:
        lift(session, signer=signer, operator=PRINTER, second=OTHER_OPERATOR, now=now)
    signing_service.clerk.run_once()

    recovered(signing_service, envelope, code)


def test_the_newest_envelope_stands(signing_service: Service) -> None:
    code = signing_service.phone().new_recovery_code()
    first = replace(signing_service)
    replace(signing_service)
    new = signing_service.phone("new")
    begun = applicant(first, recovery_code=secret_of(code))
    assert refusal(lambda: new.pair_start(begun))[0] == "pairing-over"


def test_a_cell_without_a_phone_gets_no_such_envelope(service: Service) -> None:
    with pytest.raises(AlreadyThere):
        replace(service)


def test_tickets_of_earlier_envelopes_do_not_count(signing_service: Service) -> None:
    code = signing_service.phone().new_recovery_code()
    with signing_service.sessions() as session:
        session.execute(update(Signer).values(password_tries=0))
        session.commit()
    signing_service.clock.advance(seconds=1)  # type: ignore[attr-defined]  # a clock that tests set
    assert recovered(signing_service, replace(signing_service), code).kid()


def test_the_record_says_how_it_was_confirmed(signing_service: Service) -> None:
    code = signing_service.phone().new_recovery_code()
    recovered(signing_service, replace(signing_service), code)

    with signing_service.sessions() as session:
        text = session.scalars(select(Record.record).order_by(Record.epoch.desc())).first()
    assert text is not None
    *_, device = verify_record(text, expected_ks=signing_service.public_keys.ks).devices
    assert device.confirmed_by == ("operator",)
