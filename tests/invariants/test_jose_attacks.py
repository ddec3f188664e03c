"""T-35: no JWS or JWE from outside is obeyed, wherever one comes in: all attacks, at each place.

A place is proved by its good message, which is accepted after all attacks were refused; meanwhile
no row has changed. A message of another form is no reason to fail: there is no 500.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import select
from werkzeug.test import TestResponse

from backend.devices.envelope import Envelope
from backend.errors import (
    CellkeyError,
    DoorRefused,
    EnrolmentRefused,
    MalformedMessage,
    NewPasswordRefused,
    RecordRefused,
)
from backend.hsm.protocol import SigningServiceKey
from backend.model.base import Base
from backend.protocol.encoding import secret_bytes
from backend.protocol.enrolment import twelve_characters
from backend.protocol.jose import raw_signature
from backend.sam.cells import OperatorWord
from backend.virtual_phone.phone_keys import approval_key, request_key
from backend.virtual_phone.transactions import Consent, make_approval, make_refusal
from tests.unit.protocol import by_hand, cast
from tests.unit.protocol.examples import BY_TYP, EXAMPLES
from tests.world.clock import SettableClock
from tests.world.jose_attacks import Attacks, Sign, by_key, jws_attacks, signed, twin
from tests.world.paired_cell import PairedCell, make_cell, ready_cell
from tests.world.paper_phone import PaperPhone, read, secret_in_envelope
from tests.world.raw_calls import RawCalls
from tests.world.sam import SamWorld
from tests.world.seal_attacks import opened_seal_attacks, seal_attacks
from tests.world.service import NEW_PASSWORD, WITHOUT_NUMBER, Service, copy_service, open_service

LOCK_ALPHABET = ("", "=", "AB", "A", "AAAA=", "AAA+", "AAA/", "AAAA\n", "é", "A" * 201, "A" * 10**7)
NOT_FOLLOWED = {"cell-keys+jwt": cast.public(cast.KS)}
"""Changes of another key are passed over: the known key stays."""
REFUSED = {400, 401, 413, 422}
ATTACKED = {"failures_per_minute": 6_000, "phone_calls_per_minute": 60_000}
"""Limits that so many attacks at once do not meet."""


def spki_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def attacks_by(good: str, key: ec.EllipticCurvePrivateKey) -> Attacks:
    return jws_attacks(good, by_key(key), spki_of(key))


def naming(message: str, sealed: str, sign: Sign) -> str:
    """An approval or enrolment that names another seal, rightly signed: the phone is hostile."""
    head, payload, _ = (by_hand.unb64(part) for part in message.split("."))
    named = by_hand.b64(hashlib.sha256(sealed.encode(errors="replace")).digest())
    claims = json.loads(payload) | {"sealed": named}
    return signed(head, by_hand.compact_json(claims), sign)


# --- at the readers ---------------------------------------------------------------


@pytest.mark.parametrize("typ", BY_TYP)
def test_no_reader_takes_a_bent_message(typ: str) -> None:
    (example,) = (each for each in EXAMPLES if each.typ == typ)
    good = example.compact()

    taken = []
    for name, bent in attacks_by(good, example.key).items():
        try:
            if example.read(bent) == NOT_FOLLOWED.get(typ):
                continue
        except MalformedMessage:
            continue
        taken.append(name)

    assert taken == []
    assert example.read(good)


# --- at the mobile API ------------------------------------------------------------


class Stage(NamedTuple):
    """A closed service: one signer with a phone and a certificate, one with an envelope."""

    folder: Path
    envelope: Envelope


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    folder = tmp_path_factory.mktemp("attacked")
    service = open_service(folder)
    service.signing_phone(service.register())
    envelope = service.register(WITHOUT_NUMBER)
    service.close()
    return Stage(folder, envelope)


@pytest.fixture
def service(stage: Stage, tmp_path: Path, clock: SettableClock) -> Iterator[Service]:
    path = tmp_path / "service"
    opened = copy_service(stage.folder, path, clock=clock, **ATTACKED)
    yield opened
    opened.close()


@pytest.fixture
def calls(service: Service) -> RawCalls:
    return RawCalls(service, service.phone())


def rows(service: Service) -> dict[str, list[tuple[Any, ...]]]:
    """All of the database."""
    with service.sessions() as session:
        return {
            table.name: sorted((tuple(row) for row in session.execute(select(table))), key=repr)
            for table in Base.metadata.sorted_tables
        }


def not_refused(answer: TestResponse) -> str | None:
    """What is wrong with an answer that should refuse."""
    if answer.status_code in REFUSED and answer.mimetype == "application/problem+json":
        return None
    return f"{answer.status_code} {answer.mimetype} {answer.data[:200]!r}"


def all_refused(service: Service, send: Callable[[str], TestResponse], attacks: Attacks) -> None:
    """Try them; each is refused in problem form, and no row has changed."""
    before = rows(service)
    wrong = {name: not_refused(send(bent)) for name, bent in attacks.items()}
    assert {name: what for name, what in wrong.items() if what is not None} == {}
    assert rows(service) == before


class Asked(NamedTuple):
    """A transaction that waits for its answer, and what the phone would answer."""

    path: str
    approval: str
    sealed: str
    refusal: str
    approving: ec.EllipticCurvePrivateKey
    requesting: ec.EllipticCurvePrivateKey


@pytest.fixture
def asked(service: Service, calls: RawCalls) -> Asked:
    phone = calls.phone
    requested = service.ask(by_hand.sha(b"contract"), party=service.add_relying_party())
    shown = phone.show(str(requested.id))
    made = make_approval(shown, device=phone.device(), consent=Consent(), now=phone.now())
    return Asked(
        path=f"/transactions/{requested.id}",
        approval=made.approval,
        sealed=made.sealed,
        refusal=make_refusal(shown, device=phone.device(), decision="reject", now=phone.now()),
        approving=approval_key(phone.device().keys),
        requesting=request_key(phone.device().keys),
    )


def approve(calls: RawCalls, asked: Asked, approval: str, sealed: str) -> TestResponse:
    return calls.send("PUT", f"{asked.path}/approval", {"approval": approval, "sealed": sealed})


def refuse(calls: RawCalls, asked: Asked, refusal: str) -> TestResponse:
    return calls.send("PUT", f"{asked.path}/refusal", {"refusal": refusal})


def test_approval(service: Service, calls: RawCalls, asked: Asked) -> None:
    all_refused(
        service,
        lambda bent: approve(calls, asked, bent, asked.sealed),
        attacks_by(asked.approval, asked.approving),
    )
    assert approve(calls, asked, asked.approval, asked.sealed).status_code == 200


def test_seal_of_an_approval(service: Service, calls: RawCalls, asked: Asked) -> None:
    def send(sealed: str) -> TestResponse:
        named = naming(asked.approval, sealed, by_key(asked.approving))
        return approve(calls, asked, named, sealed)

    all_refused(service, send, seal_attacks(asked.sealed))
    assert send(asked.sealed).status_code == 200


def test_refusal(service: Service, calls: RawCalls, asked: Asked) -> None:
    all_refused(service, partial(refuse, calls, asked), attacks_by(asked.refusal, asked.requesting))
    assert refuse(calls, asked, asked.refusal).status_code == 200


def test_request_proof(service: Service, calls: RawCalls) -> None:
    def send(proof: str) -> TestResponse:
        environ = {"HTTP_AUTHORIZATION": f"DPoP {proof}".encode().decode("latin-1")}
        return service.mobile_client().get("/devices", environ_overrides=environ)

    good = calls.proof("GET", "/devices").removeprefix("DPoP ")
    all_refused(service, send, attacks_by(good, request_key(calls.phone.device().keys)))
    assert send(good).status_code == 200


class Newcomer(NamedTuple):
    """A phone that has a ticket, and what it would send."""

    ticket: str
    enrolment: str
    sealed: str
    key: ec.EllipticCurvePrivateKey


@pytest.fixture
def newcomer(service: Service, stage: Stage) -> Newcomer:
    envelope, phone = stage.envelope, PaperPhone()
    sign_in = {
        "login": envelope.login,
        "password": envelope.first_password,
        "new_password": NEW_PASSWORD,
        "pairing": str(envelope.pairing),
    }
    ticket = json.loads(service.client().post("/pairing/tickets", json=sign_in).data)["ticket"]
    bearer = {"Authorization": f"Bearer {ticket}"}
    view = json.loads(service.mobile_client().get("/pairing", headers=bearer).data)
    ask = read(view["ask"], service.public_keys.ks)
    secret = secret_in_envelope(
        secret_bytes(envelope.qr2.removeprefix("cellkey:pair?s=")),
        view["envelope_lock"],
        service.credential(envelope.login),
    )
    enrolment, sealed = phone.enrol(ask, secret)
    return Newcomer(ticket, enrolment, sealed, phone.keys.approval)


def enrol(service: Service, newcomer: Newcomer, enrolment: str, sealed: str) -> TestResponse:
    return service.mobile_client().put(
        "/pairing/enrolment",
        json={"enrolment": enrolment, "sealed": sealed},
        headers={"Authorization": f"Bearer {newcomer.ticket}"},
    )


def test_enrolment(service: Service, newcomer: Newcomer) -> None:
    all_refused(
        service,
        lambda bent: enrol(service, newcomer, bent, newcomer.sealed),
        attacks_by(newcomer.enrolment, newcomer.key),
    )
    assert enrol(service, newcomer, newcomer.enrolment, newcomer.sealed).status_code == 200


def test_seal_of_an_enrolment(service: Service, newcomer: Newcomer) -> None:
    def send(sealed: str) -> TestResponse:
        named = naming(newcomer.enrolment, sealed, by_key(newcomer.key))
        return enrol(service, newcomer, named, sealed)

    all_refused(service, send, seal_attacks(newcomer.sealed))
    assert send(newcomer.sealed).status_code == 200


def test_recovery_lock(service: Service, calls: RawCalls) -> None:
    """No JOSE, but bytes from outside all the same."""

    def send(lock: str) -> TestResponse:
        return calls.send("PUT", "/recovery-lock", {"lock": lock})

    all_refused(service, send, {repr(lock)[:20]: lock for lock in LOCK_ALPHABET})
    assert send(by_hand.b64(bytes(60))).status_code == 204


# --- the other signature of the same message ---------------------------------------


def test_the_twin_of_an_approval_is_other_bytes_and_replaces_nothing(
    service: Service, calls: RawCalls, asked: Asked
) -> None:
    """ECDSA: (r, n - s) is as good as (r, s). What came first stands, to the byte."""
    assert approve(calls, asked, asked.approval, asked.sealed).status_code == 200
    before = rows(service)["approvals"]

    assert approve(calls, asked, twin(asked.approval), asked.sealed).status_code == 409
    assert rows(service)["approvals"] == before
    assert approve(calls, asked, asked.approval, asked.sealed).status_code == 200


def test_the_twin_of_a_refusal_replaces_nothing(
    service: Service, calls: RawCalls, asked: Asked
) -> None:
    assert refuse(calls, asked, asked.refusal).status_code == 200
    before = rows(service)["refusals"]

    assert refuse(calls, asked, twin(asked.refusal)).status_code == 409
    assert rows(service)["refusals"] == before


def test_the_twin_of_a_proof_is_a_replay(calls: RawCalls) -> None:
    """A proof counts by its ``jti``, not by its bytes (T-04)."""
    proof = calls.proof("GET", "/devices")
    assert calls.send("GET", "/devices", proof=proof).status_code == 200
    assert calls.send("GET", "/devices", proof=twin(proof)).status_code == 401


def test_the_twin_of_an_enrolment_is_the_same_keys_in_other_bytes(
    service: Service, newcomer: Newcomer
) -> None:
    sent = partial(enrol, service, newcomer, sealed=newcomer.sealed)
    assert sent(newcomer.enrolment).status_code == 200
    before = rows(service)["enrolments"]

    assert sent(twin(newcomer.enrolment)).status_code == 409
    assert rows(service)["enrolments"] == before
    assert sent(newcomer.enrolment).status_code == 200


# --- at the SAM -------------------------------------------------------------------

REFUSALS = (DoorRefused, EnrolmentRefused, MalformedMessage, RecordRefused, NewPasswordRefused)


@pytest.fixture
def cell(sam_world: SamWorld) -> PairedCell:
    return ready_cell(sam_world)


def refused_by_sam(ask: Callable[[str], object], attacks: Attacks) -> None:
    """Each ends in a refusal; any other error is a fault."""
    wrong = {}
    for name, bent in attacks.items():
        try:
            ask(bent)
        except REFUSALS:
            continue
        except CellkeyError as error:
            wrong[name] = repr(error)
        else:
            wrong[name] = "taken"
    assert wrong == {}


def by_ks(world: SamWorld) -> tuple[Sign, bytes]:
    """KS itself signs what is bent: only the form is wrong."""

    def sign(message: bytes) -> bytes:
        digest = hashlib.sha256(message).digest()
        return raw_signature(world.hsm.sign(SigningServiceKey.RECORDS, digest))

    return sign, world.hsm.public_key(SigningServiceKey.RECORDS)


def test_the_door_takes_no_bent_approval(sam_world: SamWorld, cell: PairedCell) -> None:
    good = cell.release_of(cell.open_signing(by_hand.sha(b"1")))

    def ask(approval: str) -> object:
        return sam_world.sam.release(msgspec.structs.replace(good, approval=approval))

    refused_by_sam(ask, attacks_by(good.approval, cell.phone.keys.approval))
    assert ask(good.approval)


def test_the_door_takes_no_bent_seal(sam_world: SamWorld, cell: PairedCell) -> None:
    good = cell.release_of(cell.open_signing(by_hand.sha(b"2")))
    sign = by_key(cell.phone.keys.approval)

    def ask(sealed: str) -> object:
        approval = naming(good.approval, sealed, sign)
        return sam_world.sam.release(
            msgspec.structs.replace(good, approval=approval, sealed=sealed)
        )

    refused_by_sam(ask, seal_attacks(good.sealed) | opened_seal_attacks(good.sealed))
    assert ask(good.sealed)


@pytest.mark.parametrize("place", ["ask", "record"])
def test_the_door_takes_no_bent_message_of_our_own(
    sam_world: SamWorld, cell: PairedCell, place: str
) -> None:
    """Whoever can write rows, or even sign with KS, cannot write another form."""
    good = cell.release_of(cell.open_signing(by_hand.sha(b"3")))

    def ask(bent: str) -> object:
        return sam_world.sam.release(msgspec.structs.replace(good, **{place: bent}))

    refused_by_sam(ask, jws_attacks(getattr(good, place), *by_ks(sam_world)))
    assert ask(getattr(good, place))


def test_no_phone_is_believed_by_a_bent_enrolment(sam_world: SamWorld) -> None:
    cell = make_cell(sam_world)
    good = cell.enrol_request()

    def ask(enrolment: str) -> object:
        return sam_world.sam.enrol(msgspec.structs.replace(good, enrolment=enrolment))

    refused_by_sam(ask, attacks_by(good.enrolment, cell.phone.keys.approval))
    assert ask(good.enrolment)


def test_no_phone_is_believed_by_a_bent_seal(sam_world: SamWorld) -> None:
    cell = make_cell(sam_world)
    good = cell.enrol_request()
    sign = by_key(cell.phone.keys.approval)
    assert good.sealed is not None

    def ask(sealed: str) -> object:
        enrolment = naming(good.enrolment, sealed, sign)
        return sam_world.sam.enrol(
            msgspec.structs.replace(
                good,
                enrolment=enrolment,
                sealed=sealed,
                operator=OperatorWord(operator="olga", twelve=twelve_characters(enrolment)),
            )
        )

    refused_by_sam(ask, seal_attacks(good.sealed))
    assert ask(good.sealed)


@pytest.mark.parametrize("place", ["approval", "enrolment"])
def test_no_further_phone_is_believed_by_a_bent_message(
    sam_world: SamWorld, cell: PairedCell, place: str
) -> None:
    new = PaperPhone()
    good = cell.further_request(new)
    key = (cell.phone if place == "approval" else new).keys.approval

    def ask(bent: str) -> object:
        return sam_world.sam.enrol(msgspec.structs.replace(good, **{place: bent}))

    refused_by_sam(ask, attacks_by(getattr(good, place), key))
    assert ask(getattr(good, place))


def test_no_further_phone_is_believed_by_a_bent_seal(sam_world: SamWorld, cell: PairedCell) -> None:
    good = cell.further_request(PaperPhone())
    sign = by_key(cell.phone.keys.approval)
    assert good.sealed is not None
    assert good.approval is not None
    of_cell = good.approval

    def ask(sealed: str) -> object:
        approval = naming(of_cell, sealed, sign)
        return sam_world.sam.enrol(msgspec.structs.replace(good, approval=approval, sealed=sealed))

    refused_by_sam(ask, seal_attacks(good.sealed) | opened_seal_attacks(good.sealed))
    assert ask(good.sealed)


def test_no_password_is_set_by_a_bent_message(sam_world: SamWorld, cell: PairedCell) -> None:
    good = cell.new_password_request(bytes(32), bytes(32))
    sign = by_key(cell.phone.keys.approval)
    assert good.sealed is not None

    def approved(approval: str) -> object:
        return sam_world.sam.set_password(msgspec.structs.replace(good, approval=approval))

    def sealed(seal: str) -> object:
        approval = naming(good.approval, seal, sign)
        return sam_world.sam.set_password(
            msgspec.structs.replace(good, approval=approval, sealed=seal)
        )

    refused_by_sam(approved, attacks_by(good.approval, cell.phone.keys.approval))
    refused_by_sam(sealed, seal_attacks(good.sealed) | opened_seal_attacks(good.sealed))
    assert sealed(good.sealed)
