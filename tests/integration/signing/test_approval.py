"""The phone's yes and no."""

from datetime import timedelta
from uuid import UUID, uuid4

import msgspec
import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from backend.access.phones import ProvenCall, prove_phone
from backend.errors import (
    KindRefused,
    MalformedMessage,
    NotFound,
    ProofReplayed,
    SignerFrozen,
    TransactionOver,
)
from backend.model.tables import Approval, Refusal, Transaction, TransactionState
from backend.signing.approval import approve, asked_beside
from backend.virtual_phone.answers import request_proof
from backend.virtual_phone.phone_keys import new_keys
from tests.world.paired_cell import ready_cell
from tests.world.paper_phone import PaperPhone
from tests.world.sam import ORIGIN
from tests.world.signing_world import SigningWorld, hashes, world_of


def approvals(world: SigningWorld) -> int:
    with world.sessions() as session:
        return session.scalar(select(func.count()).select_from(Approval)) or 0


def test_an_approval_is_kept_as_it_came(world: SigningWorld) -> None:
    requested = world.request(*hashes(1))
    approval, sealed = world.answer(requested.id)
    arrived_at = world.clock.advance(seconds=20)
    assert world.send(requested.id, approval, sealed) is TransactionState.APPROVED

    with world.sessions() as session:
        kept = session.get_one(Approval, requested.id)
    assert (kept.approval, kept.sealed, kept.kid) == (approval, sealed, world.cell.phone.kid)
    assert kept.received_at == arrived_at
    assert world.transaction(requested.id).answered_at == arrived_at


def test_the_same_bytes_again_get_the_same_answer(world: SigningWorld) -> None:
    requested = world.request(*hashes(1))
    answer = world.answer(requested.id)
    for _ in range(3):
        assert world.send(requested.id, *answer) == "approved"

    # Also when all is signed, and the time to approve is over.
    world.collect(world.csc_sad(requested), *hashes(1))
    world.clock.advance(seconds=301)
    assert world.send(requested.id, *answer) == "approved"
    assert approvals(world) == 1


def test_another_approval_changes_nothing(world: SigningWorld) -> None:
    requested = world.request(*hashes(1))
    first, second = world.answer(requested.id), world.answer(requested.id)
    world.send(requested.id, *first)
    with pytest.raises(TransactionOver) as over:
        world.send(requested.id, *second)
    assert over.value.state == "approved"
    assert world.sealed(requested.id) == first[1]


def test_the_last_moment_to_approve_is_exp(world: SigningWorld) -> None:
    in_time, too_late = world.request(*hashes(1)), world.request(*hashes(1))
    answers = world.answer(in_time.id), world.answer(too_late.id)
    world.clock.set(in_time.expires_at)
    assert world.send(in_time.id, *answers[0]) == "approved"
    world.clock.advance(seconds=0.001)
    with pytest.raises(TransactionOver) as over:
        world.send(too_late.id, *answers[1])
    assert over.value.state == "expired"
    assert approvals(world) == 1


def test_a_phone_whose_kind_the_policy_refuses_approves_nothing(world: SigningWorld) -> None:
    """The record decides, as at the door."""
    requested = world.request(*hashes(1))
    answer = world.answer(requested.id)
    voice = world.sam.sam._voice  # KS in our own hand: no call tightens a policy yet
    record = voice.verified_record(world.cell.record)
    caps = msgspec.structs.replace(record.policy.caps, kinds=("pwa",))
    policy = msgspec.structs.replace(record.policy, caps=caps)
    world.cell.record = voice.record(msgspec.structs.replace(record, policy=policy))
    with pytest.raises(KindRefused, match="kind virtual"):
        world.send(requested.id, *answer)
    assert world.state(requested.id) == "pending"
    assert approvals(world) == 0


def test_a_frozen_signers_approval_is_not_taken(world: SigningWorld) -> None:
    requested = world.request(*hashes(1))
    answer = world.answer(requested.id)
    world.freeze()
    with pytest.raises(SignerFrozen):
        world.send(requested.id, *answer)
    assert world.state(requested.id) == "pending"
    assert approvals(world) == 0


def test_an_approval_for_another_ask_is_refused(world: SigningWorld) -> None:
    """T-03: evidence replayed on another transaction."""
    first, second = world.request(*hashes(1)), world.request(*hashes(1))
    with pytest.raises(MalformedMessage):
        world.send(second.id, *world.answer(first.id))
    assert world.state(second.id) == "pending"


def test_a_seal_of_another_approval_is_refused(world_on_sqlite: SigningWorld) -> None:
    world = world_on_sqlite
    requested = world.request(*hashes(1))
    (approval, _), (_, sealed) = world.answer(requested.id), world.answer(requested.id)
    with pytest.raises(MalformedMessage):
        world.send(requested.id, approval, sealed)


def test_an_approval_by_another_key_is_refused(world_on_sqlite: SigningWorld) -> None:
    world = world_on_sqlite
    requested = world.request(*hashes(1))
    ask = world.read_ask(requested.id)
    stranger = PaperPhone(keys=new_keys())
    for answer in (
        stranger.approve(ask, world.cell.secret),
        world.cell.phone.approve(ask, world.cell.secret, key=stranger.keys.approval),
    ):
        with pytest.raises(MalformedMessage):
            world.send(requested.id, *answer)
    assert approvals(world) == 0


@pytest.mark.parametrize("rubbish", ["", "a.b.c", "ä", "x" * 100_000, "{}"])
def test_rubbish_is_refused(world_on_sqlite: SigningWorld, rubbish: str) -> None:
    world = world_on_sqlite
    requested = world.request(*hashes(1))
    approval, sealed = world.answer(requested.id)
    for unverified in ((rubbish, sealed), (approval, rubbish)):
        with pytest.raises(MalformedMessage):
            world.send(requested.id, *unverified)
    with pytest.raises(MalformedMessage):
        world.refuse(requested.id, refusal=rubbish or "x")
    assert world.state(requested.id) == "pending"


def test_nobody_answers_for_another_cell(world: SigningWorld) -> None:
    requested = world.request(*hashes(1))
    approval, sealed = world.answer(requested.id)
    with world.sessions() as session, pytest.raises(NotFound):
        approve(
            session,
            phone=msgspec.structs.replace(world.phone, cell=uuid4()),
            transaction=requested.id,
            approval=approval,
            sealed=sealed,
            public_keys=world.sam.public_keys,
            now=world.clock(),
        )


@pytest.fixture
def with_passkey(world: SigningWorld) -> SigningWorld:
    """The world of another signer, whose phone is a browser with a passkey."""
    cell = ready_cell(world.sam, app=ORIGIN)
    after = world.clock() + timedelta(days=400)
    return world_of(
        world.sam, world.sessions, world.clock, cell=cell, not_after=after, login="boris"
    )


def test_a_browsers_approval_without_its_passkey_is_not_even_kept(
    with_passkey: SigningWorld,
) -> None:
    """The door would refuse it; kept, it would stand in the way of the signer's own."""
    requested = with_passkey.request(*hashes(1))
    passkey, with_passkey.cell.phone.passkey = with_passkey.cell.phone.passkey, None
    with pytest.raises(MalformedMessage):
        with_passkey.approve(requested.id)
    assert with_passkey.state(requested.id) == "pending"
    with_passkey.cell.phone.passkey = passkey
    assert with_passkey.approve(requested.id) is TransactionState.APPROVED


def test_a_refusal_ends_it_and_is_kept(world: SigningWorld) -> None:
    requested = world.request(*hashes(1))
    refusal = world.cell.phone.refuse(world.read_ask(requested.id), decision="not_me")
    for _ in range(2):
        assert world.refuse(requested.id, refusal=refusal) is TransactionState.REJECTED
    kept = world.transaction(requested.id)
    assert (kept.state, kept.ended_because) == ("rejected", "not_me")
    with world.sessions() as session:
        assert session.get_one(Refusal, requested.id).refusal == refusal
    with pytest.raises(TransactionOver) as over:
        world.approve(requested.id)
    assert over.value.state == "rejected"
    with pytest.raises(TransactionOver):
        world.refuse(requested.id)  # other bytes


def test_a_refusal_after_the_approval_counts_and_erases_what_was_sealed(
    world: SigningWorld,
) -> None:
    requested = world.request(*hashes(1))
    answer = world.answer(requested.id)
    world.send(requested.id, *answer)
    csc_sad = world.csc_sad(requested)
    assert world.refuse(requested.id) == "rejected"

    assert world.sealed(requested.id) is None
    with pytest.raises(TransactionOver) as over:
        world.collect(csc_sad, *hashes(1))
    assert over.value.state == "rejected"
    with pytest.raises(TransactionOver):
        world.send(requested.id, *answer)  # a repeat that was under way


def test_a_refusal_after_some_signatures_stops_the_rest(world: SigningWorld) -> None:
    requested = world.request(*hashes(2))
    world.approve(requested.id)
    csc_sad = world.csc_sad(requested)
    world.collect(csc_sad, hashes(2)[0])
    assert world.refuse(requested.id) == "rejected"
    for digest in hashes(2):
        with pytest.raises(TransactionOver):
            world.collect(csc_sad, digest)


def test_a_refusal_after_all_is_signed_comes_too_late(world: SigningWorld) -> None:
    requested = world.request(*hashes(1))
    world.approve(requested.id)
    world.collect(world.csc_sad(requested), *hashes(1))
    with pytest.raises(TransactionOver) as over:
        world.refuse(requested.id)
    assert over.value.state == "redeemed"


def test_a_refusal_needs_no_unfrozen_signer(world: SigningWorld) -> None:
    requested = world.request(*hashes(1))
    world.freeze()
    assert world.refuse(requested.id) == "rejected"


def test_a_refusal_that_comes_too_late_finds_the_request_expired(world: SigningWorld) -> None:
    requested = world.request(*hashes(1))
    ask = world.read_ask(requested.id)
    world.clock.advance(seconds=301)
    with pytest.raises(TransactionOver) as over:
        world.refuse(requested.id, refusal=world.cell.phone.refuse(ask))
    assert over.value.state == "expired"


def test_a_state_set_back_to_pending_lets_no_second_approval_in(world: SigningWorld) -> None:
    """The state column is written by an attacker; the evidence stands."""
    requested = world.request(*hashes(1))
    world.approve(requested.id)
    world.refuse(requested.id)

    def reset(session: Session) -> None:
        session.execute(update(Transaction).values(state="pending"))

    world.overwrite(reset)
    with pytest.raises(TransactionOver):
        world.approve(requested.id)
    with pytest.raises(TransactionOver):
        world.refuse(requested.id)
    assert approvals(world) == 1

    # Even with the old approval out of the way, the refusal stands against a new one.
    world.overwrite(lambda session: session.execute(delete(Approval)))
    world.approve(requested.id)
    with pytest.raises(TransactionOver) as over:
        world.collect(world.csc_sad(requested), *hashes(1))
    assert over.value.state == "rejected"


def test_one_proof_id_lets_one_of_two_approvals_in_that_come_at_once(world: SigningWorld) -> None:
    """T-04: both calls were proved before either had used up the id."""
    first, second = (world.request(*hashes(1)).id for _ in range(2))
    jti = uuid4()
    calls = {each: proven(world, each, jti) for each in (first, second)}
    answers = {each: world.answer(each) for each in (first, second)}

    assert send_by(world, first, calls[first], answers[first]) == "approved"
    with pytest.raises(ProofReplayed):
        send_by(world, second, calls[second], answers[second])
    assert world.state(second) == "pending"
    assert approvals(world) == 1


def proven(world: SigningWorld, transaction: UUID, jti: UUID) -> ProvenCall:
    """A call that brings an answer, proved and not heard yet."""
    url, body = f"https://phone.example/transactions/{transaction}/approval", b"{}"
    proof = request_proof(
        key=world.cell.phone.keys.request,
        method="POST",
        url=url,
        body=body,
        now=int(world.clock().timestamp()),
        jti=jti,
    )
    with world.sessions() as session:
        return prove_phone(
            session,
            authorization=f"DPoP {proof}",
            method="POST",
            address=url,
            body=body,
            public_keys=world.sam.public_keys,
            now=world.clock(),
            beside=asked_beside(transaction),
        )


def send_by(
    world: SigningWorld, transaction: UUID, call: ProvenCall, answer: tuple[str, str]
) -> TransactionState:
    approval, sealed = answer
    with world.sessions() as session:
        return approve(
            session,
            phone=call.phone,
            transaction=transaction,
            approval=approval,
            sealed=sealed,
            public_keys=world.sam.public_keys,
            now=world.clock(),
            call=call,
        )
