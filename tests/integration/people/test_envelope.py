"""Registration and the envelope, with a real SAM, on both databases."""

import base64
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from sqlalchemy import func, select

from backend.access.phones import verified_record
from backend.algorithms import KeyAlgorithm
from backend.devices import envelope as envelopes
from backend.devices.envelope import standard_policy
from backend.errors import (
    AlreadyThere,
    NotFound,
    PairingOver,
    RequestRefused,
    SamUnavailable,
    SignerFrozen,
    SummaryRefused,
    Unauthenticated,
)
from backend.model.base import Base
from backend.model.tables import Cell, Lock, Pairing, Record, Signer, Transaction
from backend.protocol.encoding import secret_bytes, sha256
from backend.protocol.locks import pairing_id
from backend.protocol.record import AmountCap
from backend.sam.client import SamClient
from backend.settings import Environment
from backend.signers.registration import OrganizationName
from tests.world.counter import APPLICANT, NUMBER, OTHER_OPERATOR, PRINTER, Counter


def reprint(counter: Counter, *, operator: str = OTHER_OPERATOR) -> envelopes.Envelope:
    with counter.session_factory() as session:
        return envelopes.reprint(
            session,
            counter.world.sam,
            login=counter.envelope.login,
            operator=operator,
            settings=counter.settings,
            public_keys=counter.public_keys,
            now=counter.clock(),
        )


# --- what is printed --------------------------------------------------------------


def test_qr_1_opens_the_app_and_names_the_two_servers(printed: Counter) -> None:
    """R-034, R-038: two addresses, and nothing else."""
    address = urlsplit(printed.envelope.qr1)

    assert f"{address.scheme}://{address.netloc}" == printed.settings.app_url
    assert parse_qs(address.fragment) == {
        "as": [printed.settings.authorization_server_url],
        "api": [printed.settings.mobile_api_url],
    }


def test_qr_2_and_the_typed_text_are_one_secret_that_names_the_pairing(printed: Counter) -> None:
    """R-040."""
    envelope = printed.envelope
    typed = secret_bytes(envelope.secret_text.lower())

    assert envelope.qr2.startswith("cellkey:pair?s=")
    assert len(envelope.qr2) == len("cellkey:pair?s=") + 26
    assert typed == printed.envelope_secret
    assert pairing_id(typed) == envelope.pairing


def test_the_envelope_is_good_for_three_days(printed: Counter) -> None:
    assert printed.envelope.expires_at == printed.clock() + timedelta(hours=72)


def test_neither_the_secret_nor_the_first_password_is_kept(printed: Counter) -> None:
    """R-036, R-049: whoever reads every row finds nothing that opens the cell."""
    secret, password = printed.envelope_secret, printed.envelope.first_password
    hidden = [
        secret,
        secret.hex().encode(),
        base64.b64encode(secret).rstrip(b"="),
        printed.envelope.secret_text.replace("-", "").encode(),
        password.encode(),
        password.replace("-", "").encode(),
    ]
    with printed.session_factory() as session:
        for table in Base.metadata.sorted_tables:
            for row in session.execute(select(table)):
                kept = b"|".join(v if isinstance(v, bytes) else str(v).encode() for v in row)
                assert not any(part in kept for part in hidden), table.name


def test_a_made_login_is_printed_where_none_was_given(counter: Counter) -> None:
    envelope = counter.register(msgspec.structs.replace(APPLICANT, login=None))

    assert len(envelope.login) == 9
    assert counter.row(select(Signer.login)) == envelope.login


# --- what is kept -----------------------------------------------------------------


def test_the_record_names_signer_name_and_key_and_has_no_phone(printed: Counter) -> None:
    signer: Signer = printed.row(select(Signer))
    record = verified_record(printed.row(select(Record.record)), printed.public_keys.ks)

    assert (record.epoch, record.devices, record.certificate, record.confirmed) == (
        1,
        (),
        None,
        False,
    )
    assert record.signer == signer.id
    assert record.subject == sha256(signer.subject)
    assert record.cell == printed.cell
    assert record.spki == printed.row(select(Cell.spki))


def test_the_first_password_is_due_to_be_changed(printed: Counter) -> None:
    """R-042."""
    assert printed.row(select(Signer.password_change_due)) is True
    assert set(printed.rows(select(Lock.kind))) == {"envelope", "password"}


def test_who_printed_and_who_registered_is_remembered(printed: Counter) -> None:
    """T-10."""
    assert printed.row(select(Pairing.printed_by)) == PRINTER
    assert printed.row(select(Signer.registered_by)) == PRINTER


@pytest.mark.parametrize("algorithm", KeyAlgorithm)
def test_every_algorithm_gives_a_cell(counter: Counter, algorithm: KeyAlgorithm) -> None:
    counter.register(algorithm=algorithm)

    assert counter.row(select(Cell.algorithm)) == algorithm


def test_a_department_gets_a_cell_too(counter: Counter) -> None:
    name = OrganizationName(common_name="Робот", organization="Ромашка")
    counter.register(msgspec.structs.replace(APPLICANT, name=name))

    assert counter.row(select(Signer.name)) == "Робот, Ромашка"


@pytest.mark.sms
def test_a_verified_number_confirms_by_code_and_no_number_by_operator(counter: Counter) -> None:
    """Design 8; the record holds the number's HMAC, never the number."""
    with_number = standard_policy(counter.settings, with_number=True)
    without = standard_policy(counter.settings, with_number=False)

    assert with_number.caps.confirm == ("sms",)
    assert without.caps.confirm == ("operator",)
    assert with_number.methods == without.methods == ("app",)
    assert with_number.caps.multisign == counter.settings.multisign


def test_where_no_text_can_be_sent_an_operator_confirms(counter: Counter) -> None:
    """Else the pairing would wait for a code that never comes."""
    assert standard_policy(counter.settings, with_number=True).caps.confirm == ("operator",)


@pytest.mark.sms
def test_who_may_approve_by_sms_has_the_bounds_of_the_installation(counter: Counter) -> None:
    """R-126, T-24. What an envelope was printed for stands when it is printed anew."""
    counter.settings = msgspec.structs.replace(
        counter.settings, code_amounts=("RUB 500.00",), sms_delay_seconds=90
    )
    counter.register(msgspec.structs.replace(APPLICANT, by_sms=True))
    for _ in range(2):
        newest = select(Record.record).order_by(Record.created_at.desc()).limit(1)
        policy = verified_record(counter.row(newest), counter.public_keys.ks).policy
        assert policy.methods == ("app", "password+sms")
        assert policy.caps.amounts == (AmountCap(currency="RUB", value="500.00"),)
        assert policy.caps.sms_delay == 90
        assert counter.row(select(Cell.methods).limit(1)) == "app password+sms"
        counter.clock.advance(seconds=1)
        reprint(counter)


def test_without_a_verified_number_or_a_gateway_nobody_approves_by_sms(counter: Counter) -> None:
    with pytest.raises(RequestRefused, match="verified number"):
        counter.register(msgspec.structs.replace(APPLICANT, by_sms=True, number=None))
    with pytest.raises(RequestRefused, match="SMS_GATEWAY"):
        counter.register(msgspec.structs.replace(APPLICANT, by_sms=True))


def test_production_pairs_no_virtual_phones(counter: Counter) -> None:
    production = msgspec.structs.replace(counter.settings, environment=Environment.PRODUCTION)

    assert "virtual" in standard_policy(counter.settings, with_number=True).caps.kinds
    assert "virtual" not in standard_policy(production, with_number=True).caps.kinds


# --- what is refused --------------------------------------------------------------


def test_a_login_is_given_once(printed: Counter) -> None:
    with pytest.raises(AlreadyThere):
        printed.register(msgspec.structs.replace(APPLICANT, login=" A.IVANOVA"))

    assert printed.row(select(func.count()).select_from(Signer)) == 1
    assert printed.row(select(func.count()).select_from(Cell)) == 1


def test_an_unfit_name_makes_no_cell(counter: Counter) -> None:
    name = OrganizationName(common_name="Робот\u200b", organization="Ромашка")
    with pytest.raises(SummaryRefused):
        counter.register(msgspec.structs.replace(APPLICANT, name=name))

    assert counter.rows(select(Signer)) == []


# --- it did not print -------------------------------------------------------------


def test_a_reprint_makes_a_new_cell_and_destroys_the_unpaired_one(printed: Counter) -> None:
    old_cell, old = printed.cell, printed.envelope
    new = reprint(printed)

    assert new.pairing != old.pairing
    assert new.first_password != old.first_password
    assert (new.login, new.name) == (old.login, old.name)
    assert printed.row(select(Cell.blob).where(Cell.id == old_cell)) == b""
    assert printed.rows(select(Lock).where(Lock.cell_id == old_cell)) == []
    assert printed.row(select(Pairing.printed_by).where(Pairing.id == new.pairing)) == (
        OTHER_OPERATOR
    )


def test_the_envelope_that_did_not_print_opens_nothing(printed: Counter) -> None:
    reprint(printed)

    with pytest.raises(PairingOver):
        printed.sign_in()


def test_the_new_envelope_pairs_a_phone(printed: Counter) -> None:
    printed.envelope = reprint(printed)
    printed.sign_in()
    printed.present(*printed.enrolment())

    assert printed.confirm_by_operator(PRINTER) == "confirmed"


def test_a_reprint_ends_a_pairing_that_was_begun(enrolled: Counter) -> None:
    """A thief who began to pair with a lost envelope loses it at once."""
    reprint(enrolled)

    with pytest.raises(PairingOver):
        enrolled.send_code()
    assert enrolled.row(select(Transaction.state)) == "cancelled"


def test_nothing_is_destroyed_once_a_phone_is_paired(paired: Counter) -> None:
    with pytest.raises(AlreadyThere):
        reprint(paired)

    assert paired.row(select(Cell.blob)) != b""


def test_a_phone_that_is_confirmed_while_an_envelope_is_made_stays(
    enrolled: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The confirmation comes between the first look and the writing."""
    make_cell = enrolled.world.sam.make_cell

    def confirmed_meanwhile(request: object) -> object:
        enrolled.confirm_by_operator()
        return make_cell(request)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(enrolled.world.sam, "make_cell", confirmed_meanwhile)
    with pytest.raises(AlreadyThere):
        reprint(enrolled)

    assert enrolled.row(select(Cell.blob)) != b""
    assert enrolled.row(select(Pairing.state)) == "confirmed"


def test_a_frozen_signer_gets_no_envelope(printed: Counter) -> None:
    printed.freeze()

    with pytest.raises(SignerFrozen):
        reprint(printed)


def test_an_unknown_signer_gets_no_envelope(printed: Counter) -> None:
    printed.envelope = msgspec.structs.replace(printed.envelope, login="nobody")

    with pytest.raises(NotFound):
        reprint(printed)


def test_where_the_sam_is_away_nobody_is_registered(counter: Counter, tmp_path: Path) -> None:
    with counter.session_factory() as session, pytest.raises(SamUnavailable):
        envelopes.register_signer_with_cell(
            session,
            SamClient(tmp_path / "nobody-listens"),
            APPLICANT,
            algorithm=KeyAlgorithm.P256,
            operator=PRINTER,
            settings=counter.settings,
            now=counter.clock(),
        )

    assert counter.rows(select(Signer)) == []


def test_the_number_stands_in_no_record(printed: Counter) -> None:
    assert NUMBER not in printed.row(select(Record.record))


def test_a_made_up_ticket_opens_nothing(printed: Counter) -> None:
    printed.ticket = "x" * 43

    with pytest.raises(Unauthenticated):
        printed.enrolment()
