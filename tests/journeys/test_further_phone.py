"""A paired phone adds another one, through HTTP, with the real SAM and the reference client."""

from collections.abc import Callable
from uuid import UUID

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from sqlalchemy import select, update

from backend.model.tables import Approval, Cell, Device, FurtherPhone, Record, Transaction
from backend.protocol.ask import sign_ask, verify_ask
from backend.protocol.encoding import Octets32, b64u, unb64u
from backend.protocol.jose import PublicJwk, raw_signature
from backend.protocol.locks import lock_to_device
from backend.protocol.record import CellRecord, verify_record
from backend.virtual_phone.answers import PhoneKind
from backend.virtual_phone.calls import FurtherAnswer, PhoneCalls
from backend.virtual_phone.errors import CannotAnswer, MessageRefused, NotPaired, ServerRefused
from backend.virtual_phone.further import checked_ask, paired
from backend.virtual_phone.invitation import Addresses
from backend.virtual_phone.jose import Jwk, jwk_of, key_from
from backend.virtual_phone.keystore import Further
from backend.virtual_phone.locks import open_device_lock, pin
from backend.virtual_phone.phone import VirtualPhone
from backend.virtual_phone.phone_keys import approval_key, request_key
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


@pytest.mark.parametrize("kind", ["virtual", "pwa", "desktop"])
def test_a_paired_phone_adds_another_one_which_then_approves(
    signing_service: Service, kind: PhoneKind
) -> None:
    new = signing_service.phone("new")
    add(signing_service, new, kind=kind)

    assert new.wait_to_be_added(rounds=1)

    first, second = newest_record(signing_service).devices
    assert (first.confirmed_by, second.confirmed_by) == (("operator",), ("device",))
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


def signed_by_another(service: Service, ask: str) -> tuple[str, Jwk]:
    """The same ask as a KS of somebody else's signs it."""
    key = ec.generate_private_key(ec.SECP256R1())
    claims = verify_ask(ask, expected_ks=service.public_keys.ks).claims
    ks = PublicJwk.of(key.public_key())

    def sign(message: bytes) -> bytes:
        return raw_signature(key.sign(message, ec.ECDSA(SHA256())))

    return sign_ask(claims, key=ks, sign=sign), Jwk(x=b64u(ks.x), y=b64u(ks.y))


def added(service: Service) -> tuple[Further, FurtherAnswer]:
    """A phone that was added and has not looked yet, and what it would see."""
    new = service.phone("new")
    add(service, new)
    phone = new.keystore.load().further
    assert phone is not None
    key = request_key(phone.keys)
    answer = PhoneCalls(new._caller, mobile_api=phone.mobile_api, request_key=key).further()
    assert answer is not None
    return phone, answer


def test_who_has_a_ks_of_his_own_cannot_make_the_pin(signing_service: Service) -> None:
    """The true lock beside it: asks by the false KS would get the cell's secret."""
    phone, true = added(signing_service)
    ask, ks = signed_by_another(signing_service, true.ask)
    false = msgspec.structs.replace(true, ask=ask, ks=ks)

    with pytest.raises(MessageRefused, match="vouches"):
        paired(false, signed=checked_ask(false, keys=phone.keys), further=phone)
    assert paired(true, signed=checked_ask(true, keys=phone.keys), further=phone).ks == true.ks


def test_limit_who_has_a_lock_of_his_own_shows_asks_that_open_nothing(
    signing_service: Service,
) -> None:
    """The new phone believes him, and has a secret that is not the cell's."""
    phone, true = added(signing_service)
    ask, ks = signed_by_another(signing_service, true.ask)
    signed = checked_ask(msgspec.structs.replace(true, ask=ask, ks=ks), keys=phone.keys)
    kid = jwk_of(approval_key(phone.keys)).thumbprint()
    unlock_jwk = jwk_of(key_from(unb64u(phone.keys.unlock)))
    lock = lock_to_device(
        bytes(32),
        unlock=PublicJwk(x=Octets32(unb64u(unlock_jwk.x)), y=Octets32(unb64u(unlock_jwk.y))),
        cell=UUID(signed.ask.cell),
        kid=kid,
    )
    own_pin = b64u(pin(bytes(32), ks=ks.thumbprint(), cell=signed.cell, kid=kid))
    false = msgspec.structs.replace(true, ask=ask, ks=ks, lock=lock, pin=own_pin)

    assert paired(false, signed=signed, further=phone).ks == ks
    assert true.lock is not None
    unlock = key_from(unb64u(phone.keys.unlock))
    assert open_device_lock(true.lock, cell=signed.cell, kid=kid, unlock=unlock) != bytes(32)


@pytest.mark.parametrize("missing", ["lock", "pin"])
def test_a_phone_is_not_paired_without_lock_and_pin(signing_service: Service, missing: str) -> None:
    phone, true = added(signing_service)
    less = msgspec.structs.replace(true, **{missing: None})
    with pytest.raises(MessageRefused, match="a lock and a pin"):
        paired(less, signed=checked_ask(true, keys=phone.keys), further=phone)


def test_a_new_phone_answers_no_ask_that_names_other_keys(signing_service: Service) -> None:
    """A row that leads it to the ask of another phone; and one to a pairing's ask."""
    new, other = signing_service.phone("new"), signing_service.phone("other")
    new.show_code(addresses(signing_service))
    code = other.show_code(addresses(signing_service))
    signing_service.phone().ask_to_add(code)
    state = new.keystore.load().further
    assert state is not None
    mine = jwk_of(request_key(state.keys)).thumbprint()
    with signing_service.sessions() as session:
        session.execute(update(FurtherPhone).values(request_kid=mine))
        session.commit()
    with pytest.raises(MessageRefused, match="another phone"):
        new.look_whether_added()

    with signing_service.sessions() as session:
        pairing = session.scalars(select(Transaction.ask).where(Transaction.kind == "enrol")).one()
        session.execute(
            update(Transaction).where(Transaction.kind == "further").values(ask=pairing)
        )
        session.commit()
    with pytest.raises(MessageRefused, match="does not add"):
        new.look_whether_added()
    assert new.keystore.load().further == state


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
