"""Who may call the mobile API: each request is proved by the phone's request key, and once."""

from uuid import uuid4

import pytest
from sqlalchemy import select, update

from backend.model.tables import Record, RequestProof
from backend.protocol.encoding import b64u
from tests.world.clock import SettableClock
from tests.world.raw_calls import RawCalls, problem
from tests.world.service import Service

LOCK = b64u(bytes(60))
UNAUTHENTICATED = (401, "unauthenticated")


@pytest.fixture
def calls(signing_service: Service) -> RawCalls:
    return RawCalls(signing_service, signing_service.phone())


def test_without_a_proof_nothing_is_told(calls: RawCalls) -> None:
    answer = calls.service.mobile_client().get("/transactions")

    assert problem(answer) == UNAUTHENTICATED
    assert answer.headers["WWW-Authenticate"] == 'DPoP algs="ES256"'


@pytest.mark.parametrize(
    "proof",
    [
        "DPoP ",
        "DPoP a.b.c",
        "DPoP ёжик",
        "Bearer abc",
        "dpop lower",
        "DPoP " + "a" * 5000,
        "DPoP e30.e30.e30",
    ],
)
def test_a_proof_that_is_none_is_refused(calls: RawCalls, proof: str) -> None:
    answer = calls.send("GET", "/transactions", proof=proof.encode().decode("latin-1"))

    assert problem(answer) == UNAUTHENTICATED


def test_a_proof_counts_once(calls: RawCalls) -> None:
    """T-04."""
    proof = calls.proof("GET", "/devices")

    first = calls.send("GET", "/devices", proof=proof)
    second = calls.send("GET", "/devices", proof=proof)

    assert first.status_code == 200
    assert problem(second) == (401, "replayed")


def test_another_proof_with_the_same_jti_is_a_replay_too(calls: RawCalls) -> None:
    jti = uuid4()
    calls.send("GET", "/devices", proof=calls.proof("GET", "/devices", jti=jti))

    again = calls.send("GET", "/transactions", proof=calls.proof("GET", "/transactions", jti=jti))

    assert problem(again) == (401, "replayed")


def test_what_was_refused_used_up_no_proof(calls: RawCalls) -> None:
    """What is refused changed nothing (section 8.1)."""
    path = f"/devices/{b64u(bytes(32))}"
    proof = calls.proof("DELETE", path)

    answers = [calls.send("DELETE", path, proof=proof) for _ in range(2)]

    assert [problem(answer) for answer in answers] == [(404, "not-found")] * 2


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/recovery-lock"), ("PUT", "/freeze"), ("PUT", "/recovery-lock/")],
)
def test_a_proof_is_for_one_method_and_one_path(calls: RawCalls, method: str, path: str) -> None:
    sent = b'{"lock": "%s"}' % LOCK.encode()

    answer = calls.send("PUT", "/recovery-lock", sent, proof=calls.proof(method, path, sent))

    assert problem(answer) == UNAUTHENTICATED


def test_a_proof_is_for_one_body(calls: RawCalls) -> None:
    other = calls.proof("PUT", "/recovery-lock", b'{"lock": "AA"}')
    none = calls.proof("PUT", "/recovery-lock")
    too_many = calls.proof("GET", "/devices", b"{}")

    assert problem(calls.send("PUT", "/recovery-lock", {"lock": LOCK}, proof=other)) == (
        UNAUTHENTICATED
    )
    assert problem(calls.send("PUT", "/recovery-lock", {"lock": LOCK}, proof=none)) == (
        UNAUTHENTICATED
    )
    assert problem(calls.send("GET", "/devices", proof=too_many)) == UNAUTHENTICATED


@pytest.mark.parametrize("age_seconds", [61, 3600, -61])
def test_a_proof_of_another_time_is_refused(calls: RawCalls, age_seconds: int) -> None:
    proof = calls.proof("GET", "/devices", age_seconds=age_seconds)

    assert problem(calls.send("GET", "/devices", proof=proof)) == UNAUTHENTICATED


@pytest.mark.parametrize("age_seconds", [0, 60, -60])
def test_a_clock_may_be_a_minute_wrong(calls: RawCalls, age_seconds: int) -> None:
    proof = calls.proof("GET", "/devices", age_seconds=age_seconds)

    assert calls.send("GET", "/devices", proof=proof).status_code == 200


def test_an_old_proof_is_no_good_even_after_its_row_was_forgotten(
    calls: RawCalls, clock: SettableClock
) -> None:
    proof = calls.proof("GET", "/devices")
    calls.send("GET", "/devices", proof=proof)
    clock.advance(minutes=3)
    calls.service.work()

    with calls.service.sessions() as session:
        assert not session.scalars(select(RequestProof.jti)).all()
    assert problem(calls.send("GET", "/devices", proof=proof)) == UNAUTHENTICATED


def test_a_row_that_claims_to_be_the_record_is_not_believed(calls: RawCalls) -> None:
    """T-09: whoever writes rows gives nobody a key."""
    service = calls.service
    with service.sessions() as session:
        forged = f"{'e30'}.{b64u(b'{}')}.{b64u(bytes(64))}"
        session.execute(update(Record).values(record=forged))
        session.commit()

    assert problem(calls.send("GET", "/devices")) == UNAUTHENTICATED


def test_the_proof_names_the_public_address_and_not_the_header_host(calls: RawCalls) -> None:
    """Behind a proxy the two differ."""
    answer = calls.send("GET", "/devices", Host="mobile.internal:9999")

    assert answer.status_code == 200
