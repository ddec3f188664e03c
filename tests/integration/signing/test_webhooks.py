"""What moves a transaction tells its relying party, in the same commit, on both databases."""

import hashlib
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Engine, text

from backend.delivery.web_push import vapid_identity
from backend.delivery.webhook_registration import remove_webhook
from backend.errors import TransactionOver
from backend.protocol.encoding import b64u
from backend.signers.freeze import BY_PHONE, freeze
from backend.signing.cancellation import cancel
from backend.signing.expiry import expire_overdue
from backend.signing.request import RequestedTransaction
from tests.world.clock import SettableClock
from tests.world.signing_world import SETTINGS, SigningWorld, hashes
from tests.world.statements import counted
from tests.world.told import Told, channels_to
from tests.world.webhook_receiver import WebhookReceiver, running_receiver

PAGE = (Path(__file__).resolve().parents[3] / "docs/relying-party.md").read_text()


@pytest.fixture
def receiver(tmp_path: Path, clock: SettableClock) -> Iterator[WebhookReceiver]:
    with running_receiver(
        ca_out=tmp_path / "receiver-ca.pem", clock=lambda: clock().timestamp()
    ) as receiver:
        yield receiver


@pytest.fixture
def told(world: SigningWorld, receiver: WebhookReceiver) -> Told:
    """The world's shop is told at the receiver."""
    key = ec.generate_private_key(ec.SECP256R1())
    channels = channels_to(receiver, vapid_identity(key, subject="mailto:a@example.org"))
    told = Told(world.sessions, world.clock, client_id="shop", channels=channels)
    receiver.secrets = [told.register(receiver.url).webhook_secret]
    return told


def handle_hash(requested: RequestedTransaction) -> str:
    """What the relying party computes from the handle that it was given."""
    return b64u(hashlib.sha256(requested.handle).digest())


def cancel_it(world: SigningWorld, requested: RequestedTransaction) -> None:
    with world.sessions() as session:
        cancel(session, transaction=requested.id, because="a mistake", now=world.clock())


def let_expire(world: SigningWorld, requested: RequestedTransaction) -> None:
    world.clock.set(requested.expires_at + timedelta(seconds=1))
    with world.sessions() as session:
        expire_overdue(session, world.clock())


def let_expire_approved(world: SigningWorld, requested: RequestedTransaction) -> None:
    world.approve(requested.id)
    used_by = requested.expires_at + timedelta(seconds=SETTINGS.use_seconds)
    with world.sessions() as session:
        world.clock.set(used_by)
        expire_overdue(session, world.clock())


def freeze_signer(world: SigningWorld, _requested: RequestedTransaction) -> None:
    with world.sessions() as session:
        freeze(session, signer=world.cell.signer, by=BY_PHONE, now=world.clock())


Move = Callable[[SigningWorld, RequestedTransaction], object]
MOVES: dict[str, tuple[Move, list[str]]] = {
    "approved": (lambda world, asked: world.approve(asked.id), ["approved"]),
    "refused": (lambda world, asked: world.refuse(asked.id), ["refused"]),
    "cancelled": (cancel_it, ["refused"]),
    "not answered": (let_expire, ["expired"]),
    "not collected": (let_expire_approved, ["approved", "expired"]),
    "frozen": (freeze_signer, ["frozen"]),
}


@pytest.mark.parametrize("name", MOVES)
def test_each_end_is_told_once_to_who_asked(
    world: SigningWorld, told: Told, receiver: WebhookReceiver, name: str
) -> None:
    move, events = MOVES[name]
    asked = world.request(*hashes(1))
    move(world, asked)
    told.send()
    told.send()

    # Two that are due at once arrive in any order; each says when it happened.
    in_time = sorted(receiver.taken, key=lambda one: one.payload["timestamp"])
    assert [one.payload["type"] for one in in_time] == [f"transaction.{e}" for e in events]
    assert all(
        one.payload["data"]
        == {"handleHash": handle_hash(asked), "credentialID": str(world.cell.made.cell)}
        for one in receiver.taken
    )
    assert receiver.deliveries == receiver.taken
    assert [row.sent_at for row in told.rows()] == [world.clock()] * len(events)


def test_it_is_told_when_it_happened_not_when_it_was_sent(
    world: SigningWorld, told: Told, receiver: WebhookReceiver
) -> None:
    asked = world.request(*hashes(1))
    world.clock.advance(seconds=20)
    happened_at = world.clock()
    world.approve(asked.id)
    world.clock.advance(seconds=5)
    told.send()

    (one,) = receiver.taken
    assert one.payload["timestamp"] == happened_at.isoformat().replace("+00:00", "Z")
    assert one.headers["webhook-timestamp"] == str(int(world.clock().timestamp()))


def test_the_pages_code_verifies_what_is_sent(
    world: SigningWorld, told: Told, receiver: WebhookReceiver
) -> None:
    """docs/relying-party.md, "Webhooks", in Python."""
    (code,) = re.findall(r"^```python\n(import base64.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    page: dict[str, Any] = {}
    exec(code, page)  # noqa: S102  # the page's own lines
    world.clock.set(datetime.now(UTC))
    asked = world.request(*hashes(1))
    world.approve(asked.id)
    told.send()

    (one,) = receiver.taken
    assert page["verify"](one.headers, one.body, receiver.secrets[0]) == one.id
    assert one.payload["data"]["handleHash"] == page["hash_of"](b64u(asked.handle))
    later = {"webhook-timestamp": str(int(one.headers["webhook-timestamp"]) + 1)}
    old = {"webhook-timestamp": str(int(one.headers["webhook-timestamp"]) - 400)}
    for headers, body, said in (
        (one.headers, one.body + b" ", "not signed"),
        (one.headers | later, one.body, "not signed"),
        (one.headers | old, one.body, "too old"),
    ):
        with pytest.raises(ValueError, match=said):
            page["verify"](headers, body, receiver.secrets[0])


def test_what_expired_is_told_as_of_its_last_moment(world: SigningWorld, told: Told) -> None:
    asked = world.request(*hashes(1))
    let_expire(world, asked)

    row = told.row()
    assert (row.happened_at, row.due_at) == (asked.expires_at, asked.expires_at)
    assert row.expires_at == world.transaction(asked.id).use_by + timedelta(days=1)


def test_collecting_is_not_told_for_the_answer_tells_it(world: SigningWorld, told: Told) -> None:
    asked = world.request(*hashes(1))
    world.approve(asked.id)
    world.collect(world.csc_sad(asked), *hashes(1))

    assert world.state(asked.id) == "redeemed"
    assert [row.event for row in told.rows()] == ["approved"]


def test_a_message_holds_nothing_by_which_anybody_could_poll_or_collect(
    world: SigningWorld, told: Told, receiver: WebhookReceiver
) -> None:
    """T-20: neither the handle nor the SAD, nor what was signed, nor the transaction's own id."""
    asked = world.request(*hashes(1))
    world.approve(asked.id)
    told.send()

    (one,) = receiver.taken
    seen = one.body + repr(one.headers).encode()
    for secret in (
        b64u(asked.handle),
        world.csc_sad(asked),
        str(asked.id),
        asked.id.hex,
        hashes(1)[0].hex(),
        b64u(hashes(1)[0]),
    ):
        assert secret.encode() not in seen


def test_others_are_not_told(world: SigningWorld, told: Told) -> None:
    bank = world.another_party()
    asked = bank.request(*hashes(1))
    bank.approve(asked.id)

    assert told.rows() == []


def test_a_freeze_tells_all_who_still_wait_and_nobody_else(world: SigningWorld, told: Told) -> None:
    waiting, approved, over = (world.request(*hashes(1, seed=f"{n}")) for n in range(3))
    world.approve(approved.id)
    cancel_it(world, over)
    freeze_signer(world, waiting)
    freeze_signer(world, waiting)

    frozen = [row.transaction_id for row in told.rows() if row.event == "frozen"]
    assert sorted(frozen) == sorted([waiting.id, approved.id])


def test_what_was_not_done_is_not_told(world: SigningWorld, told: Told) -> None:
    """The message stands in the commit of the move, or not at all."""
    asked = world.request(*hashes(1))
    with world.sessions() as session:
        session.execute(text("UPDATE transactions SET state = 'approved'"))
        session.rollback()
    let_expire(world, asked)
    with pytest.raises(TransactionOver):
        world.refuse(asked.id, refusal=world.cell.phone.refuse(world.read_ask(asked.id)))

    assert [row.event for row in told.rows()] == ["expired"]


def test_of_many_answers_at_once_one_is_told(world: SigningWorld, told: Told) -> None:
    asked = world.request(*hashes(1))
    answer = world.answer(asked.id)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: world.send(asked.id, *answer), range(8)))

    assert [row.event for row in told.rows()] == ["approved"]


def test_who_removes_the_webhook_is_told_nothing_more(
    world: SigningWorld, told: Told, receiver: WebhookReceiver
) -> None:
    asked = world.request(*hashes(1))
    world.approve(asked.id)
    with world.sessions() as session:
        remove_webhook(session, client_id="shop")
    told.send()

    assert receiver.deliveries == []
    assert told.row().last_error == "the relying party has no webhook"


def test_a_step_takes_as_many_statements_with_a_webhook_as_without(
    world: SigningWorld, told: Told, engine: Engine
) -> None:
    """The database adds the message itself; tests/integration/signing/test_statements.py counts."""
    bank = world.another_party()
    counts = []
    for who in (world, bank):
        asked = who.request(*hashes(1, seed=uuid4().hex))
        answer = who.answer(asked.id)
        with counted(engine) as approving:
            who.send(asked.id, *answer)
        counts.append((len(approving.texts), approving.commits))

    assert counts[0] == counts[1]
    assert len(told.rows()) == 1
