"""A browser adds a security key, approves by it and removes it, through HTTP (section 8.6)."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from backend.model.tables import Approval, Cell, Record
from backend.protocol.encoding import b64u
from backend.protocol.record import CellRecord, verify_record
from backend.sam.cells import AddSecurityKey, NextRecord
from backend.signers.freeze import freeze
from backend.virtual_phone.calls import PhoneCalls
from backend.virtual_phone.errors import CannotAnswer, ServerRefused
from backend.virtual_phone.phone import VirtualPhone
from backend.virtual_phone.transactions import Consent
from tests.world.clock import SettableClock
from tests.world.service import Service, copy_service, open_service


@pytest.fixture(scope="module")
def signed_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service whose signer's phone is a computer's browser, with a certificate."""
    folder = tmp_path_factory.mktemp("browser")
    service = open_service(folder)
    service.signing_phone(service.register(), kind="desktop")
    service.close()
    return folder


@pytest.fixture
def service(signed_up: Path, tmp_path: Path, clock: SettableClock) -> Iterator[Service]:
    opened = copy_service(signed_up, tmp_path / "service", clock=clock)
    yield opened
    opened.close()


def newest_record(service: Service) -> CellRecord:
    with service.sessions() as session:
        text = session.scalars(
            select(Record.record).join(
                Cell, (Cell.id == Record.cell_id) & (Cell.epoch == Record.epoch)
            )
        ).one()
    return verify_record(text, expected_ks=service.public_keys.ks)


def known(service: Service) -> list[str]:
    """Ids of the security keys that the record knows."""
    return [b64u(key.id) for key in newest_record(service).devices[0].security_keys]


def refusal(call: Callable[[], object]) -> tuple[str, int]:
    with pytest.raises(ServerRefused) as refused:
        call()
    return refused.value.name, refused.value.status


def approve(service: Service, phone: VirtualPhone, *, security_key: str | None = None) -> str:
    party = service.add_relying_party(client_id=f"shop {uuid4()}")
    asked = service.ask(bytes(32), party=party)
    return phone.approve(phone.show(str(asked.id)), consent=Consent(security_key=security_key))


def test_a_phone_approves_by_its_security_key_and_by_its_passkey(service: Service) -> None:
    phone = service.phone()
    key = phone.add_security_key()

    assert known(service) == [key]
    assert [one.id for one in phone.calls().security_keys().security_keys] == [key]
    assert approve(service, phone, security_key=key) == "approved"
    assert approve(service, phone) == "approved"


def test_a_removed_security_key_is_known_no_more(service: Service) -> None:
    phone = service.phone()
    first, second = phone.add_security_key(), phone.add_security_key()
    held = phone.keystore.load()

    phone.remove_security_key(first)

    assert known(service) == [second]
    assert refusal(lambda: phone.remove_security_key(first)) == ("not-found", 404)
    with pytest.raises(CannotAnswer):
        approve(service, phone, security_key=first)
    phone.keystore.change(lambda _state: held)  # who kept the token and this browser's memory
    assert refusal(lambda: approve(service, phone, security_key=first)) == ("malformed", 422)


def test_a_security_key_that_was_never_handed_in_approves_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The phone alone cannot let it in: the record decides."""
    phone = service.phone()
    with monkeypatch.context() as without:
        without.setattr(PhoneCalls, "add_security_key", lambda *_arguments, **_named: None)
        key = phone.add_security_key()

    assert known(service) == []
    assert refusal(lambda: approve(service, phone, security_key=key)) == ("malformed", 422)
    with service.sessions() as session:
        assert session.scalar(select(func.count()).select_from(Approval)) == 1  # the certificate's


def test_an_answer_that_was_lost_is_had_again(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone, sent = service.phone(), []
    real = PhoneCalls.add_security_key

    def twice(self: PhoneCalls, message: str, *, authorization_server: str) -> None:
        for _ in range(2):
            real(self, message, authorization_server=authorization_server)
            sent.append(newest_record(service).epoch)

    monkeypatch.setattr(PhoneCalls, "add_security_key", twice)
    key = phone.add_security_key()

    assert known(service) == [key]
    assert sent[0] == sent[1]


def test_where_the_record_went_on_meanwhile_nothing_is_written(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two at once follow one record: one of them is let in."""
    phone, real = service.phone(), service.sam.add_security_key
    added: list[str] = []

    def first_another(request: AddSecurityKey) -> NextRecord:
        monkeypatch.undo()
        added.append(service.phone().add_security_key())
        return real(request)

    monkeypatch.setattr(service.sam, "add_security_key", first_another)
    assert refusal(phone.add_security_key) == ("conflict", 409)
    assert known(service) == added


def freeze_now(service: Service) -> None:
    with service.sessions() as session:
        freeze(session, signer=service.signer(), by="desk", now=service.clock())


def test_a_freeze_stops_who_adds_and_not_who_removes(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = service.phone()
    key = phone.add_security_key()
    freeze_now(service)
    asked: list[AddSecurityKey] = []
    with monkeypatch.context() as listening:
        listening.setattr(service.sam, "add_security_key", asked.append)
        assert refusal(phone.add_security_key) == ("frozen", 403)
    assert asked == []
    phone.remove_security_key(key)
    assert known(service) == []


def test_a_freeze_while_the_sam_works_keeps_the_key_out(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = service.sam.add_security_key

    def frozen_meanwhile(request: AddSecurityKey) -> NextRecord:
        freeze_now(service)
        return real(request)

    monkeypatch.setattr(service.sam, "add_security_key", frozen_meanwhile)
    assert refusal(service.phone().add_security_key) == ("frozen", 403)
    assert known(service) == []


def test_a_message_that_is_none_and_an_id_that_is_none_are_refused(service: Service) -> None:
    phone = service.phone()
    at = {"authorization_server": phone.device().authorization_server}
    calls = phone.calls()
    assert refusal(lambda: calls.add_security_key("none", **at)) == ("malformed", 422)
    for none in ("AA==", "AQ"):
        call = partial(calls.remove_security_key, none, **at)
        assert refusal(call) == ("not-found", 404)


def test_the_sam_refuses_by_a_rule_what_is_for_an_older_record(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = service.phone()
    before = phone.calls().security_keys()
    phone.add_security_key()
    monkeypatch.setattr(PhoneCalls, "security_keys", lambda _self: before)
    assert refusal(phone.add_security_key) == ("refused", 422)


def test_only_a_browser_has_security_keys(service: Service, tmp_path: Path) -> None:
    other = open_service(tmp_path / "other")
    phone = other.paired_phone(other.register())
    with pytest.raises(CannotAnswer):
        phone.add_security_key()
    assert phone.calls().security_keys().security_keys == ()
    other.close()
