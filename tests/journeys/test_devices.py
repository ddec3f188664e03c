"""A signer's phones, and what protects them: removal, push, recovery (8.3)."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select

from backend.delivery.subscriptions import drop_subscription
from backend.model.tables import Cell, Device, Lock, PushSubscription, Record
from backend.protocol.encoding import b64u
from backend.protocol.record import verify_record
from tests.world.raw_calls import RawCalls, problem
from tests.world.service import Service

ENDPOINT = "https://updates.push.services.mozilla.com/wpush/v2/abc"
UNKNOWN = b64u(bytes(32))


@pytest.fixture
def calls(signing_service: Service) -> RawCalls:
    return RawCalls(signing_service, signing_service.phone())


def subscription(endpoint: str = ENDPOINT, **changed: str) -> dict[str, object]:
    point = ec.generate_private_key(ec.SECP256R1()).public_key()
    p256dh = point.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    keys = {"p256dh": b64u(p256dh), "auth": b64u(bytes(16))} | changed
    return {"endpoint": endpoint, "keys": keys}


def subscriptions(service: Service) -> list[str]:
    with service.sessions() as session:
        return list(session.scalars(select(PushSubscription.endpoint)))


# --- the list, and removal --------------------------------------------------------


def test_a_phone_sees_itself_among_the_phones_of_its_cell(calls: RawCalls) -> None:
    answer = calls.send("GET", "/devices")

    assert answer.json == {
        "devices": [
            {
                "kid": calls.phone.kid(),
                "kind": "virtual",
                "paired_at": "2026-11-21T12:00:00+00:00",
                "this": True,
                "removal_asked": False,
            }
        ]
    }


def test_a_removed_phone_stops_at_once_and_the_record_follows(calls: RawCalls) -> None:
    """T-37, R-045."""
    service, kid = calls.service, calls.phone.kid()

    removed = calls.send("DELETE", f"/devices/{kid}")
    afterwards = calls.send("GET", "/devices")
    service.clerk.run_once()

    assert removed.status_code == 204
    assert problem(afterwards) == (401, "unauthenticated")
    with service.sessions() as session:
        record = session.scalars(
            select(Record.record).join(
                Cell, (Cell.id == Record.cell_id) & (Cell.epoch == Record.epoch)
            )
        ).one()
        device = session.scalars(select(Device)).one()
        locks = session.scalars(select(Lock.kind)).all()
    assert not verify_record(record, expected_ks=service.public_keys.ks).devices
    assert device.removed_at is not None
    assert "device" not in locks


@pytest.mark.parametrize("kid", [UNKNOWN, "no-thumbprint", "..%2F.."])
def test_a_phone_that_the_cell_does_not_have_is_not_found(calls: RawCalls, kid: str) -> None:
    assert problem(calls.send("DELETE", f"/devices/{kid}")) in {
        (404, "not-found"),
        (401, "unauthenticated"),
    }
    assert calls.send("GET", "/devices").status_code == 200


# --- push -------------------------------------------------------------------------


def test_the_newest_subscription_stands(calls: RawCalls) -> None:
    first = calls.send("PUT", "/push-subscription", subscription())
    second = calls.send("PUT", "/push-subscription", subscription(ENDPOINT + "/newer"))

    assert first.status_code == second.status_code == 204
    assert subscriptions(calls.service) == [ENDPOINT + "/newer"]


def test_a_subscription_that_was_forgotten_is_not_taken_a_second_time(calls: RawCalls) -> None:
    """The push service did not know it any more: the phone must subscribe anew."""
    told_before = subscription() | {"again": True}
    assert calls.send("PUT", "/push-subscription", subscription()).status_code == 204
    assert calls.send("PUT", "/push-subscription", told_before).status_code == 204
    with calls.service.sessions.begin() as session:
        (kid,) = session.scalars(select(PushSubscription.kid))
        drop_subscription(session, kid=kid, unverified_endpoint=ENDPOINT)

    refused = calls.send("PUT", "/push-subscription", told_before)

    assert problem(refused) == (410, "subscription-gone")
    assert not subscriptions(calls.service)
    assert calls.send("PUT", "/push-subscription", subscription()).status_code == 204


def test_a_phone_may_be_woken_no_more(calls: RawCalls) -> None:
    calls.send("PUT", "/push-subscription", subscription())

    answers = [calls.send("DELETE", "/push-subscription") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 204]
    assert not subscriptions(calls.service)


@pytest.mark.parametrize(
    "body",
    [
        subscription("https://127.0.0.1/x"),
        subscription("https://internal.example.org/x"),
        subscription("http://updates.push.services.mozilla.com/x"),
        subscription(auth="AAAA"),
        subscription(p256dh=b64u(bytes(65))),
        subscription(extra="member"),
        {"endpoint": ENDPOINT},
    ],
    ids=["address", "host", "http", "auth", "point", "member", "keys"],
)
def test_a_subscription_that_we_would_not_send_to_is_malformed(
    calls: RawCalls, body: dict[str, object]
) -> None:
    """T-19."""
    assert problem(calls.send("PUT", "/push-subscription", body)) == (422, "malformed")
    assert not subscriptions(calls.service)


# --- recovery ---------------------------------------------------------------------


def test_a_newer_recovery_lock_replaces_the_one_before(calls: RawCalls) -> None:
    locks = [b64u(bytes([number]) * 60) for number in (1, 2)]

    answers = [calls.send("PUT", "/recovery-lock", {"lock": lock}) for lock in locks]

    assert [answer.status_code for answer in answers] == [204, 204]
    with calls.service.sessions() as session:
        kept = session.scalars(select(Lock.lock).where(Lock.kind == "recovery")).all()
    assert kept == locks[1:]


@pytest.mark.parametrize("lock", ["", "AA", b64u(bytes(61)), "not base64url!", b64u(bytes(59))])
def test_what_cannot_be_a_recovery_lock_is_malformed(calls: RawCalls, lock: str) -> None:
    assert problem(calls.send("PUT", "/recovery-lock", {"lock": lock})) == (422, "malformed")


def test_a_frozen_signer_gets_no_recovery_lock(calls: RawCalls) -> None:
    calls.send("POST", "/freeze", {})

    answer = calls.send("PUT", "/recovery-lock", {"lock": b64u(bytes(60))})

    assert problem(answer) == (403, "frozen")
