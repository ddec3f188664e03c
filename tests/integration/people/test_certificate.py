"""From the first approval to a certificate; on both databases."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import func, select, update

from backend.access.phones import verified_record
from backend.errors import (
    DoorRefused,
    NotApproved,
    NotFound,
    SamUnavailable,
)
from backend.model.tables import Approval, Cell, Record, Transaction
from backend.pki.authority import Authority
from backend.pki.certificates import read_certificate
from backend.protocol.encoding import sha256
from backend.sam.client import SamClient
from tests.world.counter import Counter
from tests.world.first_approval import ask, issue, sign_request


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
