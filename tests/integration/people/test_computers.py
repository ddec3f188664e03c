"""The app on a computer: a kind of phone that the authority may refuse (decision 24)."""

from typing import Any

import msgspec
import pytest
from sqlalchemy import select, update

from backend.credentials.overview import every_signer
from backend.devices.envelope import standard_policy
from backend.errors import KindRefused, MalformedMessage
from backend.model.tables import Cell, Device, Enrolment, FurtherPhone, Pairing, Record
from backend.protocol.record import CellRecord
from backend.settings import read_settings
from tests.integration.people.test_envelope import reprint
from tests.world.counter import APPLICANT, Counter
from tests.world.further import Further
from tests.world.paper_phone import PaperPhone

NO_COMPUTER = msgspec.structs.replace(APPLICANT, desktop=False)


def newest_record(counter: Counter) -> CellRecord:
    query = select(Record.record).join(
        Cell, (Cell.id == Record.cell_id) & (Cell.epoch == Record.epoch)
    )
    record: CellRecord = counter.world.sam._voice.verified_record(counter.row(query))
    return record


def computer() -> PaperPhone:
    return PaperPhone(browser="desktop")


# --- what the authority decides ---------------------------------------------------


def test_the_installation_decides_and_the_applicant_may_be_an_exception(counter: Counter) -> None:
    allows = counter.settings
    refuses = msgspec.structs.replace(allows, app_desktop=False)

    def allowed(settings: Any, **given: Any) -> bool:  # noqa: ANN401  # of standard_policy
        policy = standard_policy(settings, with_number=True, **given)
        return "desktop" in policy.caps.kinds

    assert allowed(allows)
    assert not allowed(refuses)
    assert allowed(refuses, desktop=True)
    assert not allowed(allows, desktop=False)
    assert read_settings({}).app_desktop
    assert not read_settings({"CELLKEY_APP_DESKTOP": "false"}).app_desktop


def test_an_envelope_that_is_printed_anew_keeps_what_was_decided(counter: Counter) -> None:
    counter.register(NO_COMPUTER)
    reprint(counter)
    voice = counter.world.sam._voice
    records = [voice.verified_record(text) for text in counter.rows(select(Record.record))]
    assert {record.policy.caps.kinds for record in records} == {("pwa", "native", "virtual")}
    assert len(records) == 2


def test_a_row_that_says_otherwise_prints_nothing_anew(counter: Counter) -> None:
    """The record is believed by the signature of KS alone."""
    counter.register(NO_COMPUTER)
    text = counter.row(select(Record.record))
    counter.write(update(Record).values(record=text[:-8] + "AAAAAAAA"))
    with pytest.raises(MalformedMessage):
        reprint(counter)


# --- pairing ------------------------------------------------------------------------


def test_a_computer_is_refused_by_name_and_the_envelope_stays_good(counter: Counter) -> None:
    counter.register(NO_COMPUTER)
    counter.sign_in()
    app = counter.settings.app_url

    with pytest.raises(KindRefused, match="kind desktop"):
        counter.present(*counter.enrolment(computer(), app=app))

    assert counter.row(select(Pairing.state)) == "printed"
    assert counter.rows(select(Enrolment.transaction_id)) == []
    counter.present(*counter.enrolment(app=app))
    counter.confirm_by_operator()
    assert counter.row(select(Device.kind)) == "pwa"


def test_a_paired_phone_adds_no_computer_where_it_is_refused(counter: Counter) -> None:
    counter.register(NO_COMPUTER)
    counter.sign_in()
    counter.present(*counter.enrolment())
    counter.confirm_by_operator()
    further = Further(counter=counter, new=computer()).begin()
    enrolment = further.new.enrol_without_secret(further.ask, app=counter.settings.app_url)

    with pytest.raises(KindRefused, match="kind desktop"):
        further.send(enrolment)

    assert counter.rows(select(FurtherPhone.enrolment)) == [None]


def test_a_computer_is_paired_where_it_is_allowed_and_operators_see_it(counter: Counter) -> None:
    counter.register()
    counter.sign_in()
    counter.present(*counter.enrolment(computer(), app=counter.settings.app_url))
    counter.confirm_by_operator()

    device = newest_record(counter).devices[0]
    assert (device.kind, device.uv) == ("desktop", "webauthn")
    with counter.session_factory() as session:
        seen = every_signer(session)[0]
    assert (seen.phones, seen.desktops) == (1, 1)


def test_a_kind_that_is_flipped_in_a_row_is_not_believed(counter: Counter) -> None:
    """Who writes rows may change what is listed, not what is believed."""
    counter.register()
    counter.sign_in()
    counter.present(*counter.enrolment(computer(), app=counter.settings.app_url))
    counter.confirm_by_operator()
    counter.write(update(Device).values(kind="pwa"))
    assert newest_record(counter).devices[0].kind == "desktop"
