"""From the first approval to a credential that relying parties see; on both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import delete, func, select, update

from backend.access.phones import verified_record
from backend.credentials.issue import issue_certificate
from backend.credentials.overview import every_signer, one_signer
from backend.credentials.view import Credential, credential_for, credentials_of
from backend.errors import (
    DoorRefused,
    MalformedMessage,
    NotApproved,
    NotFound,
    SamUnavailable,
    SettingsInvalid,
)
from backend.model.tables import Approval, Cell, Device, Lock, Pairing, Record, Transaction
from backend.pki.authority import Authority
from backend.pki.certificates import read_certificate
from backend.protocol.encoding import sha256
from backend.sam.client import SamClient
from backend.signers.freeze import freeze
from backend.signing.approval import approve
from backend.signing.release import release_certificate_request
from backend.signing.request import request_certificate
from tests.world.counter import Counter
from tests.world.paper_phone import read


def ask(counter: Counter) -> UUID:
    """What the clerk asks once a phone is paired."""
    with counter.session_factory() as session:
        return request_certificate(
            session,
            counter.world.sam,
            cell=counter.cell,
            settings=counter.settings,
            now=counter.clock(),
        )


def say_yes(counter: Counter, transaction: UUID) -> None:
    """What the phone answers."""
    signed = read(
        counter.row(select(Transaction.ask).where(Transaction.id == transaction)),
        counter.public_keys.ks,
    )
    lock = counter.row(select(Lock.lock).where(Lock.kind == "device"))
    approval, sealed = counter.phone.approve(signed, counter.phone.secret_in_lock(lock))
    phone = counter.paired_phone()
    with counter.session_factory() as session:
        approve(
            session,
            phone=phone,
            transaction=transaction,
            approval=approval,
            sealed=sealed,
            public_keys=counter.public_keys,
            now=counter.clock(),
        )


def sign_request(counter: Counter, transaction: UUID) -> bytes:
    with counter.session_factory() as session:
        return release_certificate_request(
            session, counter.world.sam, transaction=transaction, now=counter.clock
        )


def issue(
    counter: Counter,
    transaction: UUID,
    signature: bytes | None = None,
    authority: Authority | None = None,
) -> bool:
    """What the clerk does with the answer."""
    signed = sign_request(counter, transaction) if signature is None else signature
    with counter.session_factory() as session:
        return issue_certificate(
            session,
            authority or Authority(counter.world.sam),
            transaction=transaction,
            signature=signed,
            now=counter.clock(),
        )


@pytest.fixture
def approved(paired: Counter) -> tuple[Counter, UUID]:
    """The signer said yes to the name in the certificate."""
    root = x509.load_der_x509_certificate(paired.world.root)
    paired.settings.root_certificate_path.write_bytes(root.public_bytes(Encoding.PEM))
    transaction = ask(paired)
    say_yes(paired, transaction)
    return paired, transaction


@pytest.fixture
def certified(approved: tuple[Counter, UUID]) -> Counter:
    """The certificate is issued."""
    counter, transaction = approved
    issue(counter, transaction)
    return counter


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
            login=login,
            public_keys=counter.public_keys,
            settings=counter.settings,
            now=counter.clock(),
        )
    return [one.id for one in found]


# --- issuing ----------------------------------------------------------------------


def test_the_certificate_names_the_signer_as_registered(certified: Counter) -> None:
    certificate = x509.load_der_x509_certificate(certified.row(select(Cell.certificate)))
    root = x509.load_der_x509_certificate(certified.world.root)
    certificate.verify_directly_issued_by(root)
    names = {attribute.oid.dotted_string: attribute.value for attribute in certificate.subject}

    assert names["2.5.4.3"] == "Иванова Анна Петровна"
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)


def test_the_record_is_confirmed_in_the_same_commit(certified: Counter) -> None:
    cell: Cell = certified.row(select(Cell))
    record = verified_record(
        certified.row(select(Record.record).where(Record.epoch == cell.epoch)),
        certified.public_keys.ks,
    )

    assert record.confirmed
    assert record.certificate == sha256(cell.certificate or b"")
    assert [device.kid for device in record.devices] == [certified.phone.kid]
    assert cell.certificate_expires_at == read_certificate(cell.certificate or b"").valid_to


def test_a_certificate_is_issued_once(approved: tuple[Counter, UUID]) -> None:
    counter, transaction = approved
    signature = sign_request(counter, transaction)

    assert issue(counter, transaction, signature)
    assert not issue(counter, transaction, signature)
    assert counter.row(select(Cell.epoch)) == 3


def test_clerks_at_once_issue_one_certificate(approved: tuple[Counter, UUID]) -> None:
    """T-07, on both engines."""
    counter, transaction = approved
    signature = sign_request(counter, transaction)
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: issue(counter, transaction, signature), range(4)))

    assert sorted(done) == [False, False, False, True]
    assert counter.row(select(func.count()).select_from(Record)) == 3


def test_a_record_that_went_on_meanwhile_is_not_overwritten(
    approved: tuple[Counter, UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    counter, transaction = approved
    certificate = counter.world.sam.certificate

    def removed_meanwhile(request: object) -> object:
        counter.write(update(Cell).values(epoch=7))
        return certificate(request)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(counter.world.sam, "certificate", removed_meanwhile)

    assert not issue(counter, transaction)
    assert counter.row(select(Cell.certificate)) is None


def test_without_an_approval_there_is_no_certificate(paired: Counter) -> None:
    """Design 2: the certificate request is no exception."""
    with pytest.raises(NotApproved):
        issue(paired, ask(paired), b"signature")


def test_another_transaction_gives_no_certificate(paired: Counter) -> None:
    enrol_ask = paired.row(select(Transaction.id))
    for transaction in (enrol_ask, uuid4()):
        with pytest.raises(NotFound):
            issue(paired, transaction, b"signature")


def test_a_signature_that_the_cell_did_not_make_gives_no_certificate(
    approved: tuple[Counter, UUID],
) -> None:
    counter, transaction = approved
    with pytest.raises(DoorRefused):
        issue(counter, transaction, b"\x30\x06\x02\x01\x01\x02\x01\x01")

    assert counter.row(select(Cell.certificate)) is None


def test_a_planted_approval_gives_no_certificate(approved: tuple[Counter, UUID]) -> None:
    """T-09."""
    counter, transaction = approved
    signature = sign_request(counter, transaction)
    counter.write(update(Approval).values(approval="a.b.c"))

    with pytest.raises(DoorRefused):
        issue(counter, transaction, signature)


def test_an_authority_that_is_away_is_asked_again(
    approved: tuple[Counter, UUID], tmp_path: Path
) -> None:
    counter, transaction = approved
    away = Authority(SamClient(tmp_path / "nobody-listens"))
    with pytest.raises(SamUnavailable):
        issue(counter, transaction, authority=away)

    assert issue(counter, transaction)


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
    with certified.session_factory() as session:
        freeze(session, signer=certified.signer, by="desk", now=certified.clock())

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
