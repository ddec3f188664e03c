"""A phone's request proof is for one request, at one time (T-04)."""

import pytest

from backend.errors import MalformedMessage
from backend.protocol.request_proof import proof_id, proving_kid, verify_request_proof
from tests.unit.protocol import by_hand, cast
from tests.unit.protocol.cast import ADDRESS, BODY, NOW, REQUEST
from tests.unit.protocol.examples import BY_TYP

EXAMPLE = BY_TYP["dpop+jwt"]


def verify(
    *,
    method: str = "PUT",
    address: str = ADDRESS,
    body: bytes = BODY,
    now: int = NOW,
    **claims: object,
) -> None:
    verify_request_proof(
        EXAMPLE.compact(**claims),
        expected_key=cast.public(REQUEST),
        method=method,
        address=address,
        body=body,
        now=now,
    )


def test_a_proof_is_found_by_its_kid() -> None:
    assert proving_kid(EXAMPLE.compact()) == cast.tp(REQUEST)
    with pytest.raises(MalformedMessage):
        proving_kid(BY_TYP["cell-refusal+jwt"].compact())


def test_a_proofs_id_is_read_from_a_proof_alone() -> None:
    assert str(proof_id(EXAMPLE.compact())) == EXAMPLE.good["jti"]
    for other in (BY_TYP["cell-refusal+jwt"].compact(), "", EXAMPLE.compact(jti="1")):
        with pytest.raises(MalformedMessage):
            proof_id(other)


@pytest.mark.parametrize("now", [NOW - 60, NOW, NOW + 60])
def test_a_proof_counts_a_minute_before_and_after(now: int) -> None:
    verify(now=now)


@pytest.mark.parametrize("now", [NOW - 61, NOW + 61, 0])
def test_a_proof_of_another_time_is_refused(now: int) -> None:
    with pytest.raises(MalformedMessage):
        verify(now=now)


def test_a_request_without_a_body_has_a_proof_without_one() -> None:
    verify_request_proof(
        EXAMPLE.compact(htm="GET", body=None),
        expected_key=cast.public(REQUEST),
        method="GET",
        address=ADDRESS,
        body=b"",
        now=NOW,
    )


@pytest.mark.parametrize(
    "other",
    [
        {"method": "POST"},
        {"method": "put"},
        {"address": ADDRESS + "/"},
        {"address": ADDRESS + "?a=1"},
        {"address": ADDRESS.replace("https", "http")},
        {"address": ADDRESS.replace("phone", "PHONE", 1)},
        {"body": b""},
        {"body": BODY + b" "},
    ],
    ids=str,
)
def test_a_proof_for_another_request_is_refused(other: dict[str, str]) -> None:
    with pytest.raises(MalformedMessage):
        verify(**other)  # type: ignore[arg-type]  # each is an argument by its name


def test_a_proof_of_an_empty_body_is_none() -> None:
    """Exactly one form: ``null`` where there is no body."""
    with pytest.raises(MalformedMessage):
        verify_request_proof(
            EXAMPLE.compact(body=by_hand.b64(by_hand.sha(b""))),
            expected_key=cast.public(REQUEST),
            method="PUT",
            address=ADDRESS,
            body=b"",
            now=NOW,
        )


@pytest.mark.parametrize("changes", [{"htm": "PATCH"}, {"htm": "OPTIONS"}, {"htu": "x" * 2001}])
def test_what_no_proof_says_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(MalformedMessage):
        verify_request_proof(
            EXAMPLE.compact(**changes),
            expected_key=cast.public(REQUEST),
            method=changes.get("htm", "PUT"),
            address=changes.get("htu", ADDRESS),
            body=BODY,
            now=NOW,
        )
