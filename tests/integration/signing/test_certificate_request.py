"""The first approval: no exception to any rule."""

from hashlib import sha256
from uuid import UUID, uuid4

import pytest
from cryptography import x509
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session, sessionmaker

from backend.algorithms import KeyAlgorithm
from backend.errors import (
    AlreadyThere,
    AuthorizationInvalid,
    CellkeyError,
    NotApproved,
    NotFound,
    RecordRefused,
    RequestRefused,
    SignerFrozen,
)
from backend.model.tables import Approval, AuthorisedHash, Cell, Device, Signer, Transaction
from backend.protocol.ask import verify_ask
from backend.sam.service_keys import IssueCertificate
from backend.signing.cancellation import cancel
from backend.signing.expiry import expire_overdue
from backend.signing.pending import show
from backend.signing.release import release_certificate_request
from backend.signing.request import request_certificate
from tests.world.clock import SettableClock
from tests.world.paired_cell import NAME
from tests.world.sam import CA_NAME, SamWorld
from tests.world.signing_world import SETTINGS, SigningWorld, hashes, open_signing_world


@pytest.fixture
def new(
    sam_world: SamWorld, session_factory: sessionmaker[Session], clock: SettableClock
) -> SigningWorld:
    """A signer with a phone, and no certificate yet."""
    return open_signing_world(sam_world, session_factory, clock, certified=False)


def sign(world: SigningWorld, transaction: UUID) -> bytes:
    with world.sessions() as session:
        return release_certificate_request(
            session, world.sam.sam, transaction=transaction, now=world.clock
        )


@pytest.mark.parametrize("algorithm", [KeyAlgorithm.P256, KeyAlgorithm.RSA_2048])
def test_the_signer_approves_the_request_and_the_authority_issues(
    sam_world: SamWorld,
    session_factory: sessionmaker[Session],
    clock: SettableClock,
    algorithm: KeyAlgorithm,
) -> None:
    world = open_signing_world(
        sam_world, session_factory, clock, algorithm=algorithm, certified=False
    )
    transaction = world.request_certificate()
    asked = verify_ask(
        world.transaction(transaction).ask, expected_ks=world.sam.public_keys.ks
    ).claims
    assert (asked.kind, asked.rp.name) == ("certificate_request", CA_NAME)
    assert asked.exp == int(clock().timestamp()) + SETTINGS.first_approval_seconds
    with pytest.raises(NotApproved):
        sign(world, transaction)

    clock.advance(hours=20)
    world.approve(transaction)
    signature = sign(world, transaction)
    assert world.state(transaction) == "redeemed"
    assert world.sealed(transaction) is None

    # The clerk was killed before the certificate, and comes back after use_by.
    clock.advance(days=2)
    assert sign(world, transaction) == signature
    with world.sessions() as session:
        items = show(
            session,
            phone=world.phone,
            transaction=transaction,
            sightings=world.sightings,
            now=clock(),
        ).items
        approval = session.get_one(Approval, transaction).approval
    issued = world.sam.sam.certificate(
        IssueCertificate(
            record=world.cell.record,
            ask=world.transaction(transaction).ask,
            items=items,
            approval=approval,
            signature=signature,
        )
    )
    assert issued.certificate


def test_one_request_is_open_at_a_time(new: SigningWorld) -> None:
    new.request_certificate()
    with pytest.raises(AlreadyThere):
        new.request_certificate()


def test_who_did_not_answer_is_asked_again_who_refused_is_not(new: SigningWorld) -> None:
    first = new.request_certificate()
    new.clock.advance(days=1, seconds=1)
    with new.sessions() as session:
        expire_overdue(session, new.clock())
    second = new.request_certificate()
    assert first != second
    new.refuse(second)
    with pytest.raises(AlreadyThere):
        new.request_certificate()


def test_a_cancelled_request_is_not_repeated(new: SigningWorld) -> None:
    transaction = new.request_certificate()
    with new.sessions() as session:
        cancel(session, transaction=transaction, because="wrong person", now=new.clock())
    with pytest.raises(AlreadyThere):
        new.request_certificate()


def test_nobody_is_asked_for_a_second_certificate(world: SigningWorld) -> None:
    world.overwrite(lambda session: session.execute(update(Cell).values(certificate=None)))
    with pytest.raises(RecordRefused):
        world.request_certificate()


def test_a_phone_that_was_removed_is_asked_nothing(new: SigningWorld) -> None:
    now = new.clock()
    new.overwrite(lambda session: session.execute(update(Device).values(removal_asked_at=now)))
    with pytest.raises(AlreadyThere):
        new.request_certificate()


def test_a_frozen_signer_is_asked_nothing_and_signs_nothing(new: SigningWorld) -> None:
    transaction = new.request_certificate()
    new.approve(transaction)
    new.freeze()
    with pytest.raises(SignerFrozen):
        sign(new, transaction)
    with pytest.raises(SignerFrozen):
        new.request_certificate()


def test_what_the_signer_reads_is_the_registered_name_whatever_the_row_says(
    new: SigningWorld,
) -> None:
    new.overwrite(lambda session: session.execute(update(Signer).values(name="Another Name")))
    transaction = new.request_certificate()
    asked = verify_ask(new.transaction(transaction).ask, expected_ks=new.sam.public_keys.ks)
    assert NAME in asked.claims.text.lines[0]


@pytest.mark.parametrize("subject", [b"rubbish", b"", x509.Name([]).public_bytes()])
def test_another_subject_in_the_row_is_refused(new: SigningWorld, subject: bytes) -> None:
    new.overwrite(lambda session: session.execute(update(Signer).values(subject=subject)))
    with pytest.raises(CellkeyError):
        new.request_certificate()
    with new.sessions() as session:
        assert session.scalars(select(Transaction)).all() == []


def test_an_unknown_cell_is_not_found(new: SigningWorld) -> None:
    with new.sessions() as session, pytest.raises(NotFound):
        request_certificate(session, new.sam.sam, cell=uuid4(), settings=SETTINGS, now=new.clock())


def test_a_request_to_sign_does_not_pass_for_a_certificate_request(world: SigningWorld) -> None:
    """The kind in the row is only where to look; the door reads it from the ask."""
    requested = world.request(*hashes(1))
    world.approve(requested.id)
    with pytest.raises(AuthorizationInvalid):
        sign(world, requested.id)
    world.overwrite(
        lambda session: session.execute(update(Transaction).values(kind="certificate_request"))
    )
    with pytest.raises(RequestRefused):
        sign(world, requested.id)


def test_a_certificate_request_is_not_collected_by_a_relying_party(new: SigningWorld) -> None:
    """The row is turned into one of the relying party's, with a csc_sad that it knows."""
    transaction = new.request_certificate()
    new.approve(transaction)
    csc_sad = "known"
    values = {
        "kind": "sign",
        "relying_party_id": new.shop.id,
        "csc_sad_hash": sha256(csc_sad.encode()).digest(),
    }
    new.overwrite(lambda session: session.execute(update(Transaction).values(values)))
    with new.sessions() as session:
        wanted = session.scalars(select(AuthorisedHash.hash)).one()
    with pytest.raises(RequestRefused):
        new.collect(csc_sad, wanted)


def test_a_request_without_its_list_is_refused(new: SigningWorld) -> None:
    transaction = new.request_certificate()
    new.approve(transaction)
    new.overwrite(lambda session: session.execute(delete(AuthorisedHash)))
    with pytest.raises(AuthorizationInvalid):
        sign(new, transaction)
