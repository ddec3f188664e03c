"""What relying parties and operators see of signers; on both databases."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, select, update

from backend.credentials.overview import every_signer, one_signer
from backend.credentials.view import Credential, credential_for, credentials_of
from backend.errors import (
    MalformedMessage,
    NotFound,
    SettingsInvalid,
)
from backend.model.tables import Cell, Device, Pairing, Record
from tests.world.counter import Counter


def view(counter: Counter) -> Credential:
    with counter.session_factory() as session:
        return credential_for(
            session,
            credential=counter.cell,
            public_keys=counter.public_keys,
            settings=counter.settings,
            now=counter.clock(),
        )


def listed(counter: Counter, login: str) -> list[UUID]:
    with counter.session_factory() as session:
        found = credentials_of(
            session,
            signer=login,
            public_keys=counter.public_keys,
            settings=counter.settings,
            now=counter.clock(),
        )
    return [one.id for one in found]


# --- what relying parties see -----------------------------------------------------


def test_a_credential_says_what_csc_wants_to_know(certified: Counter) -> None:
    """CSC 3.5."""
    credential = view(certified)
    certificate = credential.certificate

    assert credential.id == certified.cell
    assert (credential.login, credential.lang) == (certified.envelope.login, "ru")
    assert credential.algorithm == "P-256"
    assert (certificate.key_bits, certificate.curve) == (256, "1.2.840.10045.3.1.7")
    assert (credential.key_enabled, credential.expired, credential.usable) == (True, False, True)
    assert credential.multisign == certified.settings.multisign
    assert credential.chain == (certified.row(select(Cell.certificate)), certified.world.root)
    assert "Иванова" in certificate.subject
    assert certificate.issuer == "CN=Test CA"
    assert int(certificate.serial_number, 16) > 0
    assert len(certificate.serial_number) % 2 == 0


def test_a_cell_without_a_certificate_is_no_credential(paired: Counter) -> None:
    with pytest.raises(NotFound):
        view(paired)
    assert listed(paired, paired.envelope.login) == []


def test_a_signers_credentials_are_listed_by_login(certified: Counter) -> None:
    assert listed(certified, " A.Ivanova") == [certified.cell]
    assert listed(certified, "nobody") == []


def test_an_expired_certificate_is_said_to_be(certified: Counter) -> None:
    certified.clock.set(datetime(2200, 1, 1, tzinfo=UTC))
    credential = view(certified)

    assert (credential.expired, credential.usable) == (True, False)


def test_a_frozen_signers_key_is_disabled(certified: Counter) -> None:
    """R-048."""
    certified.freeze()

    assert not view(certified).key_enabled


def test_a_key_without_a_phone_is_disabled(certified: Counter) -> None:
    """Nobody could approve."""
    cell: Cell = certified.row(select(Cell))
    first = certified.row(select(Record.record).where(Record.epoch == 1))
    certified.write(update(Record).where(Record.epoch == cell.epoch).values(record=first))

    assert not view(certified).key_enabled


def test_a_planted_record_is_not_shown(certified: Counter) -> None:
    """T-09."""
    certified.write(update(Record).values(record="a.b.c"))

    with pytest.raises(MalformedMessage):
        view(certified)


def test_without_the_root_nothing_is_shown(certified: Counter, tmp_path: Path) -> None:
    certified.settings = certified.settings.__class__(data_dir=tmp_path / "elsewhere")

    with pytest.raises(SettingsInvalid, match="hsm init"):
        view(certified)


# --- what operators see -----------------------------------------------------------


def test_an_operator_sees_how_far_a_signer_is(certified: Counter) -> None:
    with certified.session_factory() as session:
        overview = one_signer(session, certified.envelope.login)

    assert (overview.pairing, overview.phones, overview.frozen) == ("confirmed", 1, False)
    assert overview.certificate_expires_at is not None
    assert overview.cell == certified.cell


def test_an_operator_sees_the_newest_envelope(printed: Counter) -> None:
    older: Pairing = printed.row(select(Pairing))
    copied = {column.key: getattr(older, column.key) for column in Pairing.__table__.columns}
    printed.write(
        Pairing.__table__.insert().values(  # type: ignore[attr-defined]  # a Table
            copied | {"id": uuid4(), "state": "frozen", "printed_at": printed.clock.advance(days=1)}
        )
    )
    with printed.session_factory() as session:
        (overview,) = every_signer(session)

    assert overview.pairing == "frozen"


def test_a_removed_phone_is_not_counted(paired: Counter) -> None:
    paired.write(update(Device).values(removal_asked_at=paired.clock()))
    with paired.session_factory() as session:
        assert one_signer(session, paired.envelope.login).phones == 0


def test_an_operator_asks_for_a_signer_who_is_there(printed: Counter) -> None:
    with printed.session_factory() as session, pytest.raises(NotFound):
        one_signer(session, "nobody")


def test_without_signers_there_is_nothing_to_see(counter: Counter) -> None:
    counter.write(delete(Pairing))
    with counter.session_factory() as session:
        assert every_signer(session) == []
