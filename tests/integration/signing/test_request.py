"""Asking for signatures: what is asked, what is kept, what is refused."""

import hashlib
import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from backend.errors import (
    CellkeyError,
    NotFound,
    RecordRefused,
    RequestRefused,
    SignerFrozen,
    SummaryRefused,
)
from backend.model.tables import AuthorisedHash, Cell, OutboxMessage, Signer, Transaction
from backend.protocol.ask import AskClaims, verify_ask
from backend.signing.request import request_signatures
from tests.world.signing_world import POLICY, SETTINGS, SigningWorld, hashes


def claims(world: SigningWorld, ask: str) -> AskClaims:
    return verify_ask(ask, expected_ks=world.sam.public_keys.ks).claims


def test_the_ask_says_who_asks_for_what_and_how_long(world: SigningWorld) -> None:
    requested = world.request(*hashes(2), description="Contract 17")

    kept = world.transaction(requested.id)
    asked = claims(world, kept.ask)
    assert (asked.rp.id, asked.rp.name) == ("shop", "Shop")
    assert asked.documents is not None
    assert asked.documents.count == 2
    assert asked.fields == {"type": "generic", "description": "Contract 17"}
    assert asked.text.lang == "ru"  # the signer's language
    now = int(world.clock().timestamp())
    assert asked.exp == now + SETTINGS.transaction_seconds
    assert asked.use_by == asked.exp + SETTINGS.use_seconds
    assert kept.expires_at.timestamp() == asked.exp
    assert kept.use_by.timestamp() == asked.use_by
    assert requested.expires_at == kept.expires_at


def test_a_typed_transaction_and_labels_are_shown_in_the_language_asked_for(
    world: SigningWorld,
) -> None:
    payment = {
        "type": "payment",
        "amount": {"value": "1250.00", "currency": "RUB"},
        "payee": {"name": "OOO Vector", "account": "40702810900000000001"},
        "purpose": "Invoice 7",
    }
    requested = world.request(*hashes(1), fields=payment, labels=("payment.xml",), lang="en")

    asked = claims(world, world.transaction(requested.id).ask)
    assert asked.fields == payment
    assert asked.text.lang == "en"
    assert any("payment.xml" in line for line in asked.text.lines)


PACKAGE = {
    "type": "package",
    "purpose": "Closing papers",
    "contents": [{"type": "invoice", "documents": 2}, {"type": "act", "documents": 1}],
}


def test_a_package_counts_its_documents_by_type_and_names_them_so(world: SigningWorld) -> None:
    """R-129."""
    requested = world.request(*hashes(3), fields=PACKAGE, lang="en")

    asked = claims(world, world.transaction(requested.id).ask)
    assert asked.fields == PACKAGE
    assert {"In the package: 2 invoices", "In the package: 1 act"} <= set(asked.text.lines)
    with world.sessions() as session:
        rows = session.scalars(select(AuthorisedHash.item).order_by(AuthorisedHash.position))
        labels = [json.loads(item)["label"] for item in rows]
    assert labels == ["Invoice 1", "Invoice 2", "Act 1"]


@pytest.mark.parametrize("labels", [None, ("one", "two", "three", "four")])
def test_a_package_of_more_hashes_than_it_counts_asks_nobody(
    world_on_sqlite: SigningWorld, labels: tuple[str, ...] | None
) -> None:
    """T-33: with labels the SAM itself counts, without them the request does already."""
    with pytest.raises(SummaryRefused, match=r"^contents: "):
        world_on_sqlite.request(*hashes(4), fields=PACKAGE, labels=labels)


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("Europe/Moscow", "24.11.2025, 09:30 (Москва, UTC+3)"),
        ("Asia/Vladivostok", "24.11.2025, 16:30 (Владивосток, UTC+10)"),
    ],
)
def test_a_moment_is_told_by_the_signers_own_clock(
    world: SigningWorld, zone: str, shown: str
) -> None:
    world.overwrite(lambda session: session.execute(update(Signer).values(zone=zone)))
    payment = {
        "type": "payment",
        "amount": {"value": "1250.00", "currency": "RUB"},
        "payee": {"name": "OOO Vector", "account": "40702810900000000001"},
        "purpose": "Invoice 7",
        "execute_at": "2025-11-24T06:30:00Z",
    }
    requested = world.request(*hashes(1), fields=payment)

    asked = claims(world, world.transaction(requested.id).ask)
    assert f"Исполнить не раньше: {shown}" in asked.text.lines


def test_a_zone_that_the_iana_does_not_name_asks_nobody(world: SigningWorld) -> None:
    """Whoever wrote it into the row: a text without its clock is not made."""
    world.overwrite(lambda session: session.execute(update(Signer).values(zone="Moscow")))
    with pytest.raises(SummaryRefused, match=r"^zone: "):
        world.request(*hashes(1))


def test_the_database_holds_neither_handle_nor_csc_sad(world: SigningWorld) -> None:
    requested = world.request(*hashes(1))

    assert len(requested.handle) == 32
    kept = world.transaction(requested.id)
    assert kept.handle_hash == hashlib.sha256(requested.handle).digest()
    world.approve(requested.id)
    csc_sad = world.csc_sad(requested)
    assert kept.csc_sad_hash == hashlib.sha256(csc_sad.encode()).digest()
    assert world.request(*hashes(1)).handle != requested.handle


def test_the_phone_is_woken_by_the_same_commit(world: SigningWorld) -> None:
    requested = world.request(*hashes(1))

    with world.sessions() as session:
        message = session.scalars(select(OutboxMessage)).one()
    assert message.transaction_id == requested.id
    assert message.kid == world.cell.phone.kid
    assert message.expires_at == requested.expires_at


@pytest.mark.parametrize(
    ("members", "error"),
    [
        pytest.param({"hashes": ()}, RequestRefused, id="no hash"),
        pytest.param({"hashes": hashes(1) * 2}, RequestRefused, id="a hash twice"),
        pytest.param({"hashes": hashes(1001)}, RequestRefused, id="more than multisign"),
        pytest.param({"hashes": (bytes(31),)}, RequestRefused, id="too short"),
        pytest.param({"hashes": (bytes(48),)}, RequestRefused, id="of another algorithm"),
        pytest.param(
            {"hashes": (bytes(48),), "hash_alg": "SHA-384"},
            RequestRefused,
            id="a hash that this key does not sign",
        ),
        pytest.param({"labels": ("one", "two")}, RequestRefused, id="more labels than hashes"),
        pytest.param({"labels": ("a\u202eb",)}, SummaryRefused, id="a label that lies"),
        pytest.param({"labels": ("x" * 201,)}, SummaryRefused, id="a long label"),
        pytest.param({"description": "x" * 501}, SummaryRefused, id="a long description, CSC-82"),
        pytest.param({"fields": {"type": "unknown"}}, RequestRefused, id="unknown kind"),
        pytest.param({"fields": {}}, RequestRefused, id="no kind"),
        pytest.param(
            {"fields": {"type": "generic"}, "description": "beside"},
            SummaryRefused,
            id="words beside a typed transaction",
        ),
        pytest.param({"credential": uuid4()}, NotFound, id="unknown credential"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(
    world_on_sqlite: SigningWorld, members: dict[str, Any], error: type[CellkeyError]
) -> None:
    """CSC-48, CSC-77, CSC-78; T-06."""
    world = world_on_sqlite
    order = world.order(*hashes(1), **members)
    with world.sessions() as session, pytest.raises(error):
        request_signatures(session, world.sam.sam, order, settings=SETTINGS, now=world.clock())

    with world.sessions() as session:
        for table in (Transaction, AuthorisedHash, OutboxMessage):
            assert session.scalar(select(func.count()).select_from(table)) == 0


@pytest.mark.parametrize("kind", ["certificate_request", "enrol"])
def test_a_relying_party_cannot_ask_in_the_authoritys_words(
    world_on_sqlite: SigningWorld, kind: str
) -> None:
    world = world_on_sqlite
    fields = {"type": kind, "name": "Anna"}
    with pytest.raises((RequestRefused, SummaryRefused)):
        world.request(*hashes(1), fields=fields)


def test_a_frozen_signer_is_asked_nothing(world: SigningWorld) -> None:
    world.freeze()
    with pytest.raises(SignerFrozen):
        world.request(*hashes(1))


def test_a_credential_without_certificate_is_not_there_yet(world: SigningWorld) -> None:
    world.overwrite(lambda session: session.execute(update(Cell).values(certificate=None)))
    with pytest.raises(NotFound):
        world.request(*hashes(1))


def test_an_expired_certificate_signs_nothing(world: SigningWorld) -> None:
    """CSC-96."""

    def expire(session: Session) -> None:
        session.execute(update(Cell).values(certificate_expires_at=world.clock()))

    world.overwrite(expire)
    with pytest.raises(RequestRefused, match="expired"):
        world.request(*hashes(1))


def test_a_certificate_without_its_record_is_refused_by_the_sam(world: SigningWorld) -> None:
    """A row that says ``certificate`` is nobody's word."""
    world.overwrite(lambda session: session.execute(update(Cell).values(epoch=1)))
    with pytest.raises((NotFound, RecordRefused)):
        world.request(*hashes(1))


def test_an_unknown_language_in_the_row_is_read_as_russian(world: SigningWorld) -> None:
    world.overwrite(lambda session: session.execute(update(Signer).values(lang="xx")))
    requested = world.request(*hashes(1))
    assert claims(world, world.transaction(requested.id).ask).text.lang == "ru"


def test_an_english_signer_reads_english(world: SigningWorld) -> None:
    world.overwrite(lambda session: session.execute(update(Signer).values(lang="en")))
    requested = world.request(*hashes(1))
    assert claims(world, world.transaction(requested.id).ask).text.lang == "en"


def test_a_batch_of_multisign_is_one_ask(world: SigningWorld) -> None:
    """CSC-119."""
    most = POLICY.caps.multisign
    requested = world.request(*hashes(most))
    with world.sessions() as session:
        kept = session.scalar(select(func.count()).select_from(AuthorisedHash))
    assert kept == most
    assert len(world.transaction(requested.id).ask) < 4000


def test_the_time_is_counted_in_whole_seconds(world: SigningWorld) -> None:
    world.clock.advance(seconds=0.75)
    requested = world.request(*hashes(1))
    assert requested.expires_at - world.clock() == timedelta(seconds=300 - 0.75)
